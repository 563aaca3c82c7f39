"""One publisher with both transports in this process, as `serve --mode dual` has them: a journal, gateway, relay and broadcast.

The gateway can be taken away and brought back while the rest runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from migctl import server
from migctl.config import Settings, Target
from migctl.config.modes import LiveWay
from migctl.config.settings import FallbackSection
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.launcher import any_free_port
from migctl.transports import TransportName
from migctl.transports.websocket import Gateway
from tests.kit.assigning import HeldFlags, everybody
from tests.kit.conditions import going_on
from tests.kit.entries import event
from tests.kit.receiving import publishing
from tests.kit.statuses import status_of


@dataclass
class Deployed:
    """url: of the server. target, assigned, live, fallback: what it answers everybody. asked: how often it was.

    flags: say who has what in place of `assigned`, and over sockets too. heartbeat_s: of the gateway.
    """

    journal: SqliteJournal
    target: Target
    assigned: TransportName
    port: int = field(default_factory=any_free_port)
    live: LiveWay = "broadcast"
    fallback: FallbackSection = field(default_factory=FallbackSection)
    token_ttl_s: float = 3600.0
    asked: int = 0
    flags: HeldFlags | None = None
    joins_per_s: float = 50.0
    heartbeat_s: float = 0.5
    _gateway: Gateway | None = None
    _down: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def gateway(self) -> Gateway:
        assert self._gateway is not None
        return self._gateway

    async def start_gateway(self) -> None:
        flags = self.flags.service if self.flags is not None else None
        gateway = self._gateway = Gateway(
            self.journal, heartbeat_s=self.heartbeat_s, flags=flags, joins_per_s=self.joins_per_s
        )
        app = server.build(
            journal=self.journal,
            gateway=gateway,
            settings=Settings(),
            status=lambda http: status_of(self.journal, gateway, http),
            assignment=server.Assignment(
                assign=flags.assign if flags is not None else everybody(self.assigned),
                target=self.target,
                schema="public",
                epoch=lambda: self.journal.epoch,
                live=self.live,
                fallback=self.fallback,
                token_ttl_s=self.token_ttl_s,
            ),
        )
        app.on_response_prepare.append(self._count)
        running = asyncio.ensure_future(gateway.run())
        self._down.push_async_callback(asyncio.wait, [running])
        self._down.callback(running.cancel)
        listening = server.listening(app, "127.0.0.1", self.port, shutdown_s=0.0)
        await self._down.enter_async_context(listening)
        self._down.push_async_callback(gateway.drain, 0.0)

    async def stop_gateway(self) -> None:
        await self._down.aclose()

    async def _count(self, request: web.Request, _: web.StreamResponse) -> None:
        self.asked += request.path == "/api/transport"


@asynccontextmanager
async def deployed(
    journal: SqliteJournal,
    target: Target,
    *,
    assigned: TransportName = "websocket",
    settings: Settings | None = None,
    shown: Target | None = None,
    **more: Any,
) -> AsyncIterator[Deployed]:
    """Everything up. settings: of what publishes. shown: the target as subscribers reach it."""
    made = Deployed(journal, shown or target, assigned, **more)
    async with publishing(journal, target, settings=settings):
        await made.start_gateway()
        try:
            yield made
        finally:
            await made.stop_gateway()


def events_going_on(journal: SqliteJournal) -> AbstractAsyncContextManager[None]:
    """A hundred a second, for the length of the block."""
    return going_on(lambda: journal.append([event()]), every_s=0.01)
