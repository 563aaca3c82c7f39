"""Waiting: what was accepted and is not yet acknowledged, bounded by count and by bytes, in the order of asking.

Any thread may ask; everything else is called in the loop of the publisher. Who asks while there is no room stays in line, outside
the bound, and is let in in turn: so a late small event never passes an early large one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from migctl.errors import MigctlError, Transient, Usage
from migctl.events import Event
from migctl.publisher.drafts import Published

# What an event takes in memory and on the wire beside its data, roughly.
EVENT_BYTES = 200


class Answer(Protocol):
    """A future, of the loop or of a thread."""

    def done(self) -> bool: ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException, /) -> None: ...


class Full(Transient):
    """There was no room in time; the event was not accepted."""


@dataclass(slots=True, eq=False)
class Unit:
    """Events that are stored together or not at all, and who waits for their fate.

    own_ids: per event, whether the caller gave the id. since: when it was asked for, monotonic seconds.
    many: the answer is a list. tried: it was sent at least once, and may be durable.
    """

    events: Sequence[Event]
    own_ids: Sequence[bool]
    answer: Answer
    since: float
    many: bool = False
    size: int = 0
    tried: bool = False
    let_in: threading.Event | None = None

    def __post_init__(self) -> None:
        events = self.events
        if len(events) == 1:
            self.size = EVENT_BYTES + len(events[0].data)
        else:
            self.size = sum([EVENT_BYTES + len(event.data) for event in events])

    def acknowledge(self, published: list[Published]) -> None:
        if not self.answer.done():
            self.answer.set_result(published if self.many else published[0])

    def fail(self, error: MigctlError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(slots=True)
class Waiting:
    """max_events, max_bytes: of what is accepted. wake: called, in any thread, once there is something to take."""

    max_events: int
    max_bytes: int
    wake: Callable[[], None]
    events: int = 0
    bytes: int = 0
    most_events: int = 0
    _ended: MigctlError | None = None
    _line: OrderedDict[Unit, None] = field(default_factory=OrderedDict)
    _ready: OrderedDict[Unit, None] = field(default_factory=OrderedDict)
    _taken: OrderedDict[Unit, None] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, unit: Unit, *, patient: bool = True) -> bool:
        """Accept a unit, or put it in line; True where it was accepted. Not patient: it is not put in line.

        Raises Usage for a unit that will never fit, or what ended the publisher.
        """
        if len(unit.events) > self.max_events or unit.size > self.max_bytes:
            raise Usage(
                f"{len(unit.events)} events of {unit.size} bytes are more than this publisher may hold: "
                f"{self.max_events} events, {self.max_bytes} bytes",
                do="publish fewer at a time, or raise max_waiting_events or max_waiting_bytes",
            )
        with self._lock:
            if self._ended is not None:
                raise self._ended
            accepted = not self._line and self._fits(unit)
            first = accepted and not self._ready
            if accepted:
                self._let_in(unit)
            elif patient:
                self._line[unit] = None
        if first:  # else whoever takes was woken by the one before, and has not come yet
            self.wake()
        return accepted

    def withdraw(self, unit: Unit, *, from_line_only: bool = False) -> bool:
        """Take back what is in line, or accepted and not yet sent. False where it is too late for that."""
        with self._lock:
            if unit in self._line:
                del self._line[unit]
            elif unit in self._ready and not from_line_only:
                del self._ready[unit]
                self._give_room(unit)
            else:
                return False
            more = self._advance()
        if more:
            self.wake()
        return True

    def take(self, max_events: int, max_bytes: int) -> list[Unit]:
        """The next units, in order, at least one where there is one; they are held until `settled`."""
        taken: list[Unit] = []
        events = size = 0
        with self._lock:
            while self._ready:
                unit = next(iter(self._ready))
                if taken and (events + len(unit.events) > max_events or size + unit.size > max_bytes):
                    break
                self._ready.popitem(last=False)
                self._taken[unit] = None
                taken.append(unit)
                events += len(unit.events)
                size += unit.size
        return taken

    def settled(self, units: Sequence[Unit]) -> None:
        """Their fate was told: give back their room, and let in who is next."""
        with self._lock:
            for unit in units:
                del self._taken[unit]
                self._give_room(unit)
            self._advance()

    def end(self, error: MigctlError) -> None:
        """Accept nothing more: who asks from now on gets `error`. What is in line keeps its place."""
        with self._lock:
            self._ended = error

    def fail_all(self, error: Callable[[Unit], MigctlError]) -> int:
        """Tell everyone who still waits; returns how many events that are. Nothing is held afterwards."""
        with self._lock:
            units = [*self._taken, *self._ready, *self._line]
            for held in (self._taken, self._ready, self._line):
                held.clear()
            self.events = self.bytes = 0
        for unit in units:
            unit.fail(error(unit))
            if unit.let_in is not None:
                unit.let_in.set()
        return sum(len(unit.events) for unit in units)

    @property
    def has_some(self) -> bool:
        return bool(self._ready)

    @property
    def in_line(self) -> int:
        return len(self._line)

    @property
    def empty(self) -> bool:
        """Nothing is held, and nobody stands in line."""
        return not (self._taken or self._ready or self._line)

    # With the lock held.

    def _fits(self, unit: Unit) -> bool:
        return self.events + len(unit.events) <= self.max_events and self.bytes + unit.size <= self.max_bytes

    def _let_in(self, unit: Unit) -> None:
        self.events += len(unit.events)
        self.bytes += unit.size
        self.most_events = max(self.most_events, self.events)
        self._ready[unit] = None
        if unit.let_in is not None:
            unit.let_in.set()

    def _give_room(self, unit: Unit) -> None:
        self.events -= len(unit.events)
        self.bytes -= unit.size

    def _advance(self) -> bool:
        """Let in who is first in line, as long as there is room; True where somebody was."""
        let_in = False
        while self._line:
            unit = next(iter(self._line))
            if not self._fits(unit):
                break
            self._line.popitem(last=False)
            self._let_in(unit)
            let_in = True
        return let_in
