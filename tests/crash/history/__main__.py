"""`python -m tests.crash.history --minutes 60`: one run, said as it goes, and its verdict. Exit code 1 where something is wrong."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.crash.history.checker import check
from tests.crash.history.nemesis import faketime
from tests.crash.history.records import read
from tests.crash.history.run import report_line, run, table_of


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.history", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long everything breaks (1)")
    parser.add_argument("--seed", type=int, help="what is drawn; without it, another one each time")
    parser.add_argument(
        "--keep",
        type=Path,
        help="the folder for the history and logs; without it they are kept only where something is wrong",
    )
    parser.add_argument(
        "--quickness",
        type=float,
        default=1.0,
        help="how often something breaks (1: every 5 s by each of three hands)",
    )
    parser.add_argument("--check", type=Path, help="no run: the verdict on this history")
    asked = parser.parse_args()
    if asked.check is not None:
        report = check(read(asked.check))
        folder = asked.check.parent
    else:
        seed = random.SystemRandom().randrange(1 << 32) if asked.seed is None else asked.seed
        folder = asked.keep or Path(tempfile.mkdtemp(prefix="history-"))
        report_line(f"seed {seed}, {asked.minutes:g} minutes, in {folder}")
        if faketime() is None:
            report_line("NOT DONE: clocks are not stepped: apt-get install libfaketime")
        report = asyncio.run(run(folder, seed, asked.minutes, quickness=asked.quickness))
    for line in table_of(report):
        report_line(line)
    if report.good:
        report_line("\nnothing is wrong")
        if asked.check is None and asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
        return 0
    report_line(f"\nWRONG: {dict(report.found)}; the history is {folder / 'history.ndjson'}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
