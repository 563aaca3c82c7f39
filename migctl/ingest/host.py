"""Host: this machine's own metrics as a stream. Every number is measured at the moment that its event names; none is made up.

By default about 177 events per second, so that all three classes occur: `cpu_metrics` is of the high class (over 100/s), memory,
cache, network and disk are medium (over 5/s), sessions and health checks low. `rate` is the sum that is wanted; all types scale.

Each type has its own deadlines, so the pace neither drifts nor bursts: a deadline that was missed is counted and left out.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

from migctl.clock import mono, now
from migctl.events import make_event
from migctl.events.jsontext import dumps
from migctl.ingest.deposit import Deposit, Item, came_of, finish
from migctl.ingest.gauges import Gauges, Unmeasured
from migctl.ingest.rejected import Rejected
from migctl.journal import Journal
from migctl.status import HostStatus, SourceState
from migctl.telemetry import get_logger

RATES: dict[str, float] = {
    "cpu_metrics": 120.0,
    "memory_metrics": 16.0,
    "cache_metrics": 16.0,
    "network_metrics": 16.0,
    "disk_metrics": 8.0,
    "session_metrics": 0.5,
    "health_check": 0.5,
}
"""Events per second, by type, when no rate is asked for."""

MAX_WAITING = 2000
STOP_WITHIN_S = 2.0

_log = get_logger("ingest")


@dataclass(slots=True)
class Beat:
    """The deadlines of one event type: start, start + period, start + 2 periods, ... on a monotonic clock."""

    event_type: str
    period_s: float
    due: float

    def advance(self, at: float) -> int:
        """Move to the first deadline after `at`; return how many were missed on the way."""
        missed = int(max(0.0, at - self.due) // self.period_s)
        self.due += (missed + 1) * self.period_s
        return missed


def beats(start: float, rate: float | None = None) -> list[Beat]:
    """The beats of all types. rate: events per second in all; None means as in RATES.

    The first deadlines are spread over each period, so that the types do not fall on one moment.
    """
    scale = 1.0 if rate is None else rate / sum(RATES.values())
    return [
        Beat(name, 1 / (each * scale), start + (index / len(RATES)) / (each * scale))
        for index, (name, each) in enumerate(RATES.items())
    ]


class HostSource:
    """`run` lasts until cancelled."""

    def __init__(self, *, rejected: Rejected, state_dir: Path, rate: float | None = None) -> None:
        self._rejected = rejected
        self._rate = rate
        self._gauges = Gauges(state_dir)
        self._waiting: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._deposit: Deposit | None = None
        self._missed = 0
        self._unmeasured: dict[str, str] = {}
        self._by_type: Counter[str] = Counter()
        self._state: SourceState = "new"

    async def run(self, journal: Journal) -> None:
        self._deposit = Deposit(journal, source=self._gauges.host, rejected=self._rejected)
        self._state = "measuring"
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._measure())
                tasks.create_task(self._store(self._deposit))
                tasks.create_task(self._deposit.summary.run())
        finally:
            self._state = "closed"

    async def _measure(self) -> None:
        schedule = [(beat.due, index, beat) for index, beat in enumerate(beats(mono(), self._rate))]
        heapq.heapify(schedule)
        while True:
            wait_s = schedule[0][0] - mono()
            await asyncio.sleep(max(0.0, wait_s))
            at = mono()
            while schedule[0][0] <= at:
                _, index, beat = schedule[0]
                self._missed += beat.advance(at)
                heapq.heapreplace(schedule, (beat.due, index, beat))
                self._sample(beat.event_type)

    def _sample(self, event_type: str) -> None:
        if event_type in self._unmeasured:
            return
        if len(self._waiting) >= MAX_WAITING:  # a measurement is of its moment; it is not made up later
            self._missed += 1
            return
        moment = now()
        try:
            data = self._gauges.read(event_type)
        except (OSError, Unmeasured) as error:
            self._unmeasured[event_type] = str(error)
            _log.warning("this host can't be measured here", event_type=event_type, error=str(error))
            return
        event = make_event(
            id=None,
            event_type=event_type,
            timestamp=moment,
            source=self._gauges.host,
            data=dumps(data),
            arrived=moment,
            default_source="",
        )
        self._by_type[event_type] += 1
        self._waiting.append(Item(event, event.data, None))
        self._arrived.set()

    async def _store(self, deposit: Deposit) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                batch = list(self._waiting)
                started = mono()
                await finish(deposit.put(batch), within_s=STOP_WITHIN_S)
                self._gauges.append_ms = (mono() - started) * 1000
                for _ in batch:
                    self._waiting.popleft()

    def status(self) -> HostStatus:
        deposit = self._deposit
        return HostStatus(
            source=self._gauges.host,
            state="waiting" if deposit and deposit.waiting_for else self._state,
            waiting_for=deposit.waiting_for if deposit else None,
            rate_wanted_per_s=round(self._rate or sum(RATES.values()), 3),
            **came_of(deposit),
            accepted=deposit.accepted if deposit else 0,
            rejected=deposit.conflicts if deposit else 0,
            deadlines_missed=self._missed,
            by_event_type=dict(self._by_type),
            not_measured=dict(self._unmeasured),
        )
