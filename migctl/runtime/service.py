"""What `serve` runs: journal, transports, relay, source and the listener, in one task group with one owner.

Started in the order in which the parts need each other; stopped the other way round, so that nothing is taken in that is not kept.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from migctl import __version__
from migctl.clock import now
from migctl.config import Mode, Settings, Target
from migctl.errors import MigctlError
from migctl.events import format_time
from migctl.journal import Journal
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.retention import Keep
from migctl.runtime.connections import Connections
from migctl.server.access.tokens import Tokens
from migctl.telemetry import get_logger
from migctl.transports import Transport, TransportName, create

DRAIN_S = 10.0
AWAY_S = 1.0
# How long a target that does not answer may hold up the start; later the relay waits for it, and nothing else does.
CLAIM_S = 3.0


class Source(Protocol):
    """Where events come from besides `POST /events`."""

    async def run(self, journal: Journal) -> None:
        """Feed the journal until the source ends, or for ever."""
        ...

    def status(self) -> dict[str, Any]: ...


class JournalFailed(MigctlError):
    """The journal's disk failed: nothing can be acknowledged any more, and the fsync is not tried again."""

    exit_code = 70


@dataclass(slots=True)
class Left:
    """What `serve` leaves behind when it ends: told on stderr, found again at the next start."""

    backlog: int = 0
    subscribers: int = 0
    head: int = 0


