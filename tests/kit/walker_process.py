"""`migctl rollout run` that kills itself: `python -m tests.kit.walker_process POINT PASSES OPTION...`; no POINT: nowhere."""

from __future__ import annotations

import sys

import typer

from migctl.cli import context, rollout_run
from migctl.runtime.handing import Hands
from migctl.runtime.walking import KnownServes, RecordLedger
from tests.kit.failpoint import Fuse, after, before

POINTS = {
    "write": (RecordLedger, "write"),
    "open": (RecordLedger, "open"),
    "mark": (KnownServes, "mark"),
    "brake": (Hands, "brake"),
}


def main() -> int:
    point, passes, *options = sys.argv[1:]
    if point:
        when, _, name = point.partition("-")
        {"before": before, "after": after}[when](Fuse(int(passes)), *POINTS[name])
    app = typer.Typer()
    app.command("run")(rollout_run.run)
    try:
        app(args=options, standalone_mode=False)
    except typer.Exit as leave:
        return leave.exit_code
    except BaseException as error:
        return context.report(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
