"""Running the fuzzer: processes, who watches them, and what comes of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from tests.fuzz.worker import FILE_BYTES, HEAD, TURN_S, Finding, Job, targets_of

# An input that takes so much CPU time within one call that no signal ends, or that waits for so long, has no end.
STUCK_CPU_S = 20.0
STUCK_WALL_S = 180.0
TOP = Path(__file__).parents[2]


@dataclass
class Counts:
    """inputs: of them, taken. seconds: of all processes together."""

    inputs: int = 0
    taken: int = 0
    seconds: float = 0.0


@dataclass
class Outcome:
    """findings: by name, each with the shortest input that does it."""

    counts: dict[str, Counts] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, found: Finding) -> None:
        before = self.findings.get(found.name)
        if before is None or len(found.input) < len(before.input):
            self.findings[found.name] = found


class Worker:
    """A process, begun again where an input ends it."""

    def __init__(self, outcome: Outcome, job: Job) -> None:
        self._outcome = outcome
        self._job = job
        self._targets = targets_of(job.planted)
        self._file = Path(job.file)
        self._errors = self._file.with_suffix(".errors").open("w+b")
        self.done = False
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._count, self._since, self._cpu_s = 0, 0.0, 0.0

    def start(self) -> None:
        self._file.write_bytes(bytes(FILE_BYTES))
        # Findings must not come of what the environment says, and hashes of texts must be the same for a seed.
        environ = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(TOP)}
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environ,
            cwd=TOP,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(self._job)).encode())
        self._process.stdin.close()
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        self._count, self._since, self._cpu_s = 0, time.monotonic(), 0.0

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in iter(process.stdout.readline, b""):
            with contextlib.suppress(ValueError):  # half a line of one that was killed
                said = json.loads(line)
                if "finding" in said:
                    self._outcome.add(Finding(**said["finding"]))
                else:
                    name, inputs, taken, seconds = said["turn"]
                    counts = self._outcome.counts.setdefault(name, Counts())
                    counts.inputs += inputs
                    counts.taken += taken
                    counts.seconds += seconds
        process.stdout.close()

    def look(self) -> None:
        """See whether it lives and gets on; what it died of, or does not get on with, is a finding."""
        process = self._process
        assert process is not None
        if self.done:
            return
        count, index, size = HEAD.unpack_from(self._file.read_bytes())
        code = process.poll()
        if code is None:
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(process.pid).cpu_times()
                cpu_s = times.user + times.system
                if count != self._count:
                    self._count, self._since, self._cpu_s = count, time.monotonic(), cpu_s
                elif cpu_s - self._cpu_s > STUCK_CPU_S or time.monotonic() - self._since > STUCK_WALL_S:
                    process.kill()
                    process.wait()
                    code = -signal.SIGKILL
        self.done = code == 0
        if code in (None, 0):
            return
        data = self._file.read_bytes()[HEAD.size : HEAD.size + size]
        name = self._targets[index].name if count else "(before the first input)"
        why = "it has no end" if code == -signal.SIGKILL else f"it ends the process ({code})"
        self._errors.seek(0)
        self._outcome.add(
            Finding(name, why, self._errors.read()[-6000:].decode("utf-8", "replace"), data.hex())
        )
        self._errors.truncate(0)
        self._job = replace(self._job, seed=self._job.seed + 1_000_003)
        self.start()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join(10)
        self._errors.close()


def run(
    names: Sequence[str],
    *,
    seconds: float,
    seed: int,
    processes: int,
    planted: str | None = None,
    turns: int | None = None,
    turn_s: float = TURN_S,
    enough: int | None = None,
) -> Outcome:
    """Try these targets for so long, each process the same ones with its own random numbers.

    turns: of each target, then a process is done. enough: so many findings end it.
    """
    outcome = Outcome()
    with _folder() as folder:
        workers = [
            Worker(
                outcome,
                Job(list(names), seed + index, str(folder / f"tried-{index}"), planted, turns, turn_s),
            )
            for index in range(processes)
        ]
        try:
            for worker in workers:
                worker.start()
            ends = time.monotonic() + seconds
            while time.monotonic() < ends and not all(worker.done for worker in workers):
                time.sleep(min(0.2, max(0.0, ends - time.monotonic())))
                for worker in workers:
                    worker.look()
                if enough is not None and len(outcome.findings) >= enough:
                    break
        finally:
            for worker in workers:
                worker.stop()
    return outcome


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="migctl-fuzz-") as name:
        yield Path(name)


def keep(folder: Path, findings: Sequence[Finding]) -> list[Path]:
    """Write each as a file that `--replay` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for found in findings:
        path = folder / f"{found.name}.json"
        path.write_text(json.dumps(asdict(found), indent=1) + "\n")
        paths.append(path)
    return paths


def kept(path: Path) -> Finding:
    return Finding(**json.loads(path.read_text()))
