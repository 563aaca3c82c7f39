"""Capture: writes down what a subscriber really received, of one transport or of the whole, for a report to judge.

A line is a release. When it is asked to stop, it goes on until it has everything that was committed up to then, as far as its own
transport can tell, so that a report has nothing to excuse.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from migctl import clock
from migctl.errors import MigctlError
from migctl.events import Position, format_time, parse_time
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.release import Discontinuity, Release
from migctl.subscriber.core.server_clock import Behind
from migctl.validate.capture_file import CaptureFile, CaptureSummary, Jump, Place

# The longest that a commit is taken to last.
IN_FLIGHT_S = 1.0
ASK_EVERY_S = 0.25
# Longer than this over the question how far the journal is, and an operator reads what is waited for.
PRINT_AFTER_S = 1.0


class Subscriber(Protocol):
    """What a capture needs of a subscriber; each transport's and the whole one have it."""

    @property
    def reconnects(self) -> int: ...

    async def ready(self) -> Position | None: ...

    def batches(self) -> AsyncIterator[list[Release | Discontinuity]]: ...

    @property
    def position(self) -> Position | None: ...

    @property
    def merge(self) -> Merge: ...

    @property
    def idle(self) -> bool: ...

    async def ask_head(self) -> Position | None: ...


@dataclass(frozen=True, slots=True)
class Until:
    """When a capture ends by itself, and how long it may drain. None: only when it is asked to."""

    idle_s: float | None = None
    count: int | None = None
    after_s: float | None = None
    drain_s: float = 10.0