@dataclass(slots=True)
class Service:
    """One `serve` process.

    tokens: who may do what over HTTP; without any, only loopback is served. assigned: what `/api/transport` tells.
    source: None where events only come over HTTP. gate: None, or a callable that waits until the source may begin and, called
    again, until it must end. say: is told what an operator must hear at once.
    """

    settings: Settings
    mode: Mode
    target: Target | None
    source: Source | None = None
    gate: Callable[[], Awaitable[object]] | None = None
    until_done: bool = False
    say: Callable[[str], None] = lambda _: None
    tokens: Tokens = field(default_factory=Tokens)
    assigned: TransportName = "websocket"
    draining: bool = False
    url: str = ""
    left: Left = field(default_factory=Left)
    _source_done: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stop: asyncio.Event, ready: Callable[[Service], None] = lambda _: None) -> Left:
        """Serve until `stop` is set (or, with until_done, until the source is read and relayed), then drain.

        ready: called once the listener answers.
        Raises Refused for a second writer, Transient where the port is taken, JournalFailed.
        """
        journal = await SqliteJournal.open(
            self.settings.journal_path,
            keep=keep_of(self.settings, relayed=self.mode != "websocket"),
            say=self.say,
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(journal.aclose)
            await self._serve(journal, stack, stop, ready)
        return self.left

    async def _serve(
        self,
        journal: SqliteJournal,
        stack: AsyncExitStack,
        stop: asyncio.Event,
        ready: Callable[[Service], None],
    ) -> None:
        from migctl.server import Assignment, bound, build, check_upstream, listening
        from migctl.target.token_command import token_command_of

        log = get_logger("serve")
        relay = self._relay(journal, stack)
        if relay is not None:
            await relay.burying.load()
            # Before an event is taken: a journal that was put back would give seqs a second time.
            await relay.claim(within_s=CLAIM_S)
        transports = create(
            self.mode,
            self.settings,
            journal=journal,
            target=self.target,
            table_head=(lambda: relay.table_head) if relay is not None else (lambda: 0),
            reached=relay.hurry if relay is not None else (lambda: None),
        )
        connections = Connections(transports, relay)
        gateway: Any = next((transport for transport in transports if transport.name == "websocket"), None)
        fallback = self._fallback(journal, transports, relay, connections)
        app = build(
            journal=journal,
            gateway=gateway,
            settings=self.settings,
            status=lambda: self._status(journal, transports, relay, fallback, connections),
            ready=lambda: self._ready(journal, connections),
            refusing=lambda: "draining" if self.draining else None,
            tokens=self.tokens,
            commits=journal.commit_seconds,
            batches=relay.figures if relay is not None else None,
            assignment=Assignment(
                transport=self.assigned,
                target=self.target,
                schema=self.settings.supabase.schema_,
                epoch=lambda: journal.epoch,
                fallback=self.settings.fallback,
                token_command=token_command_of(self.settings),
            ),
            admin=self._admin(relay, stack),
        )
        check_upstream(self.settings)
        control = stack.enter_context(bound(self.settings.state))
        listener = listening(app, self.settings.listen_host, self.settings.listen_port, control=control)
        async with listener as where, asyncio.TaskGroup() as group:
            self.url = where.url
            carriers = [group.create_task(transport.run(), name=transport.name) for transport in transports]
            if relay is not None:
                carriers.append(group.create_task(relay.run(), name="relay"))
            if fallback is not None:
                carriers.append(group.create_task(fallback.run(), name="fallback"))
            watch = group.create_task(_watch(journal), name="journal-watch")
            noticing = group.create_task(connections.run(), name="connections")
            feed = group.create_task(self._feed(journal), name="source")
            with Announcement(self):
                log.info("serving", url=self.url, mode=self.mode, epoch=journal.epoch, head=journal.head)
                ready(self)
                await self._until(stop, relay)
                self.draining = True
                log.info("draining", head=journal.head)
                feed.cancel()
                await asyncio.wait([feed])
                await self._drain(journal, transports, relay)
            for task in (*carriers, watch, noticing):
                task.cancel()
        log.info("stopped", head=self.left.head, backlog=self.left.backlog)

    def _relay(self, journal: SqliteJournal, stack: AsyncExitStack) -> Any:
        if self.mode == "websocket":
            return None
        from migctl.delivery import Relay
        from migctl.target import Heads, TableWriter

        assert self.target is not None
        schema = self.settings.supabase.schema_
        timeouts = self.settings.resilience.request_timeout
        writer, heads = TableWriter(self.target, schema, timeouts), Heads(self.target, schema, timeouts)
        stack.push_async_callback(writer.aclose)
        stack.push_async_callback(heads.aclose)
        return Relay(journal, writer, heads, self.settings)

    def _fallback(
        self, journal: SqliteJournal, transports: list[Transport], relay: Any, connections: Connections
    ) -> Any:
        """None where there is only one transport."""
        by_name: dict[str, Any] = {transport.name: transport for transport in transports}
        if len(by_name) < 2:
            return None
        from migctl.delivery.fallback import Fallback

        gateway = by_name["websocket"]
        return Fallback(
            journal,
            relay,
            connections.breakers,
            gateway.announce,
            gateway.count_v2,
            self.settings,
        )

    def _admin(self, relay: Any, stack: AsyncExitStack) -> Sequence[Any]:
        """Routes for what an operator does while it runs."""
        if relay is None:
            return ()
        from migctl.server.routes.deadletters import dead_letter_routes
        from migctl.target import RetryTable

        assert self.target is not None
        table = RetryTable(self.target, self.settings.supabase.schema_)
        stack.push_async_callback(table.aclose)
        return dead_letter_routes(relay.burying, table)

    async def _feed(self, journal: Journal) -> None:
        if self.source is None:
            if self.until_done:
                self._source_done.set()
            return
        if self.gate is None:
            await self.source.run(journal)
        else:
            await self.gate()
            feeding = asyncio.ensure_future(self.source.run(journal))
            ended = asyncio.ensure_future(self.gate())
            try:
                await asyncio.wait([feeding, ended], return_when=asyncio.FIRST_COMPLETED)
                if feeding.done():
                    feeding.result()
            finally:
                for task in (feeding, ended):
                    task.cancel()
                await asyncio.wait([feeding, ended])
        get_logger("serve").info("source ended", head=journal.head)
        self._source_done.set()

    async def _until(self, stop: asyncio.Event, relay: Any) -> None:
        stopped = asyncio.ensure_future(stop.wait())
        done = asyncio.ensure_future(self._done(relay))
        try:
            await asyncio.wait([stopped, done], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            done.cancel()

    async def _done(self, relay: Any) -> None:
        if not self.until_done:
            await asyncio.Event().wait()
        await self._source_done.wait()
        while relay is not None and await relay.drain(DRAIN_S) > 0:
            get_logger("serve").info("waiting for the table", **relay.status())

    async def _drain(self, journal: Journal, transports: list[Transport], relay: Any) -> None:
        if relay is not None:
            # A target that is away now will hardly come back in time: the next start sends what is left.
            running = relay.status()["state"] == "running"
            self.left.backlog = await relay.drain(DRAIN_S if running else AWAY_S)
        for transport in transports:
            still = await transport.drain(DRAIN_S)
            if transport.name == "websocket":
                self.left.subscribers = still
        self.left.head = journal.head

    def _status(
        self,
        journal: SqliteJournal,
        transports: list[Transport],
        relay: Any,
        fallback: Any,
        connections: Connections,
    ) -> dict[str, Any]:
        shown = [transport.status() for transport in transports]
        return {
            "schema": "migctl.status/1",
            "version": __version__,
            "pid": os.getpid(),
            "url": self.url,
            "mode": self.mode,
            "draining": self.draining,
            "target": self.target.name if self.target is not None else None,
            "target_embedded": self.target is not None and self.target.embedded,
            "journal": {
                "path": str(journal.path),
                "epoch": journal.epoch,
                "writer_id": journal.writer_id,
                "head": journal.head,
                "tail": journal.tail,
                "size_bytes": _size_bytes(journal.path),
                "full": journal.full,
                "full_in_hours": journal.full_in_hours,
            },
            "transports": {
                one.name: {"state": one.state, "reason": one.reason, **one.details} for one in shown
            },
            "relay": relay.status() if relay is not None else None,
            **connections.status(),
            "dead_letters": relay.burying.status() if relay is not None else None,
            "fallback": fallback.status() if fallback is not None else None,
            "source": self.source.status() if self.source is not None else None,
            "source_done": self._source_done.is_set(),
        }

    def _ready(self, journal: SqliteJournal, connections: Connections) -> tuple[bool, dict[str, Any]]:
        if self.draining:
            return False, {"status": "draining"}
        if journal.full is not None:
            return False, {"status": "full", "reason": journal.full}
        degraded = connections.degraded()
        return True, {"status": "degraded" if degraded else "ok", "degraded": degraded}


def keep_of(settings: Settings, *, relayed: bool) -> Keep:
    """What the settings say of retention. relayed: a relay reads this journal, and nothing goes before it has begun."""
    of = settings.journal
    return Keep(
        hours=of.retain_hours,
        min_events=of.retain_min_events,
        max_bytes=of.max_bytes,
        min_free_bytes=of.min_free_bytes,
        readers=frozenset({"relay"}) if relayed else frozenset(),
    )


def _size_bytes(journal: Path) -> int:
    """Of the file and its log. The log is not there before the first write."""
    files = (journal, journal.with_name(f"{journal.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


async def _watch(journal: SqliteJournal) -> None:
    failure = await journal.failure()
    raise JournalFailed(failure.what, do=failure.do)


class Announcement:
    """`serve.json` in the state folder, for as long as the process serves: who listens where."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._path = Path(service.settings.state_dir) / "serve.json"

    def __enter__(self) -> None:
        said = {
            "schema": "migctl.serve/1",
            "pid": os.getpid(),
            "url": self._service.url,
            "mode": self._service.mode,
            "started_at": format_time(now()),
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        half = self._path.with_suffix(".json.new")
        half.write_text(json.dumps(said, indent=2) + "\n")
        half.replace(self._path)

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
