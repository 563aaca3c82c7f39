"""`serve --supervised`: what becomes of its worker, its callers and its subscribers when processes die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.kit.serve_process import environment

WITHIN_S = 60.0
_OPTIONS = ("--mode", "websocket", "--listen", "127.0.0.1:0")


@dataclass
class Supervised:
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def status(self) -> dict[str, object]:
        answer = httpx.get(f"{self.url}/api/status", trust_env=False, timeout=WITHIN_S)
        return dict(answer.json())

    def worker(self) -> int:
        return int(str(self.status()["pid"]))

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def warm(self) -> None:
        """Another worker stands by, and sleeps."""
        _until(lambda: len(self.family()) == 2 and all(_waits(one) for one in self.family()))


def _waits(process: psutil.Process) -> bool:
    """It has had its imports: nothing more is used of the CPU."""
    before = sum(process.cpu_times()[:2])
    time.sleep(0.3)  # the measure itself is a rate
    return sum(process.cpu_times()[:2]) - before < 0.1


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def _supervised(folder: Path, settings: str = "") -> Iterator[Supervised]:
    (folder / "migctl.yaml").write_text(settings)
    log = folder / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "migctl", "serve", "--supervised", *_OPTIONS],
            stdout=out,
            stderr=out,
            env=environment(folder),
            cwd=folder,
        )
    try:
        _until(lambda: process.poll() is not None or (folder / "serve.json").exists())
        yield Supervised(process, json.loads((folder / "serve.json").read_text())["url"], log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(WITHIN_S)


def test_who_asks_while_the_worker_is_dead_is_answered_by_the_next(tmp_path: Path) -> None:
    with _supervised(tmp_path) as on:
        on.warm()
        dead = on.worker()
        [standby] = [one.pid for one in on.family() if one.pid != dead]
        os.kill(dead, signal.SIGKILL)
        answer = httpx.post(
            f"{on.url}/events", json={"event_type": "cpu", "data": {}}, trust_env=False, timeout=WITHIN_S
        )
        assert answer.status_code == 201
        status = on.status()
        assert status["pid"] == standby, "not the one that was warm"
        supervision = status["supervision"]
        assert isinstance(supervision, dict)
        assert (supervision["restarts"], supervision["last_reason"]) == (1, "it was killed by SIGKILL")


def test_a_worker_that_hangs_is_killed_and_replaced(tmp_path: Path) -> None:
    with _supervised(tmp_path, "supervision: {silence_s: 1}\n") as on:
        on.warm()
        os.kill(on.worker(), signal.SIGSTOP)
        supervision = on.status()["supervision"]
        assert isinstance(supervision, dict)
        assert supervision["last_reason"] == "its loop hung, and it was killed"


def test_nobody_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    with _supervised(tmp_path) as on:
        on.warm()
        family = on.family()
        on.process.kill()
        on.process.wait(WITHIN_S)
        _until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_ends_both_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with _supervised(tmp_path) as on:
        on.warm()
        family = on.family()
        on.process.send_signal(number)
        assert on.process.wait(WITHIN_S) == 0
        assert not any(one.is_running() for one in family)
        assert "stopped at seq 0" in on.log.read_text()
        assert not (tmp_path / "serve.json").exists()


def test_a_second_writer_is_refused_with_the_worker_s_code(tmp_path: Path) -> None:
    with _supervised(tmp_path) as first, _supervised(tmp_path) as second:
        assert second.process.wait(WITHIN_S) == 4, second.log.read_text()
        assert first.status()["pid"]


def test_a_worker_that_dies_at_each_start_is_given_up_with_its_code(tmp_path: Path) -> None:
    with _supervised(tmp_path, "supervision: {max_quick_deaths: 2, first_delay_s: 0.05}\n") as on:
        for _ in range(3):
            with suppress(httpx.HTTPError, json.JSONDecodeError):
                os.kill(on.worker(), signal.SIGKILL)
        assert on.process.wait(WITHIN_S) == 70
        assert "start serve again" in on.log.read_text()
