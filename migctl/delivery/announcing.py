"""Announcing: heads are how readers learn how far table and journal are. They move at once after an idle time, coalesced while
busy, now and then while only the journal moves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from migctl.delivery.attempts import Attempts
from migctl.journal import EpochInfo
from migctl.resilience import News
from migctl.target import Heads


@dataclass(frozen=True, slots=True)
class Reached:
    """How far an epoch is: in the table, and in the journal."""

    table_head: int = 0
    journal_head: int = 0


class Announcer:
    """Of one relay. moved: is woken at each announcement, and by whoever moves the table head.

    apart_s: no two announcements are closer; readers poll them every 0.25 s at most. behind_s: how soon a journal that moves alone
    is announced.
    """

    def __init__(
        self,
        heads: Heads,
        attempts: Attempts,
        writer_id: str,
        moved: News,
        *,
        apart_s: float,
        behind_s: float,
    ) -> None:
        self._heads = heads
        self._attempts = attempts
        self._writer_id = writer_id
        self._moved = moved
        self._apart_s = apart_s
        self._behind_s = behind_s
        self.announced = Reached()

    async def begin(self, epoch: EpochInfo) -> None:
        """Announce an epoch from which nothing was carried yet.

        Readers find rows only of epochs that heads know; an old one gets its head even where it is empty: their chain goes through
        it.
        """
        self.announced = Reached()
        await self._attempts.until_done(lambda: self._move(epoch, Reached()))

    async def begin_at(self, epoch: EpochInfo, tail: int) -> None:
        """What is below `tail` was trimmed before anybody relayed it: readers must find that it is gone, not a hole."""
        await self._attempts.until_done(
            lambda: self._heads.begin_at(epoch, writer_id=self._writer_id, tail=tail)
        )

    async def run(self, epoch: EpochInfo, reached: Callable[[], Reached]) -> None:
        """Until cancelled. reached: how far the epoch is now."""

        async def announce() -> Reached:
            now = reached()
            await self._move(epoch, now)
            return now

        first = True
        while True:
            if first or reached() != self.announced:
                self.announced, first = await self._attempts.until_done(announce), False
                self._moved.wake()
                await asyncio.sleep(self._apart_s)
            if reached() == self.announced:
                await self._moved.wait(self._behind_s)

    async def until(self, seq: int) -> None:
        """Return once both heads were announced to be this far."""
        while min(self.announced.table_head, self.announced.journal_head) < seq:
            await self._moved.wait()

    async def _move(self, epoch: EpochInfo, to: Reached) -> None:
        await self._heads.move(
            epoch, writer_id=self._writer_id, table_head=to.table_head, journal_head=to.journal_head
        )
