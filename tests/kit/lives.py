"""`migctl serve` on one port, one life after the other: each is killed, most of them by themselves at a point of `failpoint`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from migctl.stack.launcher import any_free_port
from tests.kit.conditions import PATIENCE_S, until
from tests.kit.serve_process import environment

ROOT = Path(__file__).parents[2]
LOG = "serve.log"


class Lives:
    """Of one journal in one folder. number: of the life that is running, from 1."""

    def __init__(self, folder: Path, nursery: asyncio.subprocess.Process) -> None:
        self._folder = folder
        self._nursery = nursery
        self._pid: int | None = None
        self._port = any_free_port()
        self.number = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/ws"

    @property
    def journal(self) -> Path:
        return self._folder / "journal.db"

    async def begin(self, point: str | None = None, passes: int = 1) -> None:
        """Start it, and do not wait until it serves. point, passes: where it kills itself; None lives until it is ended."""
        self.number += 1
        arguments = [
            "serve",
            "--mode",
            "dual",
            "--listen",
            f"127.0.0.1:{self._port}",
            "--log-level",
            "warning",
        ]
        order = {"point": point, "passes": passes, "arguments": arguments}
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(json.dumps(order).encode() + b"\n")
        self._pid = await self._told(60.0)  # the first time it has all its imports before it

    async def killed(self, *, within_s: float = PATIENCE_S) -> None:
        """Wait until it has killed itself. Raises AssertionError where it did not, or ended in another way."""
        assert await self._ended(within_s) == -signal.SIGKILL, self._said()

    async def kill(self) -> None:
        self._send(signal.SIGKILL)
        await self._ended(10.0)

    async def drain_once_it_serves(self) -> None:
        """Tell it to end, as an operator does."""
        await until(self._serves)
        self._send(signal.SIGTERM)

    async def end(self) -> None:
        """Let the last one end in peace."""
        self._send(signal.SIGTERM)
        assert await self._ended(PATIENCE_S) == 0, self._said()

    def _serves(self) -> bool:
        announced = self._folder / "serve.json"
        return announced.exists() and json.loads(announced.read_text())["pid"] == self._pid

    def _said(self) -> str:
        return f"life {self.number}:\n" + (self._folder / LOG).read_text()[-4000:]

    def _send(self, number: signal.Signals) -> None:
        assert self._pid is not None
        os.kill(self._pid, number)

    async def _ended(self, within_s: float) -> int:
        try:
            status = await self._told(within_s)
        except TimeoutError:
            raise AssertionError(f"still alive after {within_s} s; {self._said()}") from None
        self._pid = None
        return status

    async def _told(self, within_s: float) -> int:
        """The next number that the nursery says."""
        assert self._nursery.stdout is not None
        async with asyncio.timeout(within_s):
            return int(await self._nursery.stdout.readline())


@asynccontextmanager
async def lives(folder: Path, more: Mapping[str, str]) -> AsyncIterator[Lives]:
    """None outlives the block. more: of the environment."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("wb") as log:
        nursery = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.kit.failpoint"),
            cwd=folder,
            env={**environment(folder, more), "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        yield Lives(folder, nursery)
    finally:
        assert nursery.stdin is not None
        nursery.stdin.close()
        await nursery.wait()
