"""One process of the fuzzer: target after target, in turns, until it is killed.

`python -m tests.fuzz.worker` with a `Job` on stdin. A line of JSON comes on stdout for each turn, and for each finding. What is
tried stands in the job's file before it is tried, so that it outlives whatever it does to this process.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import mmap
import os
import resource
import signal
import struct
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.target import MOST_CPU_S, Target, tried
from tests.fuzz.targets import TARGETS

# What inputs of 64 KiB may come to, beyond what the process has without one.
MOST_MEMORY = 768 << 20
TURN_S = 0.4
# count of inputs, index of the target, size of the input.
HEAD = struct.Struct("<QII")
FILE_BYTES = HEAD.size + (1 << 20)


@dataclass(frozen=True)
class Job:
    """targets: names. seed: of this process. file: FILE_BYTES long. planted: a module whose TARGETS are tried instead.

    turns: of each target, and so long each; None: until it is killed."""

    targets: list[str]
    seed: int
    file: str
    planted: str | None = None
    turns: int | None = None
    turn_s: float = TURN_S


class TooLong(BaseException):
    """It took more CPU time than any input may. No Exception, so that nobody takes it for one."""


@dataclass(frozen=True)
class Finding:
    """signature: the same for the same mistake, as far as that can be known."""

    target: str
    signature: str
    trace: str
    input: str  # hex

    @property
    def name(self) -> str:
        return f"{self.target}-{hashlib.sha256(self.signature.encode()).hexdigest()[:10]}"


def try_once(target: Target, data: bytes) -> tuple[bool, Finding | None]:
    """Whether it was taken, and what is wrong."""
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
    try:
        return tried(target, data), None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a finding, whatever it is: BaseExceptionGroup and TooLong too
        signal.setitimer(signal.ITIMER_PROF, 0)
        return False, finding_of(target.name, data, error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def finding_of(name: str, data: bytes, error: BaseException) -> Finding:
    frames = [
        one for one in traceback.extract_tb(error.__traceback__) if f"{os.sep}migctl{os.sep}" in one.filename
    ]
    ours = frames or [one for one in traceback.extract_tb(error.__traceback__) if "tests" in one.filename]
    at = ours[-1] if ours else None
    where = f"{Path(at.filename).name}:{at.name}" if at is not None else "?"
    # A check that fails is told by its line; what is raised, by its kind.
    line = f" {at.line}" if isinstance(error, AssertionError) and at is not None else ""
    trace = "".join(traceback.format_exception(error, limit=-12))
    return Finding(
        name,
        f"{type(error).__name__} at {where}{line}",
        trace[-6000:].encode("utf-8", "backslashreplace").decode(),
        data.hex(),
    )


def limit_memory() -> None:
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)  # which whoever runs us may have set
    most = now + MOST_MEMORY
    resource.setrlimit(
        resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
    )


def watch_time() -> None:
    def too_long(_signal: int, _frame: Any) -> None:
        raise TooLong(f"more than {MOST_CPU_S:g} s of CPU time")

    signal.signal(signal.SIGPROF, too_long)


def targets_of(planted: str | None) -> tuple[Target, ...]:
    if planted is None:
        return TARGETS
    from importlib import import_module

    found: tuple[Target, ...] = import_module(planted).TARGETS
    return found


def main() -> None:
    job = Job(**json.loads(sys.stdin.read()))
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever prints, does it elsewhere
    logging.disable(logging.CRITICAL)
    known = targets_of(job.planted)
    chosen = [(index, one) for index, one in enumerate(known) if one.name in job.targets]
    with Path(job.file).open("r+b") as file:
        told = mmap.mmap(file.fileno(), FILE_BYTES)
    # Once around, so that what is imported late is no part of what an input takes.
    for _, target in chosen:
        for good in target.good:
            try_once(target, good)
    limit_memory()
    watch_time()
    gc.freeze()
    number, seen = 0, dict[str, int]()
    random = Random(job.seed)
    for _ in count() if job.turns is None else range(job.turns):
        for index, target in chosen:
            tries = taken = 0
            began = time.monotonic()
            while (took := time.monotonic() - began) < job.turn_s:
                # The good ones come again and again: none may fail for what came before it.
                good = random.choice(target.good)
                is_good = tries % 200 == 0
                data = good if is_good else target.mutate(random, good, target.words, target.most_bytes)
                number += 1
                tries += 1
                HEAD.pack_into(told, 0, number, index, len(data))
                told[HEAD.size : HEAD.size + len(data)] = data
                was_taken, found = try_once(target, data)
                taken += was_taken
                if is_good and not was_taken and found is None:
                    found = Finding(target.name, "a good example is refused", "", data.hex())
                if found is not None and len(data) < seen.get(found.name, 1 << 30):
                    seen[found.name] = len(data)
                    print(json.dumps({"finding": asdict(found)}), file=out)
            print(json.dumps({"turn": [target.name, tries, taken, took]}), file=out)


if __name__ == "__main__":
    main()
