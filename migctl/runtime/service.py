"""The life of one `serve`: its parts started, run, drained and stopped, in one task group with one owner.

Started in the order in which the parts need each other; stopped the other way round, so that nothing is taken in that is not kept.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from migctl.clock import mono, now
from migctl.config import Mode, Settings, Target
from migctl.dashboard.building import REMEDY, lacking
from migctl.journal import Room
from migctl.runtime.announcement import Announcement
from migctl.runtime.closing import Closing
from migctl.runtime.feed import Feed, Source
from migctl.runtime.flags import reached_at
from migctl.runtime.journals import open_journal
from migctl.runtime.live_settings import Origin
from migctl.runtime.parts import Parts, make_parts
from migctl.runtime.rates import Rates
from migctl.runtime.rekeying import Rekeying
from migctl.runtime.remembering import Remembering
from migctl.runtime.starving import Starving
from migctl.runtime.status import counters_of, observe, serve_readiness, serve_status
from migctl.runtime.story import Stories
from migctl.runtime.threads import threads
from migctl.runtime.witness import KeptWitness
from migctl.server.access.held import HeldTokens
from migctl.server.access.memory import Memory, Reserve
from migctl.status import SupervisionStatus, WitnessStatus
from migctl.status.indicators import Indicators
from migctl.telemetry import get_logger
from migctl.transports import TransportName
from migctl.validate.witness.state import read_state

if TYPE_CHECKING:
    from aiohttp import web

    from migctl.delivery import Relay
    from migctl.transports.websocket import Reading

WAITING_LOGGED_EVERY_S = 10.0
OBSERVED_EVERY_S = 0.25


@dataclass(slots=True)
class Left:
    """What `serve` leaves behind when it ends: told on stderr, found again at the next start."""

    backlog: int = 0
    subscribers: int = 0
    head: int = 0


@dataclass(slots=True)
class Service:
    """One `serve` process.

    tokens: who may do what over HTTP; without any, only loopback is served. override: the kill switch of the flag `transport`.
    source, gate: as in Feed. reading: of an old service's frames, where there is one. until_done: end once the source is read and
    relayed. notify: of what an operator must hear at once.
    witness: kept beside it; None for none. held: sockets that listen already, which are served. supervision: by whom it is kept.
    """

    settings: Settings
    mode: Mode
    target: Target | None
    source: Source | None = None
    reading: Reading | None = None
    gate: Callable[[], Awaitable[object]] | None = None
    until_done: bool = False
    notify: Callable[[str], None] = lambda _: None
    tokens: HeldTokens = field(default_factory=HeldTokens)
    witness: KeptWitness | None = None
    held: Sequence[socket.socket] = ()
    supervision: SupervisionStatus | None = None
    override: TransportName | None = None
    origin: Origin = lambda _: "default"
    rekey: Callable[[], None] = lambda: None  # reads keys and tokens again, while it runs
    draining: bool = False
    url: str = ""
    left: Left = field(default_factory=Left)
    rates: Rates = field(default_factory=Rates)
    indicators: Indicators = field(default_factory=Indicators)
    started_at: datetime = field(default_factory=now)

    async def run(self, stop: asyncio.Event, ready: Callable[[Service], None] = lambda _: None) -> Left:
        """Serve until `stop` is set (or, with until_done, until the source is read and relayed), then drain.

        ready: called once the listener answers.
        Raises Refused for a second writer, Transient where the port is taken, JournalBroken.
        """
        journal = await open_journal(self.settings, relayed=self.mode != "websocket", notify=self.notify)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(journal.aclose)
            parts = make_parts(
                self.settings,
                self.mode,
                self.target,
                journal=journal,
                override=self.override,
                stack=stack,
                origin=self.origin,
                reading=self.reading,
            )
            await self._serve(parts, Feed(self.source, self.gate), stack, stop, ready)
        return self.left

    async def _serve(
        self,
        parts: Parts,
        feed: Feed,
        stack: AsyncExitStack,
        stop: asyncio.Event,
        ready: Callable[[Service], None],
    ) -> None:
        from migctl.server import bound, check_upstream, listening

        log = get_logger("serve")
        settings, journal, relay = self.settings, parts.journal, parts.relay
        if relay is not None:
            await relay.burying.load()
            await relay.throttle.load()
            # Before an event is taken: a journal that was put back would give seqs a second time.
            await relay.claim(within_s=settings.relay.claim_s)
        closing = Closing(parts, mode=self.mode, notify=self.notify)
        if parts.staged is not None:
            parts.staged.when_completed(closing.change)
            parts.staged.begin()
        of = parts.flags.registration
        remembering = Remembering(settings.state, parts.gateway, self.mode, lambda: (of.id, of.name))
        app = self._application(parts, feed, remembering, closing, self._stories(parts, stack))
        check_upstream(settings)
        remembering.begin()
        control = stack.enter_context(bound(settings.state))
        listener = listening(app, settings.listen_host, settings.listen_port, control=control, held=self.held)
        await threads()
        starving = Starving(Memory(), Reserve())
        stack.enter_context(starving.installed())
        # Before anybody asks: an answer that moves a subscriber away and back would be worse than a start that is late by a little.
        await parts.flags.begin()
        await asyncio.to_thread(parts.exposures.begin)
        await asyncio.to_thread(parts.keeping.begin)
        async with listener as where, asyncio.TaskGroup() as group:
            self.url = where.url
            parts.flags.registration.url = reached_at(where.url)
            flags = group.create_task(parts.flags.run(), name="flags")
            carriers = [group.create_task(one.run(), name=one.name) for one in parts.transports]
            if relay is not None:
                carriers.append(group.create_task(relay.run(), name="relay"))
            if parts.fallback is not None:
                carriers.append(group.create_task(parts.fallback.run(), name="fallback"))
            if parts.staged is not None:
                carriers.append(group.create_task(parts.staged.run(), name="stage"))
            carriers.append(group.create_task(remembering.run(), name="who leaves"))
            carriers.append(group.create_task(_count(parts, self.rates), name="rates"))
            carriers.append(group.create_task(self._observe(parts), name="indicators"))
            carriers.append(group.create_task(parts.exposures.run(), name="exposures"))
            carriers.append(group.create_task(parts.keeping.run(), name="kept"))
            watch = group.create_task(_watch(journal), name="journal-watch")
            observing = group.create_task(parts.connections.run(), name="connections")
            feeding = group.create_task(feed.run(journal), name="source")
            rekeying = Rekeying(
                settings, self.target, self.tokens, changed=lambda names: self._rekeyed(parts, names)
            )
            carriers.append(group.create_task(rekeying.run(), name="keys"))
            carriers.append(group.create_task(starving.run(), name="memory"))
            self.rekey = rekeying.ask
            if parts.gateway is not None:
                self.tokens.follow(parts.gateway.dismiss)
            watching = (
                [group.create_task(closing.watch(self.witness, self.url), name="witness")]
                if self.witness
                else []
            )
            with Announcement(settings.state, url=self.url, mode=self.mode):
                log.info("serving", url=self.url, mode=self.mode, epoch=journal.epoch, head=journal.head)
                ready(self)
                await self._until(stop, feed, relay)
                self.draining = True
                log.info("draining", head=journal.head)
                feeding.cancel()
                await asyncio.wait([feeding])
                await self._drain(parts)
            for task in (*watching, *carriers, watch, observing, flags):
                task.cancel()
            await asyncio.wait([flags])
            await parts.flags.end()
        remembering.end()
        await parts.exposures.end()
        await parts.keeping.end()
        log.info("stopped", head=self.left.head, backlog=self.left.backlog)

    def _stories(self, parts: Parts, stack: AsyncExitStack) -> Stories:
        places = None
        if parts.to_target is not None:
            from migctl.target.places import Places

            places = Places(parts.to_target.target, self.settings.supabase.schema_)
            stack.push_async_callback(places.aclose)
        return Stories(parts, places, self.settings.state / "rejected.ndjson")

    def _application(
        self, parts: Parts, feed: Feed, remembering: Remembering, closing: Closing, stories: Stories
    ) -> web.Application:
        from migctl.server import Assignment, build
        from migctl.server.routes.clients import client_routes

        journal, relay, page_lacks = parts.journal, parts.relay, lacking()
        self.started_at = now()
        makes_tokens = parts.to_target.authenticated if parts.to_target is not None else None
        assignment = Assignment(
            assign=parts.flags.assign,
            served=parts.flags.served,
            away=lambda: not closing.closed and parts.fallback is not None and parts.fallback.active,
            target=self.target,
            schema=self.settings.supabase.schema_,
            epoch=lambda: journal.epoch,
            live=self.settings.realtime.live,
            fallback=self.settings.fallback,
            authenticated=makes_tokens,
            gives_tokens=not self.settings.realtime.clients_bring_tokens,
            token_ttl_s=self.settings.realtime.token_ttl_s,
        )
        parts.live.follow(lambda of: assignment.follow(of.fallback, token_ttl_s=of.realtime.token_ttl_s))
        if self.witness is not None:
            parts.live.follow(self.witness.follow)
        return build(
            journal=journal,
            gateway=parts.gateway,
            settings=self.settings,
            status=lambda http: serve_status(
                parts,
                feed,
                http,
                mode=self.mode,
                target=self.target,
                url=self.url,
                started_at=self.started_at,
                draining=self.draining,
                supervision=self.supervision,
                rates=self.rates.status(),
                witness=self._witnessed(),
                keeps_witness=self.witness is not None and not closing.closed,
                indicators=self.indicators,
                page_lacks=f"{page_lacks}: {REMEDY}" if page_lacks is not None else None,
            ),
            ready=lambda: serve_readiness(parts, draining=self.draining),
            refusing=lambda: "draining" if self.draining else None,
            tokens=self.tokens,
            commits=journal.commit_seconds,
            batches=relay.figures if relay is not None else None,
            assignment=assignment,
            admin=[*_admin(parts, self.settings, self.tokens), *client_routes(remembering.status)],
            flags=[*_flags(parts), *_rollout(self.settings, parts)],
            follow=parts.live.follow,
            stories=stories,
        )

    def _rekeyed(self, parts: Parts, names: Collection[str]) -> None:
        if parts.to_target is not None:
            parts.to_target.broadcast.rekey()
        if self.witness is not None and not set(names) <= {
            "SUPABASE_SECRET_KEY",
            "SUPABASE_SERVICE_ROLE_KEY",
        }:
            self.witness.again()

    def _witnessed(self) -> WitnessStatus | None:
        return read_state(self.settings.state) if self.mode == "dual" else None

    async def _observe(self, parts: Parts) -> None:
        """Each transport's word, several times a second."""
        while True:
            witness = await asyncio.to_thread(self._witnessed)
            observe(
                self.indicators, parts, started_at=self.started_at, draining=self.draining, witness=witness
            )
            await asyncio.sleep(OBSERVED_EVERY_S)

    async def _until(self, stop: asyncio.Event, feed: Feed, relay: Relay | None) -> None:
        stopped = asyncio.ensure_future(stop.wait())
        waited: list[asyncio.Future[Any]] = [stopped]
        if self.until_done:
            waited.append(asyncio.ensure_future(_done(feed, relay)))
        try:
            done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in waited:
                task.cancel()
            await asyncio.wait(waited)

    async def _drain(self, parts: Parts) -> None:
        of = parts.live.settings.relay
        if parts.relay is not None:
            of_relay = parts.relay.status()
            running = of_relay.state == "running" and of_relay.throttled is None
            self.left.backlog = await parts.relay.drain(of.drain_s if running else of.drain_away_s)
        for transport in parts.transports:
            still = await transport.drain(of.drain_s)
            if transport is parts.gateway:
                self.left.subscribers = still
        self.left.head = parts.journal.head


