"""Tail: the journal as `serve` gives it over HTTP, and what `serve` counts, into the windows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import msgspec

from migctl import clock
from migctl.errors import MigctlError, Transient
from migctl.events import Position
from migctl.events.arrived import Arrived
from migctl.events.jsontext import split_array, split_object
from migctl.resilience import Backoff, Retry
from migctl.serve_client import Answer, ServeHttp
from migctl.status import ServeStatus, read
from migctl.subscriber.core.release import Release
from migctl.subscriber.gateway.frames import read_frame
from migctl.telemetry import get_logger
from migctl.validate.witness.sums import Counted
from migctl.validate.witness.windows import Windows

POLL_S = 0.25
COUNT_EVERY_S = 1.0
PAGE_EVENTS = 1000
# `committed_at` is read before the fsync, so it leads the head by a commit.
IN_FLIGHT = timedelta(seconds=1)
RETRY = Backoff(0.2, 2.0)

log = get_logger("witness")


class Gone(msgspec.Struct):
    """The document of a 410 of `/events`."""

    epoch: str
    tail: int
    reason: str | None = None


class Tail:
    """`run` until cancelled. An outage is told to the windows, and waited for without end."""

    def __init__(self, http: ServeHttp, windows: Windows) -> None:
        self._http = http
        self._windows = windows
        self._position: Position | None = None
        self._counted_at = float("-inf")

    async def run(self) -> None:
        retry = Retry(RETRY)
        while True:
            try:
                await self._round()
                retry.succeeded()
            except MigctlError as error:
                self._windows.journal_away(error.what)
                log.log(retry.failed(error).level, "the journal can't be read", reason=error.what)
            await retry.wait(least_s=POLL_S)

    async def _round(self) -> None:
        """All that is there now, and from time to time the counters."""
        if self._position is None or clock.mono() - self._counted_at >= COUNT_EVERY_S:
            await self._count()
        while True:
            asked_at = clock.now()
            if not await self._page():
                self._windows.journal_read(asked_at - IN_FLIGHT)
                return
            await asyncio.sleep(0)

    async def _count(self) -> None:
        answer = await self._get("/api/status")
        try:
            status = read(answer.content)
        except ValueError as error:
            raise Transient(f"{answer.where}: no status: {error}", do="nothing: it is asked again") from None
        at = clock.now()
        self._windows.counted(at, counted(status))
        self._counted_at = clock.mono()
        if self._position is None:
            self._position = Position(status.journal.epoch, status.journal.head)
            self._windows.journal_begins(*self._position, at)

    async def _page(self) -> bool:
        """The next events; False at the end."""
        assert self._position is not None
        epoch, seq = self._position
        answer = await self._get("/events", {"epoch": epoch, "after": str(seq), "limit": str(PAGE_EVENTS)})
        arrived = Arrived(clock.now(), clock.mono_ns())
        try:
            if answer.status == 410:
                self._position, reason = after_gone(self._position, answer.decode(Gone))
                self._windows.journal_begins(*self._position, arrived.at, reason=reason)
                return True
            more = False
            for event in page_of(answer.content, epoch, arrived):
                self._windows.journal(event)
                self._position, more = event.position, True
        except ValueError as error:
            raise Transient(f"{answer.where}: no events: {error}", do="nothing: it is asked again") from None
        return more

    async def _get(self, path: str, params: dict[str, str] | None = None) -> Answer:
        answer = await self._http.get(path, params)
        if answer.status not in (200, 410):
            raise Transient(f"{answer.where}: {answer.words()}", do="nothing: it is asked again")
        return answer


def page_of(content: bytes, epoch: str, arrived: Arrived) -> Iterator[Release]:
    """The events of an answer of `/events`, up to the first that is none. Raises ValueError, there."""
    try:
        for text in split_array(split_object(content)["events"]):
            yield read_frame(text).release(epoch, "resume", arrived)
    except (KeyError, AssertionError) as error:
        raise ValueError(str(error)) from None


def after_gone(position: Position, gone: Gone) -> tuple[Position, str]:
    """Where it goes on, and why not at `position`."""
    other = gone.epoch != position.epoch
    reason = "the journal began a new epoch" if other else "the journal had it no longer"
    return Position(gone.epoch, gone.tail - 1), reason


def counted(status: ServeStatus) -> Counted:
    """What gates ask for of a status: of requests those of producers and subscribers, not of who watches."""
    http, dead, source = status.http, status.dead_letters, status.source
    return Counted(
        started_at=status.started_at,
        requests=max(0, http.requests - http.watching),
        answered_5xx=http.answered_5xx,
        dead_letters=sum(dead.by_code.values()) if dead is not None else 0,
        rejected=http.rejected + (source.rejected if source is not None else 0),
    )
