"""In-process publishing: this process is the journal's one writer, and, if that is wanted, serves it too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from migctl.config import Mode, Settings, load
from migctl.errors import MigctlError, Refused, Systemic, first_error
from migctl.events import Event
from migctl.journal import Appended, Journal, JournalBroken, Log, SecondWriter
from migctl.publisher.outlet import Outlet
from migctl.status import PublisherStatus
from migctl.telemetry import get_logger

log = get_logger("publisher")


class OwnJournal:
    """The outlet over a journal that is open here."""

    def __init__(self, journal: Log) -> None:
        self._journal = journal

    async def append(self, events: Sequence[Event], /) -> Appended:
        try:
            return await self._journal.append(events)
        except JournalBroken as error:  # never tried again: it could acknowledge what is not there
            raise Systemic(error.what, do=error.do) from None


@asynccontextmanager
async def own_journal(path: Path, settings: Settings | None = None) -> AsyncIterator[Outlet]:
    """Only written to; a later `migctl serve` over this journal delivers what is in it. Raises Refused for a second writer."""
    from migctl.runtime.journals import open_journal

    journal = await _alone(open_journal(settings or Settings(), path=path, relayed=True, notify=_notify))
    try:
        yield OwnJournal(journal)
    finally:
        await journal.aclose()


async def _alone(opening: Any) -> Any:
    try:
        return await opening
    except SecondWriter as error:
        raise Refused(
            error.what, do="publish to that process instead: Publisher(url='http://HOST:PORT')"
        ) from None


class Feed:
    """The source of a Service whose events come from this process: it only brings out the journal."""

    def __init__(self, status: Callable[[], PublisherStatus]) -> None:
        self._status = status
        self.journal: asyncio.Future[Journal] = asyncio.get_running_loop().create_future()

    async def run(self, journal: Journal) -> None:
        self.journal.set_result(journal)
        await asyncio.Event().wait()  # until it is cancelled: only the publisher ends the service

    def status(self) -> PublisherStatus:
        return self._status()


def settings_of(serve: Settings | Mode, journal: Path) -> Settings:
    """A mode takes the rest from migctl.yaml and the environment, as `migctl serve` does; settings are complete."""
    if isinstance(serve, Settings):
        section = serve.journal.model_copy(update={"path": str(journal)})
        return serve.model_copy(update={"journal": section})
    return load(flags={("mode",): serve, ("journal", "path"): str(journal)})


@asynccontextmanager
async def own_service(
    settings: Settings,
    status: Callable[[], PublisherStatus],
    *,
    serving: Callable[[str], None],
    lost: Callable[[MigctlError], None],
) -> AsyncIterator[Outlet]:
    """What `migctl serve` runs, in this loop, over the publisher's journal; drained at the end.

    status: of the publisher, for `/api/status`. serving: told where it listens. lost: told what ended it before its time.
    Raises what `migctl serve` would end with.
    """
    from migctl.runtime.composing import compose

    service = await compose(settings, source=(feed := Feed(status)), notify=_notify)
    stop = asyncio.Event()
    running = asyncio.create_task(service.run(stop, lambda it: serving(it.url)), name="publisher-service")
    try:
        waited: list[asyncio.Future[Any]] = [running, feed.journal]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not feed.journal.done():
            await _alone(_unwrapped(running))
        running.add_done_callback(lambda task: _report_loss(task, stop, lost))
        # Its disk is watched by the service, which ends with it.
        yield OwnJournal(feed.journal.result())
    except BaseException:
        stop.set()
        await asyncio.wait([running])
        raise
    stop.set()
    left = await _unwrapped(running)
    log.info("stopped", head=left.head, backlog=left.backlog)


async def _unwrapped(running: asyncio.Task[Any]) -> Any:
    try:
        return await running
    except BaseExceptionGroup as group:
        raise first_error(group) from group


def _report_loss(task: asyncio.Task[Any], stop: asyncio.Event, lost: Callable[[MigctlError], None]) -> None:
    if stop.is_set():
        return
    error = None if task.cancelled() else task.exception()
    first = first_error(error) if error is not None else None
    if isinstance(first, MigctlError):
        lost(first)
    else:
        lost(MigctlError(f"the service in this process ended: {first!r}", do="start this process again"))


def _notify(text: str) -> None:
    log.warning("notice", text=text)
