"""`./dev run python -m tests.fuzz --seconds N [--only TARGET] [--seed S]`: bad inputs for all that reads what comes from outside.

Without --seed each run has another one, and says which. A finding is a file in .fuzz/ (--out), which --replay FILE tries again;
exit 1 where there is one. --list names the targets.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from tests.fuzz.running import Outcome, keep, kept, run
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import limit_memory, try_once, watch_time


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only", action="append", metavar="TARGET", choices=[one.name for one in TARGETS])
    parser.add_argument("--seed", type=int)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path(".fuzz"))
    parser.add_argument("--replay", type=Path, metavar="FILE")
    parser.add_argument("--list", action="store_true")
    of = parser.parse_args(argv)
    if of.list:
        say("\n".join(one.name for one in TARGETS))
        return 0
    if of.replay is not None:
        return replay(of.replay)
    seed = secrets.randbelow(1 << 32) if of.seed is None else of.seed
    names = of.only or [one.name for one in TARGETS]
    say(f"seed {seed}, {of.processes} processes, {len(names)} targets, {of.seconds:g} s")
    outcome = run(names, seconds=of.seconds, seed=seed, processes=of.processes)
    say(table(outcome))
    untried = [name for name in names if not outcome.counts.get(name)]
    if untried:
        say(f"not tried in so little time: {', '.join(untried)}")
    for found, path in zip(
        outcome.findings.values(), keep(of.out, list(outcome.findings.values())), strict=True
    ):
        say(f"\n{found.target}: {found.signature}\n  {len(found.input) // 2} bytes; --replay {path}")
    return 1 if outcome.findings or untried else 0


def table(outcome: Outcome) -> str:
    rows = [("target", "inputs", "taken", "a second", "findings")]
    for name, counts in sorted(outcome.counts.items()):
        findings = sum(found.target == name for found in outcome.findings.values())
        rate = counts.inputs / counts.seconds if counts.seconds else 0.0
        rows.append((name, f"{counts.inputs:,}", f"{counts.taken:,}", f"{rate:,.0f}", str(findings)))
    total = sum(counts.inputs for counts in outcome.counts.values())
    taken = sum(counts.taken for counts in outcome.counts.values())
    rows.append(("all", f"{total:,}", f"{taken:,}", "", str(len(outcome.findings))))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def replay(path: Path) -> int:
    found = kept(path)
    target = next((one for one in TARGETS if one.name == found.target), None)
    if target is None:
        say(f"{path}: no target {found.target!r}")
        return 2
    for good in target.good:
        try_once(target, good)
    watch_time()
    limit_memory()
    _, again = try_once(target, bytes.fromhex(found.input))
    if again is None:
        say(f"{found.target}: nothing is found any more")
        return 0
    say(f"{again.target}: {again.signature}\n{again.trace}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
