"""The product's own subscribers as readers: `migctl capture` as a program, killed and begun anew, and what it wrote down."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.crash.history.content import loads
from tests.crash.history.parts import environment
from tests.crash.history.readers import Returning
from tests.crash.history.records import History

_POLL_S = 0.2
_END_S = 30.0


class Capture(Returning):
    """transport: `dual`, which moves between both, or `realtime`. Each begins at the head: its position dies with it."""

    kind = "capture"
    secret: Callable[[], dict[str, str]]

    def __init__(
        self,
        name: str,
        rng: random.Random,
        url: str,
        history: History,
        *,
        transport: str,
        folder: Path,
        environ: Mapping[str, str],
    ) -> None:
        super().__init__(name, rng, url, history)
        self.kind = f"{transport} capture"
        self._transport = transport
        self._folder = folder
        self._environ = environment(folder, environ)
        self._count = 0

    async def _once(self) -> None:
        self._count += 1
        out = self._folder / f"{self.name}-{self._count}"
        self._opened(None)
        url = ["--url", self._base] if self._transport == "dual" else []
        with out.with_suffix(".log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "migctl", "capture", "--transport", self._transport),
                *("--out", str(out), *url),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ | self.secret(),
                cwd=self._folder,
            )
        try:
            await self._follow(process, out / f"{self._transport}.ndjson")
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _follow(self, process: asyncio.subprocess.Process, path: Path) -> None:
        """Read what it writes until the drawn end of its life; then kill it, or let it say goodbye."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._rng.expovariate(1 / 40)
        half, at = b"", 0
        is_over = False
        while not is_over:
            # What it wrote before it ended is read after it.
            is_over = process.returncode is not None
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                file.seek(at)
                more = file.read()
                at += len(more)
                *lines, half = (half + more).split(b"\n")
                for line in lines:
                    self._release(line)
            if not self.stays and loop.time() > until and process.returncode is None:
                until = loop.time() + _END_S
                if self._rng.random() < 0.5:
                    process.kill()
                else:
                    process.terminate()
            await asyncio.sleep(_POLL_S)

    def _release(self, line: bytes) -> None:
        event = loads(line)
        self._event(event["epoch"], {**event, "type": event["event_type"]})
