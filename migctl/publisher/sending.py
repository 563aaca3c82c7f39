"""Sending: groups of units to an outlet, one at a time, so that the order of acceptance is the order in the journal.

What is accepted while a group is under way goes with the next. A group that failed is sent again as it was, by the same ids; only
units that are refused for what they are leave it, with the error, and their neighbours go on. `fate` says which:

| the outlet raises                          | of one unit    | of several                                   |
|--------------------------------------------|----------------|----------------------------------------------|
| Conflict, which names its events           | `Leave`        | `Leave`: the others are sent again at once   |
| Unfit, with reasons                        | `Leave`        | `Leave`: the others are sent again at once   |
| Unfit, without                             | `End`, refused | `Halve`: one of them is found so             |
| TooLarge                                   | `End`, refused | `Halve`, and later groups are smaller        |
| Transient; NotNow asks for some time first | `Again`        | `Again`, after a delay, without who is late  |
| anything else                              | `End`          | `End`, each with an error of its own         |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from random import Random

import msgspec

from migctl.clock import mono, now
from migctl.errors import MigctlError, Poison, Transient
from migctl.events import Event
from migctl.events.ids import both_ids
from migctl.journal import Appended, Conflict
from migctl.publisher.drafts import Published
from migctl.publisher.outlet import NotNow, Outlet, TooLarge, Unfit
from migctl.publisher.state import Standing
from migctl.publisher.waiting import Unit, Waiting
from migctl.resilience import Backoff, Retry
from migctl.telemetry import get_logger
from migctl.telemetry.arrivals import Arrivals

GROUP_EVENTS = 2000
GROUP_BYTES = 4 << 20
BACKOFF = Backoff(first_s=0.05, most_s=2.0)

log = get_logger("publisher")


class Leave(msgspec.Struct, frozen=True):
    """Units with these events leave the group. wrong: index among the events of the group to what is wrong."""

    wrong: Mapping[int, str]
    conflict: bool


class Halve(msgspec.Struct, frozen=True):
    """Each half is sent by itself. smaller: what comes later stays below the size of a half."""

    smaller: bool


class Again(msgspec.Struct, frozen=True):
    """It is sent again, in a while, and not before `asked_s` are over."""

    asked_s: float


class End(msgspec.Struct, frozen=True):
    """Nothing of the group comes to be. refused: for what it is."""

    refused: bool


def fate(error: MigctlError, *, units: int) -> Leave | Halve | Again | End:
    """What becomes of a group that the outlet did not take. Pure; table above."""
    if isinstance(error, Conflict):
        return Leave(dict(error.conflicts), conflict=True)
    if isinstance(error, Unfit):
        if error.reasons:
            return Leave(error.reasons, conflict=False)
        return Halve(smaller=isinstance(error, TooLarge)) if units > 1 else End(refused=True)
    if isinstance(error, Transient):
        return Again(error.after_s if isinstance(error, NotNow) else 0.0)
    return End(refused=False)


class Sender:
    """`run` until cancelled. give_up_s: a unit that is older when a try fails gets the error; None tries for ever.

    waiting_for: why nothing is acknowledged now; None where all is well.
    """

    def __init__(
        self,
        outlet: Outlet,
        waiting: Waiting,
        *,
        more: asyncio.Event,
        give_up_s: float | None = None,
        backoff: Backoff = BACKOFF,
        random: Callable[[], float] | None = None,
        standing: Standing | None = None,
    ) -> None:
        """more: set, in our loop, once there is something to take. standing: hears whether what is sent is acknowledged."""
        self._outlet = outlet
        self._waiting = waiting
        self._more = more
        self._give_up_s = give_up_s
        self._retry = Retry(backoff, random=random or Random().random)
        self._group_bytes = GROUP_BYTES
        self._standing = standing or Standing(None)
        self.idle = asyncio.Event()
        self.idle.set()
        self.waiting_for: str | None = None
        self.acknowledged = 0
        self.arrivals = Arrivals(now())
        self.failed = 0
        self.last_error: str | None = None

    async def run(self) -> None:
        while True:
            while not self._waiting.has_some:
                self.idle.set()
                self._more.clear()
                await self._more.wait()
            self.idle.clear()
            await self._deliver(self._waiting.take(GROUP_EVENTS, self._group_bytes))

    async def flush(self) -> None:
        """Return once nothing waits for its acknowledgement, nor in line."""
        while not self._waiting.empty:
            self.idle.clear()  # set again once all that is ready was seen through
            await self.idle.wait()

    async def _deliver(self, units: list[Unit]) -> None:
        """Return once the fate of each of these is known."""
        self._retry.succeeded()
        while units:
            for unit in units:
                unit.tried = True
            events = [event for unit in units for event in unit.events]
            try:
                appended = await self._outlet.append(events)
            except MigctlError as error:
                units = await self._apply(fate(error, units=len(units)), units, error)
            else:
                self._acknowledge(units, events, appended)
                return

    async def _apply(
        self, found: Leave | Halve | Again | End, units: list[Unit], error: MigctlError
    ) -> list[Unit]:
        """Who is still to be sent."""
        match found:
            case Leave(wrong, conflict):
                return self._without(units, wrong, _conflict if conflict else _unfit)
            case Halve(smaller):
                half = len(units) // 2
                if smaller:
                    # A proxy on the way may take less than the server does: later groups stay below what it refused.
                    self._group_bytes = min(self._group_bytes, sum(unit.size for unit in units) // 2)
                await self._deliver(units[:half])
                await self._deliver(units[half:])
            case Again(asked_s):
                self._log_failure(units, error, asked_s)
                left = self._not_too_late(units, error)
                if left:
                    await self._retry.wait()
                return self._not_gone(left)
            case End(refused=True):
                self._fail(units, Poison(f"{_names(units[0])} is refused: {error.what}", do=error.do))
            case End():
                for unit in units:  # an error of its own for each: it is raised in as many places
                    self._fail([unit], type(error)(f"{_names(unit)}: {error.what}", do=error.do))
        return []

    def _log_failure(self, units: list[Unit], error: MigctlError, asked_s: float) -> None:
        failure = self._retry.failed(error, asked_s=asked_s)
        log.log(
            failure.level,
            "not acknowledged; sent again",
            first_id=units[0].events[0].id,
            units=len(units),
            reason=error.what,
        )
        self.waiting_for = error.what
        self._standing.become("away", error.what)

    def _acknowledge(self, units: list[Unit], events: list[Event], appended: Appended) -> None:
        if self.waiting_for is not None:
            log.info(
                "acknowledged again", first_id=events[0].id, epoch=appended.epoch, last=appended.last_seq
            )
            self.waiting_for = None
            self._standing.become("open")
        self.acknowledged += len(events)
        self.arrivals.came(appended.accepted, now())
        self._waiting.settled(units)
        positions, is_new = appended.positions(), appended.is_new()
        place = 0
        for unit in units:
            published = []
            for event, own_id in zip(unit.events, unit.own_ids, strict=True):
                # An id of ours that is there already is there by a try of this very call, whose answer was lost.
                duplicate = own_id and not is_new[place]
                position = positions[place]
                published.append(Published(position.epoch, position.seq, event.id, duplicate))
                place += 1
            unit.acknowledge(published)

    def _without(
        self,
        units: list[Unit],
        wrong: Mapping[int, str],
        error: Callable[[Unit, dict[int, str]], MigctlError],
    ) -> list[Unit]:
        """Tell those of whom an event is wrong, and return the others. wrong: index among the events of all units."""
        left: list[Unit] = []
        start = 0
        for unit in units:
            end = start + len(unit.events)
            own = {index - start: wrong[index] for index in range(start, end) if index in wrong}
            if own:
                self._fail([unit], error(unit, own))
            else:
                left.append(unit)
            start = end
        return left

    def _not_gone(self, units: list[Unit]) -> list[Unit]:
        """Without those whose caller went away: what was not stored by then is not published."""
        gone = [unit for unit in units if unit.answer.done()]
        self._waiting.settled(gone)
        return [unit for unit in units if not unit.answer.done()] if gone else units

    def _not_too_late(self, units: list[Unit], error: MigctlError) -> list[Unit]:
        now = mono()
        late = [unit for unit in units if is_late(unit, self._give_up_s, now)]
        for unit in late:
            self._fail([unit], given_up(unit, f"within {self._give_up_s:g} s: {error.what}", error.do))
        return [unit for unit in units if unit not in late] if late else units

    def _fail(self, units: list[Unit], error: MigctlError) -> None:
        self._waiting.settled(units)
        self.last_error = error.what
        for unit in units:
            self.failed += len(unit.events)
            log.error("not published", first_id=unit.events[0].id, events=len(unit.events), reason=error.what)
            unit.fail(error)


def is_late(unit: Unit, give_up_s: float | None, now: float) -> bool:
    """Whether it was asked for longer ago than it may take; None: however long that is."""
    return give_up_s is not None and now - unit.since > give_up_s


def given_up(unit: Unit, why: str, do: str) -> Transient:
    """The error for one whose events are not known to be durable."""
    may_be = (
        "it may be durable all the same: publish it again with this id" if unit.tried else "it was not sent"
    )
    return Transient(f"{_names(unit)} was not acknowledged {why}", do=f"{do}; {may_be}")


def _names(unit: Unit) -> str:
    of = unit.events[0]
    first = f"event {both_ids(of.id, of.source_id)}"
    return first if len(unit.events) == 1 else f"a batch of {len(unit.events)} from {first} on"


def _conflict(_: Unit, wrong: dict[int, str]) -> MigctlError:
    return Conflict(sorted(wrong.items()))


def _unfit(unit: Unit, wrong: dict[int, str]) -> MigctlError:
    index, reason = min(wrong.items())
    return Poison(
        f"event {unit.events[index].id} (item {index}) is refused: {reason}",
        do="mend it and publish again; nothing of this call was stored",
    )
