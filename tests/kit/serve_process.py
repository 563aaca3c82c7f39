"""`migctl serve` as a process of its own, in a folder of its own, for tests that kill it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.kit.conditions import going_on

STARTS_WITHIN_S = 90.0
_OURS = ("MIGCTL_", "SUPABASE_", "DATABASE_URL", "REDIS_URL")


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    return {
        **clean,
        "MIGCTL_STATE_DIR": str(folder),
        "MIGCTL_WITNESS": "off",
        "COLUMNS": "80",
        **(more or {}),
    }


def run(folder: Path, *words: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "migctl", *words],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=environment(folder, more),
        cwd=folder,
    )


def begin(
    folder: Path, *words: str, out: Path, err: Path, more: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A command that goes on. out, err: what they are appended to."""
    with out.open("ab") as stdout, err.open("ab") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "migctl", *words],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment(folder, more),
            cwd=folder,
        )


@dataclass
class ServeProcess:
    process: subprocess.Popen[bytes]
    folder: Path
    url: str

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws"

    def posting(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Some events a second, for the length of the block."""
        return going_on(lambda: self.post(2), every_s=0.1)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait(60)

    def stop(self) -> str:
        """End it as an operator does. Its log, which is whole then: lines are written by a thread, and one that is killed takes
        those that wait with it."""
        self.send(signal.SIGTERM)
        assert self.process.wait(60) == 0
        return (self.folder / "serve.log").read_text()

    async def post(self, count: int) -> None:
        """Events with ids of the server's; they are durable afterwards."""
        events = [{"event_type": "cpu", "data": {"used": one}} for one in range(count)]
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{self.url}/events", json=events)
        assert answer.status_code == 201, answer.text


@contextlib.contextmanager
def serving_process(
    folder: Path, *options: str, more: Mapping[str, str] | None = None, stderr: int | None = None
) -> Iterator[ServeProcess]:
    """Ready when it is yielded; killed at the end. stderr: a descriptor; None is serve.log in the folder, as stdout."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "serve.log"
    log.write_bytes(b"")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "migctl", "serve", "--listen", "127.0.0.1:0", *options],
            stdout=out,
            stderr=out if stderr is None else stderr,
            env=environment(folder, more),
            cwd=folder,
        )
    try:
        yield ServeProcess(process, folder, _announced(folder, process, log)["url"])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(60)


def _announced(folder: Path, process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            said: dict[str, Any] = json.loads((folder / "serve.json").read_text())
            if said["pid"] == process.pid:
                return said
        time.sleep(0.02)
    raise AssertionError(f"serve did not start ({process.poll()}):\n{log.read_text()}")
