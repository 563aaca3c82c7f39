"""The stack and `serve`, as programs: started, asked and ended as an operator does it, and killed as nobody does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.crash.history.records import History

_OURS = ("MIGCTL_", "SUPABASE_", "DATABASE_URL", "REDIS_URL")
_ERRORS = ("an error of ours", "Traceback", '"exception":', "was never retrieved", "Task was destroyed")
_COMMAND_S = 120.0
_START_S = 90.0
_END_S = 90.0


class Broken(Exception):
    """The run can't go on: what it needs does not come up."""


def free_port() -> int:
    """One that no outgoing connection is given while nobody listens there."""
    while True:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    return {**clean, "MIGCTL_STATE_DIR": str(folder), "COLUMNS": "200", "NO_COLOR": "1", **more}


async def command(folder: Path, *words: str, more: Mapping[str, str]) -> tuple[int, str]:
    """One command to its end: its code, and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "migctl", *words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(folder, more),
        cwd=folder,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), _COMMAND_S)
    except TimeoutError:
        process.kill()
        out, _ = await process.communicate()
        return -1, f"no end within {_COMMAND_S:g} s: {out.decode(errors='replace')}"
    assert process.returncode is not None
    return process.returncode, out.decode(errors="replace")


def send(pid: int, number: signal.Signals) -> bool:
    """True where there was somebody to receive it."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def below(pid: int) -> list[psutil.Process]:
    """The children of a process; none where it is gone."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children()
    return []


class Stack:
    """The embedded stack, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = asyncio.Lock()

    async def up(self) -> None:
        """Bring up what is down; on other ports, where somebody else took one meanwhile. Raises Broken."""
        async with self._lock:
            for others in (False, False, True, True):
                if others:
                    await command(self.folder, "stack", "down", more={})
                code, words = await command(self.folder, "stack", "up", more={})
                if code == 0:
                    return
        raise Broken(f"`migctl stack up` ends with {code}: {words}")

    async def down(self) -> None:
        async with self._lock:
            await command(self.folder, "stack", "down", more={})

    async def fault(self, *words: str) -> int:
        code, _ = await command(self.folder, "stack", "fault", *words, more={})
        return code

    @property
    def known(self) -> dict[str, Any]:
        """stack.json: addresses, keys, processes."""
        found: dict[str, Any] = json.loads((self.folder / "stack.json").read_text())
        return found

    @property
    def database(self) -> str:
        url: str = self.known["database_url"]
        return url

    @property
    def standin_port(self) -> int:
        return int(self.known["supabase_url"].rpartition(":")[2])

    def pid(self, part: str) -> int | None:
        """Of a part, or of the `supervisor` of all; None where it is not known to run."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known = self.known
            return int(known["supervisor_pid"] if part == "supervisor" else known["parts"][part]["pid"])
        return None


class Serve:
    """One `serve` on one port, started again by whoever wants it to run."""

    def __init__(self, folder: Path, port: int, history: History, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = port
        self.supervised = False
        self._history = history
        self._environ = dict(environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._how = "itself"

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    async def start(self) -> None:
        """Return when it answers, or has ended again. Raises Broken where it does neither."""
        if self.pid is not None:
            return
        if self._watching is not None:
            await self._watching
        words = [
            "serve",
            "--listen",
            f"127.0.0.1:{self.port}",
            *(["--supervised"] if self.supervised else []),
        ]
        self._how = "itself"
        with (self.folder / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "migctl", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self.folder, self._environ),
                cwd=self.folder,
            )
        self._watching = asyncio.create_task(self._watch(self._process))
        await self.ready()

    async def ready(self) -> None:
        """Wait until it answers. Raises Broken where it runs and does not."""
        deadline = asyncio.get_running_loop().time() + _START_S
        while self.pid is not None:
            if asyncio.get_running_loop().time() > deadline:
                raise Broken(f"serve does not answer within {_START_S:g} s: {self.folder / 'serve.log'}")
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    try:
                        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                        if b" 200 " in await reader.readline():
                            return
                    finally:
                        writer.transport.abort()
            await asyncio.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """To the process that was started: the parent of all others."""
        if self.pid is not None:
            if number in (signal.SIGKILL, signal.SIGTERM) and self._how != "kill":
                self._how = "kill" if number is signal.SIGKILL else "term"
            send(self.pid, number)

    async def gone(self) -> None:
        """Wait until it has ended, and record how. Raises Broken where it does not end."""
        if self._watching is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._watching), _END_S)
            except TimeoutError:
                raise Broken(f"serve does not end: {self.folder / 'serve.log'}") from None

    async def tool(self, right: int, *words: str) -> None:
        """A command beside it, which must end with this code."""
        code, out = await command(self.folder, *words, more=self._environ)
        self._history.write("tool", words=" ".join(words[:2]), code=code, right=right, out=out[-300:])

    def record_errors(self) -> None:
        """What it wrote that nobody may find in a log, whatever breaks."""
        with (self.folder / "serve.log").open(encoding="utf-8", errors="replace") as log:
            errors = [line.strip()[:500] for line in log if any(word in line for word in _ERRORS)]
        self._history.write("log", errors=errors)

    async def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            await asyncio.sleep(0.05)
        self._history.write("ended", how=self._how, code=process.returncode)
