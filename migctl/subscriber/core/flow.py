"""Flow: the merge between tasks. Those who receive put in, one consumer takes out, and a slow consumer costs bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self
from weakref import WeakSet

from migctl import clock
from migctl.errors import Usage
from migctl.events import Position
from migctl.subscriber.core.merge import Item, Merge
from migctl.subscriber.core.release import Discontinuity, Release
from migctl.telemetry import get_logger

MOST_AT_ONCE = 1000
LOG_SLOW_EVERY_S = 60.0

log = get_logger("subscriber")

Batch = list[Release | Discontinuity]


class Flow:
    """Owns one Merge. `changed` is set when a gap opens or somebody asks for attention; the repair loop clears it."""

    def __init__(self, merge: Merge | None = None) -> None:
        self.merge = merge or Merge()
        self.changed = asyncio.Event()
        self._wanted = asyncio.Event()
        self._taken = asyncio.Event()
        self._taker: object | None = None
        self._displaced: WeakSet[object] = WeakSet()
        self._waiting = False
        self._slow_logged_at = float("-inf")
        self._failure: BaseException | None = None
        self._ended = False

    def start(self, position: Position) -> None:
        self.merge.start(position, clock.mono())
        self._wake()

    def offer(self, items: Sequence[Item]) -> None:
        """What came live: it can't wait. What does not fit is paged for later."""
        put_off = self.merge.put_off
        self.merge.offer_all(items, clock.mono())
        if self.merge.put_off > put_off:
            self._log_slow()
        self._wake()

    def hear(self, epoch: str, head: int) -> None:
        self.merge.hear(epoch, head, clock.mono())
        self._wake()

    def name(self, epoch: str, seq: int) -> None:
        self.merge.name(epoch, seq, clock.mono())
        self._wake()

    async def put(self, item: Item) -> None:
        """What came from a page or a socket that can be kept waiting: waits until the consumer has made room."""
        while not self.merge.fits(item):
            self._log_slow()
            self._taken.clear()
            await self._taken.wait()
        self.merge.offer(item, clock.mono())
        self._wake()

    def lose(self, to: int, reason: str) -> None:
        self.merge.lose(to, reason, clock.mono())
        self._wake()

    def next_epoch(
        self, position: Position, *, lost: tuple[int, int] | None = None, reason: str | None = None
    ) -> None:
        self.merge.next_epoch(position, clock.mono(), lost=lost, reason=reason)
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Let the consumer take what is ready, then raise this."""
        self._failure = error
        self._wanted.set()

    def end(self) -> None:
        """Let the consumer take what is ready, then finish."""
        self._ended = True
        self._wanted.set()

    async def take(self, taker: object, limit: int) -> Batch:
        """What can be released, as soon as it can; never empty.

        One taker at a time: a new one takes over from one that does not wait.
        Raises StopAsyncIteration at the end, what `fail` was given, and Usage where there are two takers.
        """
        if self._waiting or (self._taker is not taker and taker in self._displaced):
            raise Usage(
                "this subscriber is iterated twice at once: each event would come to one of the two",
                do="iterate once and hand on what comes, or open a second Subscriber",
            )
        if self._taker is not taker:
            if self._taker is not None:
                self._displaced.add(self._taker)
            self._taker = taker
        while not (batch := self.merge.take(limit)):
            self._taken.set()
            if self._failure is not None:
                raise self._failure
            if self._ended:
                raise StopAsyncIteration
            self._wanted.clear()
            self._waiting = True
            try:
                await self._wanted.wait()
            finally:
                self._waiting = False
        self._taken.set()
        return batch

    def _log_slow(self) -> None:
        if (now := clock.mono()) >= self._slow_logged_at + LOG_SLOW_EVERY_S:
            self._slow_logged_at = now
            log.warning(
                "the application is slower than the stream: what does not fit waits, or is fetched later",
                position=self.merge.place,
                waiting_bytes=self.merge.bytes,
            )

    def _wake(self) -> None:
        self._wanted.set()
        if self.merge.repair_at() is not None:
            self.changed.set()


class Batches:
    """Iterates over a Flow in lists that are not empty."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        return await self._flow.take(self, MOST_AT_ONCE)


class Items:
    """Iterates over a Flow one by one, so that the position is never ahead of what was handed out."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Release | Discontinuity:
        (item,) = await self._flow.take(self, 1)
        return item
