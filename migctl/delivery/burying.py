"""Burying: a poison event becomes a tombstone and a dead letter; a storm of them is held until the operator accepts it.

The tombstone comes first, and the cursor passes a seq after both: a crash between them repeats both, and neither is made twice. The
other way round a dead letter could stand for an event that the next run writes as a row.

More than `relay.max_dead_letters_per_minute` are not the events' fault, whatever the code. The relay then stays at the event, tries
it again slowly and goes on by itself once the table takes it: what was wrong has been mended. It buries on only where it is told
to, for a time. Hold and acceptance are in the journal: a restart lifts neither.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from migctl import clock
from migctl.delivery.attempts import Attempts
from migctl.delivery.letters import DeadLetters
from migctl.errors import Poison
from migctl.events import Entry, Position, format_time, parse_time
from migctl.events.jsontext import dumps, loads
from migctl.journal import DeadLetter, Journal
from migctl.target import TableWriter, Tombstone, Written
from migctl.telemetry import get_logger

MINUTE_S = 60.0
MOST_MINUTES = 1440
NOTE = "poison_storm"

ACCEPT = "migctl deadletter accept --minutes 10"

_log = get_logger("relay")


@dataclass(frozen=True, slots=True)
class Accepted:
    """For how long everything is buried. until_s: of the monotonic clock, which nobody sets back."""

    until_s: float
    until: datetime
    who: str


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
        self.letters = DeadLetters(journal)
        self._journal = journal
        self._writer = writer
        self._table = table
        self._tombstones = tombstones
        self._a_minute = a_minute
        self._loaded = False
        self._buried_at: deque[float] = deque(maxlen=a_minute)
        self._held: tuple[Position, datetime] | None = None  # which event, since when
        self._accepted: Accepted | None = None
        self._woken = asyncio.Event()

    async def load(self) -> None:
        """Take up what the process before this one left."""
        await self.letters.load()
        now, mono = clock.now(), clock.mono()
        for letter in reversed(await self._journal.dead_letters(limit=self._a_minute)):
            age_s = (now - letter.at).total_seconds()
            if 0 <= age_s < MINUTE_S:
                self._buried_at.append(mono - age_s)
        self._remember(await self._journal.note(NOTE), now, mono)
        self._loaded = True

    async def bury(self, entry: Entry, error: Poison) -> Written | None:
        """Keep a poison event: its text as a tombstone, from which it is delivered, and a dead letter for the operator.

        Returns what was written instead, where a storm was held and the table took the event in the end.
        """
        if not self._loaded:
            await self.load()
        tries = 0
        while not self._may_bury(entry.position):
            tries += 1
            await self._hold(entry, error, self._table.systemic_delay_s(tries))
            if self._may_bury(entry.position):
                break
            try:
                return await self._table.until_done(lambda: self._writer.write([entry]))
            except Poison as again:
                error = again
        await self._table.until_done(lambda: self._writer.bury([Tombstone(entry, "poison")]))
        code, reason = getattr(error, "code", ""), getattr(error, "reason", error.what)
        letter = DeadLetter(entry.position, entry.event.id, code, reason, clock.now())
        if await self.letters.record(letter):
            self._buried_at.append(clock.mono())
            self._tombstones["poison"] += 1
        _log.error(
            "event buried", epoch=entry.epoch, seq=entry.seq, id=entry.event.id, code=code, reason=reason
        )
        return None

    async def passed(self, position: Position) -> None:
        """Every seq up to here is a row or a tombstone: a hold at one of them is over."""
        if self._held is not None and not _before(position, self._held[0]):
            self._held = None
            await self._save()

    async def accept(self, minutes: float, who: str) -> datetime:
        """Bury whatever the table refuses, for this long; the relay goes on at once. Returns the end of it."""
        until = clock.now() + timedelta(minutes=minutes)
        self._accepted = Accepted(clock.mono() + minutes * 60.0, until, who)
        self._held = None
        self._woken.set()
        _log.warning("dead letters accepted", minutes=minutes, who=who, until=format_time(until))
        await self._save()
        return until

    def status(self) -> dict[str, Any]:
        accepted = self._accepted
        if accepted is not None and clock.mono() >= accepted.until_s:
            accepted = None
        return {
            **self.letters.as_json(),
            "held_since": format_time(self._held[1]) if self._held else None,
            "accepted_until": format_time(accepted.until) if accepted else None,
            "accepted_by": accepted.who if accepted else None,
        }

    def _may_bury(self, position: Position) -> bool:
        now = clock.mono()
        if self._accepted is not None:
            if now < self._accepted.until_s:
                return True
            _log.warning("dead letters are no longer accepted", who=self._accepted.who)
            self._accepted = None
        if self._held is not None:
            if self._held[0] == position:
                return False
            self._held = None  # a process before this one was held at another, and that one has passed since
        while self._buried_at and now - self._buried_at[0] >= MINUTE_S:
            self._buried_at.popleft()
        return len(self._buried_at) < self._a_minute

    async def _hold(self, entry: Entry, error: Poison, seconds: float) -> None:
        """Wait this long, or until the operator accepts."""
        self._woken.clear()
        if self._held is None:
            self._held = (entry.position, clock.now())
            await self._save()
        self._table.fail(
            "paused",
            f"{self._a_minute} dead letters in a minute; next is seq {entry.seq} of {entry.epoch}: {error.what}",
            f"mend what the table refuses and the relay goes on by itself, or bury on: `{ACCEPT}`",
        )
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass

    def _remember(self, text: str | None, now: datetime, mono: float) -> None:
        if text is None:
            return
        said = loads(text)
        if said["held_at"] is not None:
            self._held = (Position(*said["held_at"]), parse_time(said["held_since"]))
        if said["accepted_until"] is not None:
            until = parse_time(said["accepted_until"])
            # A clock that was set back must not prolong it.
            left_s = min((until - now).total_seconds(), said["accepted_minutes"] * 60.0)
            if left_s > 0:
                self._accepted = Accepted(mono + left_s, until, said["accepted_by"])

    async def _save(self) -> None:
        accepted = self._accepted
        left_s = accepted.until_s - clock.mono() if accepted else 0.0
        said = {
            "held_at": self._held[0] if self._held else None,
            "held_since": format_time(self._held[1]) if self._held else None,
            "accepted_until": format_time(accepted.until) if accepted else None,
            "accepted_minutes": left_s / 60.0,
            "accepted_by": accepted.who if accepted else None,
        }
        await self._journal.set_note(NOTE, dumps(said).decode())


def _before(position: Position, other: Position) -> bool:
    return position.epoch == other.epoch and position.seq < other.seq
