"""Flow: the merge between tasks. Those who receive put in, one consumer takes out, and a slow consumer costs bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from migctl import clock
from migctl.events import Position
from migctl.subscriber.merge import Item, Merge
from migctl.subscriber.release import Discontinuity, Release

Batch = list[Release | Discontinuity]


class Flow:
    """Owns one Merge. `changed` is set when a gap opens or somebody asks for attention; the repair loop clears it."""

    def __init__(self, merge: Merge | None = None) -> None:
        self.merge = merge or Merge()
        self.changed = asyncio.Event()
        self._wanted = asyncio.Event()
        self._taken = asyncio.Event()
        self._failure: BaseException | None = None
        self._ended = False

    def start(self, position: Position) -> None:
        self.merge.start(position, clock.mono())
        self._tell()

    def offer(self, items: Sequence[Item]) -> None:
        """What came live: it can't wait. What does not fit is paged for later."""
        self.merge.offer_all(items, clock.mono())
        self._tell()

    def hear(self, epoch: str, head: int) -> None:
        self.merge.hear(epoch, head, clock.mono())
        self._tell()

    def name(self, epoch: str, seq: int) -> None:
        self.merge.name(epoch, seq, clock.mono())
        self._tell()

    async def put(self, item: Item) -> None:
        """What came from a page or a socket that can be kept waiting: waits until the consumer has made room."""
        while not self.merge.fits(item):
            self._taken.clear()
            await self._taken.wait()
        self.merge.offer(item, clock.mono())
        self._tell()

    def lose(self, to: int, reason: str) -> None:
        self.merge.lose(to, reason, clock.mono())
        self._tell()

    def next_epoch(
        self, position: Position, *, lost: tuple[int, int] | None = None, reason: str | None = None
    ) -> None:
        self.merge.next_epoch(position, clock.mono(), lost=lost, reason=reason)
        self._tell()

    def fail(self, error: BaseException) -> None:
        """Let the consumer take what is ready, then raise this."""
        self._failure = error
        self._wanted.set()

    def end(self) -> None:
        """Let the consumer take what is ready, then finish."""
        self._ended = True
        self._wanted.set()

    async def batches(self) -> AsyncIterator[Batch]:
        """What can be released, as soon as it can, in lists that are not empty. One consumer at a time."""
        while True:
            batch = self.merge.take()
            self._taken.set()
            if batch:
                yield batch
                continue
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return
            self._wanted.clear()
            await self._wanted.wait()

    def _tell(self) -> None:
        self._wanted.set()
        if self.merge.repair_at() is not None:
            self.changed.set()
