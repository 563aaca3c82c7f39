"""A command of `migctl rollout` that kills itself: `python -m tests.kit.walker_process COMMAND POINT PASSES OPTION...`; no POINT:
nowhere."""

from __future__ import annotations

import sys

import typer

from migctl.cli import context, rollout_complete, rollout_run
from migctl.flags.record import Record
from migctl.runtime.handing import Hands
from migctl.runtime.walking import KnownServes, RecordLedger
from tests.kit.failpoint import Fuse, after, before

COMMANDS = {"run": rollout_run.run, "complete": rollout_complete.complete}
POINTS = {
    "write": (RecordLedger, "write"),
    "open": (RecordLedger, "open"),
    "mark": (KnownServes, "mark"),
    "brake": (Hands, "brake"),
    "state": (Record, "write_rollout"),
}


def main() -> int:
    command, point, passes, *options = sys.argv[1:]
    if point:
        when, _, name = point.partition("-")
        {"before": before, "after": after}[when](Fuse(int(passes)), *POINTS[name])
    app = typer.Typer()
    app.command(command)(COMMANDS[command])
    try:
        app(args=options, standalone_mode=False)
    except typer.Exit as leave:
        return leave.exit_code
    except BaseException as error:
        return context.report(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
