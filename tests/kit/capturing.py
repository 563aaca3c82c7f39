"""`migctl capture` as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from migctl import clock
from tests.kit.conditions import PATIENCE_S


class Running:
    """A capture process and its folder."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, transport: str) -> None:
        self.process = process
        self.folder = folder
        self.path = folder / f"{transport}.ndjson"
        self.summary_path = folder / f"{transport}.summary.json"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Those that are whole: the last one may be on its way."""
        text = self.path.read_bytes() if self.path.exists() else b""
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.summary_path.read_bytes())
        return found

    async def said(self, word: str) -> str:
        """The next line on stderr that holds the word."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := (await self.process.stderr.readline()).decode():
                if word in line:
                    return line
        raise AssertionError(f"the process ended without saying {word!r}")

    def wait_for_lines(self, count: int, within_s: float = PATIENCE_S) -> None:
        """Block until the file has this many lines."""
        deadline = clock.mono() + within_s
        while not self.path.exists() or self.path.read_bytes().count(b"\n") < count:
            assert clock.mono() < deadline, f"not {count} lines within {within_s:g} s"
            time.sleep(0.02)

    async def ended(self) -> tuple[int, str, str]:
        """Exit code, stdout and the rest of stderr."""
        async with asyncio.timeout(PATIENCE_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


@contextlib.asynccontextmanager
async def capturing(
    folder: Path, *options: str, transport: str = "websocket", **more: Any
) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "migctl",
            "capture",
            "--transport",
            transport,
            "--out",
            str(folder),
            *options,
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder.parent,
        **more,
    )
    try:
        yield Running(process, folder, transport)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
