"""Witness: subscribes to each transport, tails the journal, and closes one window a minute, which gates and status believe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from migctl import clock
from migctl.delivery.classes import EventClass, Rates
from migctl.events.times import micros_of
from migctl.flags.record import Record
from migctl.resilience.waiting import within
from migctl.serve_client import ServeHttp
from migctl.status import AlertStatus, HeardStatus, ReleasedStatus, WindowStatus, WitnessStatus
from migctl.status.witness import WitnessState
from migctl.telemetry import get_logger
from migctl.validate.witness.alerting import Webhook
from migctl.validate.witness.cohorts import cohorts_of
from migctl.validate.witness.listening import Make, listen
from migctl.validate.witness.live import Live, Side
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.state import Kept, holding, read_bounds, read_state, write_state
from migctl.validate.witness.sums import TRANSPORTS
from migctl.validate.witness.tail import Tail
from migctl.validate.witness.trouble import Bounds, Trouble, fault_of
from migctl.validate.witness.windows import Limits, Windows
from migctl.validate.witness.writing import Writing

TICK_S = 0.1
PUBLISH_EVERY_S = 1.0
FINISH_S = 3.0

log = get_logger("witness")


@dataclass(slots=True)
class Witness:
    """One witness, `run` once.

    http: of the `serve` that it watches. makes: a subscriber for each transport, at a position. record: of its target; None where
    nothing is to be written. classes, rates: as the relay classes events. folder: where it keeps what is not written yet.
    closed: called with each window. kept: by the serve of this folder, which says there what a window has to hold.
    """

    http: ServeHttp
    makes: dict[str, Make]
    record: Record | None
    folder: Path
    limits: Limits = field(default_factory=Limits)
    bounds: Bounds = field(default_factory=Bounds)
    webhook: str | None = None
    classes: Mapping[str, EventClass] = field(default_factory=dict)
    rates: Rates = field(default_factory=Rates)
    closed: Callable[[Minute], None] = lambda _: None
    notify: Callable[[str], None] = lambda _: None
    kept: bool = False
    _count: int = 0
    _last: Minute | None = None
    _changed: bool = True
    _alert: AlertStatus | None = None

    async def run(self, stop: asyncio.Event, *, most: int | None = None) -> None:
        """Until `stop`, or until so many windows have closed. Raises OSError where the folder can't be used."""
        with holding(self.folder) as name:
            if name is None:
                self.notify("another witness of this folder writes the evidence; this one only shows it")
            before = read_state(self.folder) if name is not None else None
            self._alert = before.alert if before is not None else None
            windows = Windows(clock.now(), self.limits)
            live = Live(TRANSPORTS, clock.now(), self.classes, self.rates)
            writing = None
            kept = Kept(self.folder)
            if self.record is not None and name is not None:
                writing = Writing(self.record, kept, name, self._change)
            webhook = Webhook(self.webhook if name is not None else None)
            async with asyncio.TaskGroup() as group:
                tasks: list[Awaitable[None]] = [Tail(self.http, windows).run(), webhook.run()]
                tasks += [
                    listen(each, make, windows, live.sides[each].released, self._change)
                    for each, make in self.makes.items()
                ]
                tasks += [writing.run()] if writing is not None else []
                running = [group.create_task(_running(each)) for each in tasks]
                await self._tick(stop, most, windows, live, writing, webhook, kept, own=name is not None)
                for task in running:
                    task.cancel()
            if writing is not None:
                await writing.finish(FINISH_S)
            if name is not None:
                self._publish(windows, live, writing, kept, "stopped")

    async def _tick(
        self,
        stop: asyncio.Event,
        most: int | None,
        windows: Windows,
        live: Live,
        writing: Writing | None,
        webhook: Webhook,
        kept: Kept,
        *,
        own: bool,
    ) -> None:
        """Close what is over until it is to stop; then what is cut short."""
        trouble = Trouble(self.bounds, self._alert)
        published_at = float("-inf")
        while True:
            over = await within(TICK_S, stop.wait())
            minutes = windows.end(clock.now()) if over else windows.tick(clock.now())
            for minute in minutes if most is None else minutes[: most - self._count]:
                self._take(minute, writing, webhook, trouble)
            if own and (self._changed or clock.mono() - published_at >= PUBLISH_EVERY_S):
                standby = writing is not None and writing.standby
                self._publish(windows, live, writing, kept, "standby" if standby else "watching")
                self._changed, published_at = False, clock.mono()
            if over or (most is not None and self._count >= most):
                return

    def _take(self, minute: Minute, writing: Writing | None, webhook: Webhook, trouble: Trouble) -> None:
        if writing is not None:
            cohorts = cohorts_of(minute, writing.shares)
            minute = msgspec.structs.replace(minute, step=writing.step, cohorts=cohorts)
            writing.add(minute)
        self._count += 1
        self._last, self._changed = minute, True
        log.debug("window closed", window=minute.id, verdict=minute.verdict, reason=minute.reason)
        self.closed(minute)
        if self.kept:
            self.bounds = trouble.bounds = read_bounds(self.folder, self.bounds)
        alert = trouble.after(minute)
        self._alert = trouble.out
        if alert is not None:
            webhook.send(alert)

    def _change(self) -> None:
        self._changed = True

    def _publish(
        self, windows: Windows, live: Live, writing: Writing | None, kept: Kept, state: WitnessState
    ) -> None:
        now_us = micros_of(clock.now())
        status = WitnessStatus(
            pid=os.getpid(),
            at=clock.now(),
            state=state,
            windows=self._count,
            window=shown(self._last, self.bounds) if self._last is not None else None,
            kept=len(kept),
            dropped=kept.dropped,
            unwritten=writing.unwritten if writing is not None else None,
            alert=self._alert,
            markers={position: sorted(names) for position, names in windows.markers.items()},
            heard_from=dict(windows.heard_from),
            live={name: _heard(side, now_us, *windows.presence(name)) for name, side in live.sides.items()},
        )
        write_state(self.folder, status)


def _heard(side: Side, now_us: int, up: bool, since_us: int | None, reason: str | None) -> HeardStatus:
    return side.status(now_us, up=up, since_us=since_us, reason=reason)


def shown(minute: Minute, bounds: Bounds) -> WindowStatus:
    """A window as the status has it."""
    return WindowStatus(
        id=minute.id,
        started_at=minute.started_at,
        verdict=minute.verdict,
        fault=fault_of(minute, bounds),
        expected=minute.expected,
        matched=minute.matched,
        mismatched=minute.mismatched,
        lost=minute.lost,
        rejected=minute.rejected,
        match_percent=minute.match_percent,
        availability_percent=minute.availability_percent,
        error_rate_percent=minute.error_rate_percent,
        transports={
            name: ReleasedStatus(
                received=of.received,
                missing=of.missing,
                duplicates=of.duplicates,
                out_of_order=of.out_of_order,
                latency_p99_ms=of.latency_p99_ms,
                delay_p99_ms=of.delay_p99_ms,
            )
            for name, of in minute.transports.items()
        },
    )


async def _running(work: Awaitable[None]) -> None:
    await work