@dataclass(slots=True)
class Capture:
    """One capture, `run` once.

    transport: dual is the whole subscriber, whose lines each say which transport delivered them first.
    print_line: gets one line when the subscriber is ready, and one for each discontinuity.
    clock_behind: how far our clock is behind that of serve; None where nobody says.
    """

    subscriber: Subscriber
    transport: Literal["websocket", "realtime", "dual"]
    role: str
    file: CaptureFile
    until: Until = field(default_factory=Until)
    print_line: Callable[[str], None] = lambda _: None
    clock_behind: Callable[[], Behind | None] = lambda: None
    _from: Position | None = None
    _to: Position | None = None
    _last_committed_at: str | None = None
    _last_at: float = 0.0
    _times: dict[str, str | None] = field(default_factory=dict)
    _discontinuities: list[Discontinuity] = field(default_factory=list)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _head_known: bool = False

    async def run(self, stop: asyncio.Event, stop_now: asyncio.Event | None = None) -> CaptureSummary:
        """Capture until `stop`, or until a bound is met; the summary, which then also stands beside the lines.

        stop_now: end without draining. Raises what the subscriber raises, and Systemic where the disk is full; the lines written so
        far and a summary that says so are kept.
        """
        stop_now = stop_now or asyncio.Event()
        self._times = {"started_at": format_time(clock.now())}
        if not await self._ready_before(stop):
            return self._summary(complete=False, reason="stopped before it was ready")
        self._from = self._to = self.subscriber.merge.position or Position("", 0)
        self.file.open()
        self._times["ready_at"] = format_time(clock.now())
        self._last_at = clock.mono()
        self.print_line(f"ready: {self.transport} from {self._from}")
        receiving = asyncio.create_task(self._receive())
        complete, reason = False, "failed"
        try:
            reason = await self._until_asked(receiving, stop)
            complete, reason = await self._drain(receiving, reason, stop_now)
        except MigctlError as error:
            complete, reason = False, error.what
            raise
        except BaseException as error:
            reason = f"interrupted: {type(error).__name__}"
            raise
        finally:
            receiving.cancel()
            await asyncio.wait({receiving})
            summary = self._summary(complete=complete, reason=reason)
            with contextlib.suppress(*(() if complete else (MigctlError,))):
                self.file.finish(summary)
        return summary

    async def _ready_before(self, stop: asyncio.Event) -> bool:
        """Wait until the subscriber is ready; False where we were stopped first."""
        ready = asyncio.ensure_future(self.subscriber.ready())
        stopped = asyncio.ensure_future(stop.wait())
        waits: set[asyncio.Future[Any]] = {ready, stopped}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                ready.result()
            return ready.done()
        finally:
            ready.cancel()
            stopped.cancel()

    async def _receive(self) -> None:
        """Write what comes, until cancelled or until the count is reached."""
        async for batch in self.subscriber.batches():
            releases: list[Release] = []
            if self._from is not None and not self._from.epoch:  # nothing had been written when we were ready
                first = batch[0]
                self._from = first.after if isinstance(first, Discontinuity) else Position(first.epoch, 0)
            for item in batch:
                if isinstance(item, Release):
                    releases.append(item)
                else:
                    self._note(item)
            if self.until.count is not None:
                releases = releases[: self.until.count - self.file.lines]
            self.file.write(releases)
            if releases:
                self._to = releases[-1].position
                self._last_committed_at = releases[-1].committed_at
                self._last_at = clock.mono()
            self._came.set()
            if self.until.count is not None and self.file.lines >= self.until.count:
                return

    def _note(self, gap: Discontinuity) -> None:
        self._discontinuities.append(gap)
        self._to = gap.resumed
        lost = f", seq {gap.lost_from} to {gap.lost_to}" if gap.lost_from is not None else ""
        self.print_line(f"discontinuity ({gap.reason}): after {gap.after}{lost}; goes on after {gap.resumed}")

    async def _until_asked(self, receiving: asyncio.Task[None], stop: asyncio.Event) -> str:
        """Wait for whatever ends the capture; its name. Raises what ended `receiving`."""
        stopped = asyncio.ensure_future(stop.wait())
        over = asyncio.ensure_future(self._time_over())
        try:
            while True:
                idle_s = self._idle_left_s()
                done, _ = await asyncio.wait(
                    {receiving, stopped, over}, timeout=idle_s, return_when=asyncio.FIRST_COMPLETED
                )
                if receiving in done:
                    receiving.result()
                    return "count"
                if stopped in done:
                    return "stopped"
                if over in done:
                    return "time"
                if self._idle_left_s() == 0.0:
                    return "idle"
        finally:
            stopped.cancel()
            over.cancel()

    async def _time_over(self) -> None:
        if self.until.after_s is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(self.until.after_s)

    def _idle_left_s(self) -> float | None:
        """Seconds until the capture counts as idle; None where that does not end it. An outage is not idleness."""
        if self.until.idle_s is None:
            return None
        left_s = max(0.0, self._last_at + self.until.idle_s - clock.mono())
        return left_s if self.subscriber.idle else max(left_s, 0.1)

    async def _drain(
        self, receiving: asyncio.Task[None], why: str, stop_now: asyncio.Event
    ) -> tuple[bool, str]:
        """Go on until everything committed before now is written. (complete, reason)."""
        if why == "count":  # it ends with its last line: nothing after that was asked for
            self._times["stop_requested_at"] = self._last_committed_at
            return True, why
        asked_at = clock.now()
        self._times["stop_requested_at"] = format_time(asked_at)
        self.print_line(f"stopping ({why}): at most {self.until.drain_s:g} s for what was committed before")
        reached = asyncio.ensure_future(self._reach_head(asked_at))
        hurry = asyncio.ensure_future(stop_now.wait())
        try:
            done, _ = await asyncio.wait(
                {reached, hurry, receiving}, timeout=self.until.drain_s, return_when=asyncio.FIRST_COMPLETED
            )
            if receiving in done:
                receiving.result()
            if reached in done:
                reached.result()
                return True, why
            how = "was told to stop at once" if hurry in done else f"had {self.until.drain_s:g} s"
            unseen = (
                "did not see that it has everything up to then"
                if self._head_known
                else "heard nothing of serve after that: it is not known what was committed up to then"
            )
            reason = f"{why}, but {how} and {unseen}"
            self.print_line(f"not complete: {reason}")
            return False, reason
        finally:
            for task in (reached, hurry):
                task.cancel()
            await asyncio.wait({reached, hurry})

    async def _ask_head_once_commits_are_done(self) -> Position | None:
        # `committed_at` is written before the fsync: what was on its way to the disk at the stop is not in the head yet.
        await asyncio.sleep(IN_FLIGHT_S)
        return await self._ask_head()

    async def _reach_head(self, asked_at: datetime) -> None:
        """Return once everything that was committed before `asked_at` is written."""
        asking = asyncio.create_task(self._ask_head_once_commits_are_done())
        try:
            while True:
                last_at = _time(self._last_committed_at)
                if is_past(last_at, asked_at):
                    return
                if asking.done():
                    self._head_known = True
                    if has_reached(self.subscriber.position, asking.result()):
                        return
                self._came.clear()
                came = asyncio.ensure_future(self._came.wait())
                waits: set[asyncio.Future[Any]] = {came} if asking.done() else {came, asking}
                await asyncio.wait(waits, timeout=ASK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
                came.cancel()
        finally:
            asking.cancel()

    async def _ask_head(self) -> Position | None:
        """The head, from whoever can tell; asked again while nobody answers. The drain's time ends it."""
        later = asyncio.get_running_loop().call_later(
            PRINT_AFTER_S, self.print_line, "waiting for serve to say how far the journal is"
        )
        try:
            while True:
                with contextlib.suppress(MigctlError):
                    return await self.subscriber.ask_head()
                await asyncio.sleep(ASK_EVERY_S)
        finally:
            later.cancel()

    def _summary(self, *, complete: bool, reason: str) -> CaptureSummary:
        merge = self.subscriber.merge
        return CaptureSummary(
            transport=self.transport,
            role=self.role,
            started_at=self._times.get("started_at"),
            ready_at=self._times.get("ready_at"),
            stop_requested_at=self._times.get("stop_requested_at"),
            ended_at=format_time(clock.now()),
            began=_place(self._from),
            reached=_place(self._to),
            received=self.file.lines,
            repeats_dropped=merge.repeats_dropped,
            gaps_repaired=merge.gaps_repaired,
            reconnects=self.subscriber.reconnects,
            discontinuities=[
                Jump(
                    after=_place(gap.after),
                    resumed=_place(gap.resumed),
                    reason=gap.reason,
                    lost_from=gap.lost_from,
                    lost_to=gap.lost_to,
                )
                for gap in self._discontinuities
            ],
            complete=complete,
            reason=reason,
            clock=self.clock_behind(),
        )


def is_past(last_committed_at: datetime | None, asked_at: datetime) -> bool:
    """Commits are in seq order: an event that was committed later closes the question what was committed before."""
    return last_committed_at is not None and last_committed_at > asked_at


def has_reached(here: Position | None, head: Position | None) -> bool:
    """Everything up to `head` is here; None is a journal in which nothing was ever written. Of another epoch nothing is known."""
    return head is None or (here is not None and here.epoch == head.epoch and here.seq >= head.seq)


def _place(position: Position | None) -> Place | None:
    return None if position is None else Place(position.epoch, position.seq)


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_time(text)
    except ValueError:
        return None
