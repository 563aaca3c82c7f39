"""A journal, a gateway and a listener on a free port, as `serve` has them, for tests that speak to real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from migctl import server
from migctl.config import Settings
from migctl.events import Event
from migctl.events.ids import uuid7
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.retention import Keep
from migctl.server.access.tokens import Tokens
from migctl.transports.websocket import Gateway
from tests.kit.assigning import everybody
from tests.kit.statuses import status_of

DEADLINE_S = 60.0


@dataclass
class Served:
    journal: SqliteJournal
    gateway: Gateway
    http: httpx.AsyncClient
    ws_url: str
    host: str
    port: int
    draining: list[bool] = field(default_factory=lambda: [False])
    refusing: list[str | None] = field(default_factory=lambda: [None])

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@contextlib.asynccontextmanager
async def serving(
    folder: Path,
    *,
    settings: Settings = Settings(),
    tokens: Tokens = Tokens(),
    start: asyncio.Event | None = None,
    keep: Keep | None = None,
    **gateway_options: Any,
) -> AsyncIterator[Served]:
    """Everything real; gateway_options go to the Gateway. start: the gateway delivers from when this is set.

    keep: what the journal keeps; None is everything.
    """
    journal = await SqliteJournal.open(folder / "journal.db", keep=keep)
    gateway = Gateway(journal, **gateway_options)
    draining, refusing = [False], [None]
    app = server.build(
        journal=journal,
        gateway=gateway,
        settings=settings,
        status=lambda http: status_of(journal, gateway, http, draining=draining[0]),
        tokens=tokens,
        commits=journal.commit_seconds,
        assignment=server.Assignment(
            assign=everybody("websocket"), target=None, schema="public", epoch=lambda: journal.epoch
        ),
        refusing=lambda: refusing[0],
    )

    async def run() -> None:
        if start is not None:
            await start.wait()
        await gateway.run()

    running = asyncio.create_task(run())
    try:
        async with (
            server.listening(app, "127.0.0.1", 0, shutdown_s=0.2) as listener,
            httpx.AsyncClient(base_url=listener.url, timeout=DEADLINE_S) as http,
        ):
            yield Served(
                journal, gateway, http, listener.ws_url, listener.host, listener.port, draining, refusing
            )
            await gateway.drain(2.0)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await journal.aclose()


def event(data: bytes = b'{"x": 1.50}', *, event_type: str = "cache_metrics", source: str = "test") -> Event:
    """An event with a new id."""
    return Event(
        id=uuid7(),
        event_type=event_type,
        timestamp=datetime(2026, 1, 31, 12, 0, 0, 250000, tzinfo=UTC),
        source=source,
        data=data,
    )


async def until(condition: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Return once it holds. Raises TimeoutError."""
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.005)
