"""The publisher: bounded, in order, from coroutines and from threads; acknowledged means durable."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from datetime import UTC, tzinfo
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from migctl.clock import mono, now
from migctl.config.address import base_url
from migctl.config.modes import Mode
from migctl.errors import MigctlError, Transient, Usage
from migctl.events import Event
from migctl.publisher.arguments import check, check_timeout, fields_of
from migctl.publisher.drafts import Data, NewEvent, Published, Timestamp, draft
from migctl.publisher.outlet import Outlet
from migctl.publisher.pending import Pending
from migctl.publisher.sending import Sender, given_up
from migctl.publisher.state import PublisherState, Standing
from migctl.publisher.waiting import Full, Unit, Waiting
from migctl.status import PublisherStatus
from migctl.telemetry import get_logger

if TYPE_CHECKING:
    from migctl.config.settings import Settings

log = get_logger("publisher")


class Publisher:
    """`async with Publisher(url) as publisher: await publisher.publish("cpu", {"used": 0.5})`.

    url: a running `migctl serve`; token: of purpose ingest, where it asks for one.
    journal: publish in-process instead, as the one writer of this journal.
    serve: and deliver it from here, as `migctl serve` does in this mode, or with these settings. Without, it is only written, and a
    later `migctl serve` delivers.
    source: of events that name none; default: this host's name.
    max_waiting_events, max_waiting_bytes: what may be accepted and not yet acknowledged; beyond, callers wait.
    give_up_s: how long an event is tried before its caller gets the error; None: without end (use asyncio.timeout).
    flush_s: how long leaving the block may wait for acknowledgements. request_timeout_s: for an answer of `serve`.
    zone: of times that name none, as a datetime or as a text alike.
    on_state: called with each change of `state`, in the loop of the block. A process that forked needs a publisher of its own.
    Raises Usage for arguments that can't be meant; entering raises Refused for a second writer.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        journal: str | PathLike[str] | None = None,
        serve: Mode | Settings | None = None,
        source: str | None = None,
        max_waiting_events: int = 10_000,
        max_waiting_bytes: int = 64 << 20,
        give_up_s: float | None = None,
        flush_s: float = 10.0,
        request_timeout_s: float = 10.0,
        zone: tzinfo = UTC,
        on_state: Callable[[PublisherState], object] | None = None,
    ) -> None:
        check(
            url=url,
            token=token,
            journal=journal,
            source=source,
            max_waiting_events=max_waiting_events,
            max_waiting_bytes=max_waiting_bytes,
            give_up_s=give_up_s,
            flush_s=flush_s,
            request_timeout_s=request_timeout_s,
            zone=zone,
            on_state=on_state,
        )
        if (url is None) == (journal is None):
            raise Usage(
                "a Publisher needs a url or a journal, one of them", do="Publisher('http://127.0.0.1:8080')"
            )
        if url is not None and serve is not None:
            raise Usage("serve= goes with journal=: at url a `migctl serve` runs already", do="leave one out")
        if journal is not None and token is not None:
            raise Usage("token= goes with url=: a journal of this process asks for none", do="leave it out")
        if journal is not None and find_spec("migctl.runtime") is None:
            raise Usage(
                "journal= needs all of migctl, and this is migctl-client",
                do="pip install migctl, or give a url",
            )
        # Raises now, not when the block is entered.
        self.url = base_url(url) if url is not None else None
        self._token = token
        self._journal = Path(journal) if journal is not None else None
        self._serve = serve
        self._zone = zone
        self._source = source or platform.node() or "localhost"
        self._give_up_s = give_up_s
        self._flush_s = flush_s
        self._request_timeout_s = request_timeout_s
        self._waiting = Waiting(max_waiting_events, max_waiting_bytes, self._wake)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._more = asyncio.Event()
        self._sender: Sender | None = None
        self._running: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()
        self._leaving = False
        self._ended_by: MigctlError | None = None
        self._dropped = 0
        self._standing = Standing(on_state)
        self._process = os.getpid()

    # What it does now.

    @property
    def waiting_events(self) -> int:
        """Accepted and not yet acknowledged; never above max_waiting_events."""
        return self._waiting.events

    @property
    def in_line(self) -> int:
        """Callers that wait for room."""
        return self._waiting.in_line

    @property
    def most_waiting_events(self) -> int:
        """The highest that was."""
        return self._waiting.most_events

    @property
    def state(self) -> PublisherState:
        """Whether what is published is acknowledged now, and since when it is as it is."""
        return self._standing.now

    @property
    def waiting_for(self) -> str | None:
        """Why nothing is acknowledged now; None where all is well."""
        return self._sender.waiting_for if self._sender is not None else None

    # Publishing.

    async def publish(
        self,
        event_type: str,
        data: Data,
        *,
        id: str | UUID | None = None,
        timestamp: Timestamp | None = None,
        source: str | None = None,
    ) -> Published:
        """Return once the event is durable. While there is no room, wait.

        data: a mapping, or the JSON text of an object, which is kept byte for byte. timestamp: a datetime, a text, or
        Unix time; default now.
        id: with one, publishing it again is harmless; a UUID is made where none is given.
        Cancelled, the event is withdrawn if it was not sent yet; else it may become durable. Others are not touched.
        Raises Poison for an event that can't be, Conflict where the id is there with another body, Transient after give_up_s,
        Systemic where the token is refused.
        """
        loop = self._own_loop()
        event = draft(
            event_type,
            data,
            id=id,
            timestamp=timestamp,
            source=source,
            default_source=self._source,
            zone=self._zone,
        )
        return (await self._ask(loop, (event,), (id is not None,)))[0]

    async def publish_many(self, events: Iterable[NewEvent]) -> list[Published]:
        """The same for several, stored together or not at all, at contiguous seqs; answers are in their order.

        Conflict and Poison name all that is wrong, by index. Raises Usage for more than this publisher may hold.
        """
        loop = self._own_loop()
        wanted = list(events)
        if not wanted:
            return []
        drafts = [self._draft(**fields_of(one, index)) for index, one in enumerate(wanted)]
        own_ids = [one.get("id") is not None for one in wanted]
        return await self._ask(loop, drafts, own_ids)

    def publish_threadsafe(
        self,
        event_type: str,
        data: Data,
        *,
        id: str | UUID | None = None,
        timestamp: Timestamp | None = None,
        source: str | None = None,
        timeout_s: float | None = 10.0,
    ) -> Future[Published]:
        """From any thread: return once the event is accepted; the future has its acknowledgement, or why there is none.

        timeout_s: how long to wait for room; None without end. In the loop's own thread it never waits.
        Raises Full where there was no room in time, Poison for an event that can't be, Usage after the block was left.
        """
        self._open_loop()
        check_timeout(timeout_s)
        event = self._draft(event_type, data, id=id, timestamp=timestamp, source=source)
        answer = Pending(self._thread)
        unit = Unit((event,), (id is not None,), answer, mono(), let_in=threading.Event())
        in_loop = threading.get_ident() == self._thread
        if self._waiting.ask(unit, patient=not in_loop):
            return answer
        if in_loop:
            raise self._full(
                unit, "now", "await publish(...) here: in the loop's own thread nothing can be waited for"
            )
        assert unit.let_in is not None
        if not unit.let_in.wait(timeout_s) and self._waiting.withdraw(unit, from_line_only=True):
            raise self._full(
                unit, f"within {timeout_s:g} s", "publish it again later, more slowly, or raise timeout_s"
            )
        return answer

    def _draft(self, event_type: str, data: Data, **more: Any) -> Event:
        fields = {"id": None, "timestamp": None, "source": None, **more}
        return draft(event_type, data, **fields, default_source=self._source, zone=self._zone)

    async def _ask(
        self, loop: asyncio.AbstractEventLoop, events: Sequence[Event], own_ids: Sequence[bool]
    ) -> list[Published]:
        answer: asyncio.Future[list[Published]] = loop.create_future()
        unit = Unit(events, own_ids, answer, mono(), many=True)
        self._waiting.ask(unit)
        try:
            published: list[Published] = await answer
            return published
        except asyncio.CancelledError:
            self._waiting.withdraw(unit)
            raise

    def _full(self, unit: Unit, when: str, do: str) -> Full:
        held = f"{self._waiting.events} events, {self._waiting.bytes} bytes"
        why = f" ({self.waiting_for})" if self.waiting_for else ""
        return Full(f"event {unit.events[0].id}: there was no room {when}; {held} wait{why}", do=do)

    # The loop and its threads.

    def _open_loop(self) -> asyncio.AbstractEventLoop:
        self._own_process()
        if self._loop is None or self._sender is None:
            raise Usage(
                "this publisher is not open", do="use it as a context manager: async with Publisher(...)"
            )
        if self._loop.is_closed():
            raise _closed()
        return self._loop

    def _own_process(self) -> None:
        if os.getpid() != self._process:
            raise Usage(
                "this publisher belongs to the process that forked this one",
                do="make a Publisher of its own in each process, after the fork",
            )

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        loop = self._open_loop()
        if asyncio.get_running_loop() is not loop:
            raise Usage(
                "this publisher belongs to another event loop",
                do="await asyncio.wrap_future(publisher.publish_threadsafe(...)) here",
            )
        return loop

    def _wake(self) -> None:
        assert self._loop is not None
        if threading.get_ident() == self._thread:
            self._more.set()
            return
        try:
            self._loop.call_soon_threadsafe(self._more.set)
        except RuntimeError:  # the loop was closed, and the block never left
            raise _closed() from None

    # The block.

    async def __aenter__(self) -> Self:
        self._own_process()
        if self._loop is not None:
            raise Usage("this Publisher was used before", do="make a new one for each block")
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        outlet = await self._open()
        self._sender = Sender(
            outlet, self._waiting, more=self._more, give_up_s=self._give_up_s, standing=self._standing
        )
        self._standing.become("open")
        self._running = asyncio.create_task(self._sender.run(), name="publisher")
        self._running.add_done_callback(self._stopped)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait until what was accepted, or stood in line, is acknowledged; say how many events are not.

        Raises Transient with that number, and in journal mode what ended the service.
        """
        assert self._sender is not None
        assert self._running is not None
        self._own_process()
        self._waiting.end(_closed())
        failed_before = self._sender.failed
        lost = 0
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._flush_s):
                    await self._sender.flush()
        finally:
            self._leaving = True
            self._running.cancel()
            await asyncio.wait([self._running])
            lost = self._waiting.fail_all(
                lambda unit: given_up(unit, "before the publisher was closed", _WAY_OUT)
            )
            await self._stack.aclose()
            self._standing.become("left")
        lost += self._sender.failed - failed_before + self._dropped
        if lost:
            why = self._sender.last_error or self.waiting_for or "no answer in time"
            raise Transient(
                f"{lost} events were not acknowledged when the publisher was left: {why}", do=_WAY_OUT
            )

    async def _open(self) -> Outlet:
        if self.url is not None:
            from migctl.publisher.post import Post

            post = Post(self.url, token=self._token, timeout_s=self._request_timeout_s)
            self._stack.push_async_callback(post.aclose)
            return post
        assert self._journal is not None
        from migctl.publisher import inprocess

        if self._serve is None:
            return await self._stack.enter_async_context(inprocess.own_journal(self._journal))
        settings = inprocess.settings_of(self._serve, self._journal)
        serving = inprocess.own_service(settings, self._status, serving=self._serving, lost=self._lost)
        return await self._stack.enter_async_context(serving)

    def _serving(self, url: str) -> None:
        self.url = url

    def _status(self) -> PublisherStatus:
        """As a source of `serve`."""
        sender = self._sender
        of = sender.arrivals if sender is not None else None
        return PublisherStatus(
            source=self._source,
            state="waiting" if self.waiting_for else "running",
            waiting_for=self.waiting_for,
            since=of.since if of is not None else None,
            last_event_at=of.last_at if of is not None else None,
            per_s=of.per_s(now()) if of is not None else None,
            accepted=sender.acknowledged if sender is not None else 0,
            rejected=sender.failed if sender is not None else 0,
            buffered_bytes=self._waiting.bytes,
        )

    def _lost(self, error: MigctlError) -> None:
        """The service in this process ended by itself."""
        self._ended_by = error
        if self._running is not None:
            self._running.cancel()

    def _stopped(self, task: asyncio.Task[None]) -> None:
        """Nothing is sent any more, and the block was not left: tell everyone."""
        if self._leaving:
            return
        error = self._ended_by
        if error is None:
            fault = None if task.cancelled() else task.exception()
            what = f"an error of ours: {fault!r}" if fault is not None else "the publisher was cancelled"
            error = MigctlError(what, do="leave the block, and enter a new one")
        log.error("stopped", reason=error.what)
        self._standing.become("stopped", error.what)
        self._waiting.end(error)
        self._dropped = self._waiting.fail_all(lambda _: MigctlError(error.what, do=error.do))
        assert self._sender is not None
        self._sender.idle.set()


_WAY_OUT = "see that `migctl serve` and the journal's disk are well, and publish them again with their ids"


def _closed() -> MigctlError:
    return Usage("this publisher was left", do="publish inside its block, or make a new one")
