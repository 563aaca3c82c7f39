"""The subscriber in JavaScript, run by Node as a process of its own, and what it handed out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from tests.kit.conditions import PATIENCE_S, until
from tests.kit.node import CLIENT, JS, NODE

QUICK = {"goneS": 0.5, "holdS": 0.6, "spreadS": 0.1, "askSoonS": 0.1}
ENTRY = (CLIENT.parent / "client.js").as_uri()


class Followed:
    """attached: the transports that it said last. ready, error, end: what it said of that, if it did. log: lines of stderr."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.releases: list[dict[str, Any]] = []
        self.gaps: list[dict[str, Any]] = []
        self.attached: list[str] = []
        self.assigned: str | None = None
        self.last: dict[str, Any] = {}
        self.ready: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self.log: list[str] = []

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode())

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.last = word = json.loads(line)
            if "seq" in word:
                self.releases.append(word)
            elif "gap" in word:
                self.gaps.append(word["gap"])
            elif "attached" in word:
                self.attached, self.assigned = word["attached"], word["assigned"]
            elif "ready" in word:
                self.ready.append(word["ready"])
            elif "error" in word:
                self.errors.append(word["error"])

    @property
    def seqs(self) -> list[int]:
        return [release["seq"] for release in self.releases]

    @property
    def ids(self) -> list[str]:
        return [release["id"] for release in self.releases]

    async def count(self, count: int) -> None:
        try:
            await until(lambda: len(self.releases) >= count or self.errors, within_s=PATIENCE_S)
        except AssertionError:
            raise AssertionError(f"{len(self.releases)} of {count} releases: {self.seqs[-3:]}") from None
        assert not self.errors, self.errors


@contextlib.asynccontextmanager
async def following(url: str, *, entry: str = ENTRY, **options: Any) -> AsyncIterator[Followed]:
    """From readiness on; left as a page is left, and what it writes to stderr is shown where the block fails."""
    process = await asyncio.create_subprocess_exec(
        NODE, JS / "follow.mjs", entry, url, json.dumps(QUICK | options),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=32 << 20,
    )  # fmt: skip
    assert process.stdin is not None
    followed = Followed(process)
    reading = asyncio.create_task(followed.read())
    complaints = asyncio.create_task(followed.read_log())
    try:
        await until(lambda: followed.ready or followed.errors or reading.done())
        yield followed
        process.stdin.close()
        await asyncio.wait_for(process.wait(), PATIENCE_S)
        await reading
        assert process.returncode == 0
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await complaints
        sys.stderr.write("".join(followed.log))
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await asyncio.gather(reading, complaints, return_exceptions=True)
