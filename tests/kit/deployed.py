"""One publisher with both transports in this process, as `serve --mode dual` has them: a journal, gateway, relay and broadcast.

The gateway can be taken away and brought back while the rest runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from migctl import server
from migctl.config import Settings, Target
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.launcher import any_free_port
from migctl.transports.realtime import mint
from migctl.transports.websocket import Gateway
from tests.kit.entries import event
from tests.kit.receiving import publishing


@dataclass
class Deployed:
    """url: of the server. assigned: what it answers everybody."""

    journal: SqliteJournal
    target: Target
    assigned: str
    port: int = field(default_factory=any_free_port)
    token_ttl_s: float = 3600.0
    gateway: Gateway | None = None
    asked: int = 0
    _down: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start_gateway(self) -> None:
        gateway = self.gateway = Gateway(self.journal, heartbeat_s=0.5)
        app = server.build(
            journal=self.journal,
            gateway=gateway,
            settings=Settings(),
            status=dict,
            ready=lambda: (True, {"status": "ok"}),
        )
        app.router.add_get("/api/transport", self._assignment)
        running = asyncio.ensure_future(gateway.run())
        self._down.push_async_callback(asyncio.wait, [running])
        self._down.callback(running.cancel)
        listening = server.listening(app, "127.0.0.1", self.port, shutdown_s=0.0)
        await self._down.enter_async_context(listening)
        self._down.push_async_callback(gateway.drain, 0.0)

    async def stop_gateway(self) -> None:
        await self._down.aclose()

    async def _assignment(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        answer: dict[str, Any] = {
            "transport": self.assigned,
            "epoch": self.journal.epoch,
            "supabase_url": self.target.supabase_url,
            "anon_key": self.target.anon_key,
            "channel": "public.monitoring_events",
            "access_token": mint(self.target.need("jwt_secret"), "authenticated", self.token_ttl_s),
            "expires_at": None,
        }
        return web.json_response(answer)


@asynccontextmanager
async def deployed(
    journal: SqliteJournal, target: Target, *, assigned: str, **options: Any
) -> AsyncIterator[Deployed]:
    """Everything up."""
    made = Deployed(journal, target, assigned, **options)
    async with publishing(journal, target):
        await made.start_gateway()
        try:
            yield made
        finally:
            await made.stop_gateway()


@asynccontextmanager
async def events_going_on(journal: SqliteJournal) -> AsyncIterator[None]:
    """A hundred a second, for the length of the block."""

    async def publish() -> None:
        while True:
            await journal.append([event()])
            await asyncio.sleep(0.01)

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
