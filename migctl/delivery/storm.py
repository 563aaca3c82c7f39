"""Storm: may a poison event be buried now? Pure: of what was buried before, the time, and what the operator said.

So many dead letters in a minute are not the events' fault, whatever the code: the table is wrong. The relay is then held at one
event. The hold is lifted by the table, which takes the event in the end, or by the operator, who accepts for a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from migctl.events import Position

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Hold:
    """The relay stays at this event. since: by the wall clock."""

    position: Position
    since: datetime


@dataclass(frozen=True, slots=True)
class Acceptance:
    """For how long everything is buried. until_s: of the monotonic clock, which nobody sets back."""

    until_s: float
    until: datetime
    who: str


@dataclass(frozen=True, slots=True)
class Answer:
    """may_bury: this event, now. changed: the storm is another than before. ended: an acceptance that was over by now."""

    may_bury: bool
    changed: bool = False
    ended: Acceptance | None = None


class Left(msgspec.Struct, frozen=True):
    """What a storm leaves to the process after this one. accepted_minutes: what was left of the acceptance."""

    held_at: Position | None = None
    held_since: datetime | None = None
    accepted_until: datetime | None = None
    accepted_minutes: float = 0.0
    accepted_by: str | None = None


class Storm:
    """Of one relay. a_minute: how many may be buried in a minute before the next is held. now: monotonic; wall: aware.

    `ask(position)`, where "full" is `a_minute` and more buried in the last minute:

    | acceptance    | held at      | minute | may it be buried?                | afterwards                              |
    |---------------|--------------|--------|----------------------------------|-----------------------------------------|
    | runs          | (nothing)    | any    | yes                              | as before                               |
    | none or ended | nothing      | room   | yes                              | no acceptance, nothing held             |
    | none or ended | nothing      | full   | no                               | no acceptance, held here since now      |
    | none or ended | this seq     | any    | no: only table or operator lift it | no acceptance, held here as before    |
    | none or ended | another seq  | room   | yes: that one has passed         | no acceptance, nothing held             |
    | none or ended | another seq  | full   | no                               | no acceptance, held here since now      |

    The other inputs:

    | input                                | hold                                | acceptance                                |
    |--------------------------------------|-------------------------------------|-------------------------------------------|
    | `passed(position)` before the held   | stays                               | as before                                 |
    | `passed` the held, or one after it   | lifted                              | as before                                 |
    | `passed` in another epoch            | lifted: the relay has left that one | as before                                 |
    | `accept(minutes)`                    | lifted                              | runs from now, whatever there was         |
    | `buried(now)`                        | as before                           | as before; the minute has one more        |

    And a restart, of `left`:

    | left                         | the clock says                   | after `resume`                                       |
    |------------------------------|----------------------------------|------------------------------------------------------|
    | a hold                       | any                              | the same hold, since when it was                     |
    | an acceptance                | its end is past                  | none                                                 |
    | an acceptance                | its end is to come               | runs to its end                                      |
    | an acceptance                | it was set back                  | runs no longer than was left of it                   |
    | burials of the last minute   | any                              | count as before                                      |
    | older ones, and future ones  | any, or it was set back          | don't count                                          |
    """

    def __init__(self, a_minute: int) -> None:
        self.a_minute = a_minute
        self.held: Hold | None = None
        self._buried_at: deque[float] = deque(maxlen=a_minute)
        self._acceptance: Acceptance | None = None

    def accepted(self, now: float) -> Acceptance | None:
        """The acceptance that runs."""
        return self._acceptance if self._acceptance is not None and now < self._acceptance.until_s else None

    def ask(self, position: Position, *, now: float, wall: datetime) -> Answer:
        """Whether the event of this position, which the table refused, may be buried."""
        before, running = self._acceptance, self.accepted(now)
        if running is not None:
            return Answer(may_bury=True)
        self._acceptance = None
        if self.held is not None and self.held.position == position:
            return Answer(may_bury=False, changed=before is not None, ended=before)
        was_held, self.held = self.held is not None, None
        if self._has_room(now):
            return Answer(may_bury=True, changed=was_held or before is not None, ended=before)
        self.held = Hold(position, wall)
        return Answer(may_bury=False, changed=True, ended=before)

    def buried(self, now: float) -> None:
        """One more was."""
        self._buried_at.append(now)

    def follow(self, a_minute: int) -> None:
        """So many a minute from now on, of which the last minute's are some. A hold stays."""
        if a_minute != self.a_minute:
            self.a_minute = a_minute
            self._buried_at = deque(self._buried_at, maxlen=a_minute)

    def passed(self, position: Position) -> bool:
        """Every seq up to here is a row or a tombstone. Returns whether that lifts a hold."""
        if self.held is None or _before(position, self.held.position):
            return False
        self.held = None
        return True

    def accept(self, minutes: float, who: str, *, now: float, wall: datetime) -> Acceptance:
        """Everything may be buried from now on, for this long."""
        self._acceptance = Acceptance(now + minutes * 60.0, wall + timedelta(minutes=minutes), who)
        self.held = None
        return self._acceptance

    def left(self, now: float) -> Left:
        """For the process after this one."""
        held, running = self.held, self.accepted(now)
        return Left(
            held_at=held.position if held else None,
            held_since=held.since if held else None,
            accepted_until=running.until if running else None,
            accepted_minutes=(running.until_s - now) / 60.0 if running else 0.0,
            accepted_by=running.who if running else None,
        )

    def resume(self, left: Left | None, buried_at: Iterable[datetime], *, now: float, wall: datetime) -> None:
        """Go on after the process before this one. buried_at: when the last ones were, by the wall clock, oldest first."""
        for at in buried_at:
            age_s = (wall - at).total_seconds()
            if 0 <= age_s < MINUTE_S:
                self._buried_at.append(now - age_s)
        if left is None:
            return
        if left.held_at is not None and left.held_since is not None:
            self.held = Hold(left.held_at, left.held_since)
        if left.accepted_until is not None:
            rest_s = min((left.accepted_until - wall).total_seconds(), left.accepted_minutes * 60.0)
            if rest_s > 0:
                self._acceptance = Acceptance(now + rest_s, left.accepted_until, left.accepted_by or "")

    def _has_room(self, now: float) -> bool:
        while self._buried_at and now - self._buried_at[0] >= MINUTE_S:
            self._buried_at.popleft()
        return len(self._buried_at) < self.a_minute


def _before(position: Position, other: Position) -> bool:
    return position.epoch == other.epoch and position.seq < other.seq
