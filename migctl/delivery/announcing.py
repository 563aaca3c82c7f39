"""Announcing: heads are how readers learn how far table and journal are. They move at once after an idle time, coalesced while
busy, now and then while only the journal moves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from migctl.delivery.attempts import Attempts
from migctl.journal import EpochInfo
from migctl.resilience import News
from migctl.target import Heads


@dataclass(frozen=True, slots=True)
class Reached:
    """How far an epoch is: in the table, and in the journal."""

    table_head: int = 0
    journal_head: int = 0


class Announce(msgspec.Struct, frozen=True):
    """Heads are to say this now."""

    reached: Reached


class Quiet(msgspec.Struct, frozen=True):
    """They say it already. Whoever moves the table head wakes us; for the journal alone we come again within this time."""

    within_s: float


def decide(announced: Reached | None, reached: Reached, *, behind_s: float) -> Announce | Quiet:
    """What is to be announced of an epoch. Pure. announced: None where nothing was, since the relay took it up.

    | announced   | reached the same                 | reached another         |
    |-------------|----------------------------------|-------------------------|
    | nothing yet | announce: we are its writer now  | announce                |
    | something   | quiet, for at most `behind_s`    | announce, also a lower  |
    """
    return Quiet(behind_s) if reached == announced else Announce(reached)


def is_through(announced: Reached, seq: int) -> bool:
    """Whether both heads were announced to be this far."""
    return min(announced.table_head, announced.journal_head) >= seq


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
        self._ending = False

    def follow(self, *, apart_s: float, behind_s: float) -> None:
        """By these from the next announcement on."""
        self._apart_s, self._behind_s = apart_s, behind_s

    async def begin(self, epoch: EpochInfo) -> None:
        """Announce an epoch from which nothing was carried yet.

        Readers find rows only of epochs that heads know; an old one gets its head even where it is empty: their chain goes through
        it.
        """
        self.announced, self._ending = Reached(), False
        await self._attempts.until_done(lambda: self._move(epoch, Reached()))

    async def begin_at(self, epoch: EpochInfo, tail: int) -> None:
        """What is below `tail` was trimmed before anybody relayed it: readers must find that it is gone, not a hole."""
        await self._attempts.until_done(
            lambda: self._heads.begin_at(epoch, writer_id=self._writer_id, tail=tail)
        )

    async def run(self, epoch: EpochInfo, reached: Callable[[], Reached]) -> None:
        """Until `end`, or cancelled. reached: how far the epoch is now."""

        announced: Reached | None = None
        while not self._ending:
            due = decide(announced, reached(), behind_s=self._behind_s)
            if isinstance(due, Quiet):
                await self._moved.wait(due.within_s)
                continue
            announced = self.announced = await self._attempts.until_done(
                partial(self._announce, epoch, reached)
            )
            self._moved.wake()
            await asyncio.sleep(self._apart_s)

    async def _announce(self, epoch: EpochInfo, reached: Callable[[], Reached]) -> Reached:
        """How far it is at this try; what it was at the one before may be long ago."""
        now = reached()
        await self._move(epoch, now)
        return now

    def end(self) -> None:
        """Let `run` return once it is through with what it says now: what comes after must not be overtaken by it."""
        self._ending = True
        self._moved.wake()

    async def until(self, seq: int) -> None:
        """Return once both heads were announced to be this far."""
        while not is_through(self.announced, seq):
            await self._moved.wait()

    async def _move(self, epoch: EpochInfo, to: Reached) -> None:
        await self._heads.move(
            epoch, writer_id=self._writer_id, table_head=to.table_head, journal_head=to.journal_head
        )