def _admin(parts: Parts, settings: Settings, tokens: HeldTokens) -> Sequence[web.RouteDef]:
    """Routes for what an operator does while it runs."""
    from migctl.runtime.change_log import ChangeLog
    from migctl.runtime.steering import Steering
    from migctl.runtime.tokens import TokenDesk
    from migctl.server.routes.ctl import ctl_routes
    from migctl.server.routes.flag_admin import flag_routes
    from migctl.server.routes.marker import marker_routes
    from migctl.server.routes.tokens import token_routes

    changes = ChangeLog(settings.state)
    desk = TokenDesk(tokens, parts.gateway, changes)
    routes = [*flag_routes(parts.flags), *marker_routes(parts.journal), *ctl_routes(Steering(parts, changes))]
    routes += token_routes(desk.view, desk.revoke)
    if parts.to_target is None:
        return routes
    from migctl.server.routes.dead_letters import dead_letter_routes

    return [*routes, *dead_letter_routes(parts.to_target.relay.burying, parts.to_target.retries)]


def _flags(parts: Parts) -> Sequence[web.RouteDef]:
    """Routes that say what flags are, and change them."""
    from migctl.flags.managing import Managing
    from migctl.server.routes.flags_api import flag_api_routes
    from migctl.server.routes.ofrep import ofrep_routes

    evaluating = ofrep_routes(lambda: parts.flags.assignments, parts.flags.served_flag, parts.flags.kept)
    return [*evaluating, *flag_api_routes(Managing(parts.flags))]


def _rollout(settings: Settings, parts: Parts) -> Sequence[web.RouteDef]:
    """Routes that say where the rollout stands, and move it; none where there is no target to roll out to."""
    if parts.to_target is None:
        return []
    from migctl.runtime.rolling import Rolling
    from migctl.server.routes.rollout_api import rollout_routes

    staged = parts.staged
    return rollout_routes(Rolling(settings) if staged is None else Rolling(settings, on_moved=staged.moved))


async def _done(feed: Feed, relay: Relay | None) -> None:
    await feed.end()
    while relay is not None and await relay.drain(WAITING_LOGGED_EVERY_S) > 0:
        of = relay.status()
        get_logger("serve").info(
            "waiting for the table",
            state=of.state,
            reason=of.reason,
            table_head=of.table_head,
            journal_head=of.journal_head,
            backlog=of.backlog,
        )


async def _count(parts: Parts, rates: Rates) -> None:
    """Sample what was carried, every second."""
    while True:
        rates.sample(mono(), counters_of(parts))
        await asyncio.sleep(1.0)


async def _watch(journal: Room) -> None:
    raise await journal.failure()
