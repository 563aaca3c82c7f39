"""Burying: a poison event becomes a tombstone and a dead letter, and a storm of them is held.

The tombstone comes first: once the cursor is past a seq, readers must find it. A crash between the two repeats both, which changes
nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque

from migctl import clock
from migctl.delivery.attempts import Attempts
from migctl.errors import Poison
from migctl.events import Entry
from migctl.journal import DeadLetter, Journal
from migctl.telemetry import get_logger
from migctl.transports.realtime import TableWriter, Tombstone

# More dead letters than this a minute are not the events' fault: the rest waits for the minute to pass.
POISON_A_MINUTE = 20

_log = get_logger("relay")


class Burying:
    """Of one relay. table: its attempts at the table, whose state a storm changes. tombstones: counted there, by reason."""

    def __init__(
        self, journal: Journal, writer: TableWriter, table: Attempts, tombstones: Counter[str]
    ) -> None:
        self._journal = journal
        self._writer = writer
        self._table = table
        self._tombstones = tombstones
        self._buried_at: deque[float] = deque()

    async def bury(self, entry: Entry, error: Poison) -> None:
        """Keep a poison event: its text as a tombstone, from which it is delivered, and a dead letter for the operator."""
        await self._hold_in_storm(entry, error)
        await self._table.until_done(lambda: self._writer.bury([Tombstone(entry, "poison")]))
        code, reason = getattr(error, "code", ""), getattr(error, "reason", error.what)
        await self._journal.bury(
            DeadLetter(
                position=entry.position, event_id=entry.event.id, code=code, reason=reason, at=clock.now()
            )
        )
        self._buried_at.append(clock.mono())
        self._tombstones["poison"] += 1
        _log.error(
            "event buried", epoch=entry.epoch, seq=entry.seq, id=entry.event.id, code=code, reason=reason
        )

    async def _hold_in_storm(self, entry: Entry, error: Poison) -> None:
        while self._buried_at:
            left = self._buried_at[0] + 60.0 - clock.mono()
            if left <= 0:
                self._buried_at.popleft()
            elif len(self._buried_at) < POISON_A_MINUTE:
                return
            else:
                self._table.fail(
                    "paused",
                    f"{POISON_A_MINUTE} dead letters in a minute; next is seq {entry.seq} of {entry.epoch}: {error.what}",
                    "find out why the table refuses so much: `migctl schema verify`; it goes on as the minute passes",
                )
                await asyncio.sleep(left)
