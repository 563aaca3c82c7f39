"""Burying: a poison event becomes a tombstone and a dead letter; a storm of them is held until the operator accepts it.

The tombstone comes first, and the cursor passes a seq after both: a crash between them repeats both, and neither is made twice. The
other way round a dead letter could stand for an event that the next run writes as a row.

What is the event's own fault (`own_fault`) is buried at any rate, and is no part of a storm: nothing that anybody mends would help.

While a storm is held the relay stays at the event, tries it again slowly and goes on by itself once the table takes it: what was
wrong has been mended. When one is held, and for how long, is `Storm`'s; hold and acceptance are in the journal too, so that a
restart lifts neither.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from functools import partial

import msgspec

from migctl import clock
from migctl.delivery.attempts import Attempts
from migctl.delivery.blame import Blamed, write_or_blame
from migctl.delivery.dead_letters import DeadLetters
from migctl.delivery.own_fault import CODES, is_own_fault
from migctl.delivery.storm import Left, Storm
from migctl.events import Position, format_time
from migctl.events.jsontext import dumps, loads
from migctl.journal import DeadLetter, Journal
from migctl.resilience import News
from migctl.status import DeadLettersStatus
from migctl.target import TableWriter, Tombstone, Written
from migctl.telemetry import get_logger

MOST_MINUTES = 1440
# So many are looked through at a start, which is more than a minute has.
LAST_LETTERS = 1000
NOTE = "poison_storm"

ACCEPT = "migctl deadletter accept --minutes 10"

_log = get_logger("relay")


class Burying:
    """Of one relay. table: its attempts at the table, whose state a hold changes. tombstones: counted there, by reason.

    a_minute: how many may be buried in a minute before the rest is held.
    """

    def __init__(
        self,
        journal: Journal,
        writer: TableWriter,
        table: Attempts,
        tombstones: Counter[str],
        *,
        a_minute: int,
    ) -> None:
        self.dead_letters = DeadLetters(journal)
        self._journal = journal
        self._writer = writer
        self._table = table
        self._tombstones = tombstones
        self._storm = Storm(a_minute)
        self._loaded = False
        self._accepted = News()

    def follow(self, *, a_minute: int) -> None:
        """How many may be buried in a minute from now on. What is held is held: `accept` lifts that."""
        self._storm.follow(a_minute)

    async def load(self) -> None:
        """Take up what the process before this one left."""
        await self.dead_letters.load()
        text = await self._journal.note(NOTE)
        left = None if text is None else msgspec.convert(loads(text), Left)
        self._storm.resume(left, await self._buried_at(), now=clock.mono(), wall=clock.now())
        self._loaded = True

    async def _buried_at(self) -> list[datetime]:
        """When those of the last letters were buried that may be the table's fault, oldest first."""
        found: list[datetime] = []
        for letter in await self._journal.dead_letters(limit=LAST_LETTERS):
            entry = await self._journal.get(letter.event_id) if letter.code in CODES else None
            if entry is None or not is_own_fault(letter.code, entry.event.data):
                found.append(letter.at)
            if len(found) == self._storm.a_minute:
                break
        return found[::-1]

    async def bury(self, blamed: Blamed) -> Written | None:
        """Keep a poison event: its text as a tombstone, from which it is delivered, and a dead letter for the operator.

        Returns what was written instead, where a storm was held and the table took the event in the end.
        """
        if not self._loaded:
            await self.load()
        entry = blamed.entry
        retry = self._table.new_retry()
        # Where none may be buried, an event's own fault is no reason either.
        own = self._storm.a_minute > 0 and is_own_fault(blamed.code, entry.event.data)
        while not own and await self._is_held(blamed):
            retry.failed(blamed)
            if await retry.wait(self._accepted):
                continue
            try:
                return await self._table.until_done(partial(write_or_blame, self._writer, [entry]))
            except Blamed as again:
                blamed = again
                own = self._storm.a_minute > 0 and is_own_fault(blamed.code, entry.event.data)
        await self._table.until_done(partial(self._writer.bury, [Tombstone(entry, "poison")]))
        letter = DeadLetter(entry.position, entry.event.id, blamed.code, blamed.reason, clock.now())
        if await self.dead_letters.record(letter):
            if not own:
                self._storm.buried(clock.mono())
            self._tombstones["poison"] += 1
        _log.error("event buried", epoch=entry.epoch, seq=entry.seq, id=entry.event.id, code=blamed.code,
                   reason=blamed.reason)  # fmt: skip
        return None

    async def passed(self, position: Position) -> None:
        """Every seq up to here is a row or a tombstone: a hold at one of them is over."""
        if self._storm.passed(position):
            await self._save()

    async def accept(self, minutes: float, who: str) -> datetime:
        """Bury whatever the table refuses, for this long; the relay goes on at once. Returns the end of it."""
        until = self._storm.accept(minutes, who, now=clock.mono(), wall=clock.now()).until
        self._accepted.wake()
        _log.warning("dead letters accepted", minutes=minutes, who=who, until=format_time(until))
        await self._save()
        return until

    def status(self) -> DeadLettersStatus:
        held, accepted = self._storm.held, self._storm.accepted(clock.mono())
        return DeadLettersStatus(
            waiting=self.dead_letters.waiting,
            by_code=dict(self.dead_letters.by_code),
            held_since=held.since if held else None,
            accepted_until=accepted.until if accepted else None,
            accepted_by=accepted.who if accepted else None,
        )

    async def _is_held(self, blamed: Blamed) -> bool:
        """Whether the relay has to stay here. What that changes is in the journal by then, and shown."""
        entry = blamed.entry
        while (answer := self._storm.ask(entry.position, now=clock.mono(), wall=clock.now())).changed:
            if answer.ended is not None:
                _log.warning("dead letters are no longer accepted", who=answer.ended.who)
            await self._save()  # and ask again: the operator may have accepted meanwhile
        if answer.may_bury:
            return False
        self._table.fail(
            "paused",
            f"{self._storm.a_minute} dead letters in a minute; next is seq {entry.seq} of {entry.epoch}: "
            f"{blamed.what}",
            f"mend what the table refuses and the relay goes on by itself, or bury on: `{ACCEPT}`",
        )
        return True

    async def _save(self) -> None:
        left = self._storm.left(clock.mono())
        await self._journal.set_note(NOTE, dumps(msgspec.to_builtins(left)).decode())
