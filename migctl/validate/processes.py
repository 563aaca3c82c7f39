"""Processes: runs the shards of a report beside each other and brings their tallies together."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from migctl.errors import MigctlError, Usage
from migctl.events.jsontext import read_as
from migctl.validate.shard import Job, Outcome, encode_message
from migctl.validate.tally import Tally


def run_all(jobs: list[Job], shard_module: str = "migctl.validate.shard") -> Tally:
    """Run each job in a process of its own; the sum of what they found.

    shard_module: what such a process runs.
    Raises Usage for a file that can't be used, MigctlError where a process failed.
    """
    children = [
        subprocess.Popen(
            [sys.executable, "-m", shard_module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in jobs
    ]
    try:
        with ThreadPoolExecutor(len(children)) as pool:
            answers = list(
                pool.map(lambda child, job: child.communicate(encode_message(job)), children, jobs)
            )
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()
    total = Tally()
    failures = []
    for child, (answer, printed) in zip(children, answers, strict=True):
        if child.returncode != 0:
            lines = printed.decode(errors="replace").strip().splitlines()
            raise MigctlError(
                f"a process of the report ended with {child.returncode}: {lines[-1] if lines else 'it said nothing'}",
                do="try again with less memory in use beside it; if it stays so, report it",
            )
        outcome = read_as(answer, Outcome)
        if outcome.failure is not None:
            failures.append(outcome.failure)
        elif outcome.tally is not None:
            total.merge(outcome.tally)
    if failures:
        first = min(failures, key=lambda failure: failure.line)
        raise Usage(first.what, do=first.do)
    return total
