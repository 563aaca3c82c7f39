"""A source of events that a test may silence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.kit.serve_process import ServeProcess


class Source:
    """Posts some events a second, unless it is silent."""

    def __init__(self, serve: ServeProcess) -> None:
        self._serve = serve
        self.silent = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Source]:
        async def post() -> None:
            while True:
                if not self.silent:
                    await self._serve.post(3)
                await asyncio.sleep(0.1)

        task = asyncio.create_task(post())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})
