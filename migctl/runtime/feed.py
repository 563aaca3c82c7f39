"""The feed: a source besides `POST /events`, run into the journal between the moments at which it may begin and has to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from migctl.journal import Journal
from migctl.status import AnySource
from migctl.telemetry import get_logger


class Source(Protocol):
    """Where events come from besides `POST /events`."""

    async def run(self, journal: Journal) -> None:
        """Feed the journal until the source ends, or for ever."""
        ...

    def status(self) -> AnySource: ...


class Feed:
    """source: None where events only come over HTTP; such a feed is over from the start.

    gate: None, or a callable that waits until the source may begin and, called again, until it must end.
    """

    def __init__(self, source: Source | None, gate: Callable[[], Awaitable[object]] | None = None) -> None:
        self.source = source
        self._gate = gate
        self._ended = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Everything that the source gave is in the journal, and no more will come."""
        return self._ended.is_set()

    async def end(self) -> None:
        """Return once it has ended."""
        await self._ended.wait()

    async def run(self, journal: Journal) -> None:
        """Feed the journal until the source ends. Raises what the source raises."""
        if self.source is not None:
            if self._gate is None:
                await self.source.run(journal)
            else:
                await self._gate()
                await _until(self.source.run(journal), self._gate())
            get_logger("serve").info("source ended", head=journal.head)
        self._ended.set()


async def _until(work: Awaitable[None], end: Awaitable[object]) -> None:
    """Return once either is over; the other is cancelled, and awaited."""
    working, ending = asyncio.ensure_future(work), asyncio.ensure_future(end)
    try:
        await asyncio.wait([working, ending], return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.cancel()
        stopped = not working.done() and working.cancel()
        await asyncio.wait([working, ending])
    if not (stopped and working.cancelled()):
        working.result()
