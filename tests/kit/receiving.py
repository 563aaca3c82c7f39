"""Subscribers under test, and what they handed out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from migctl.config import Settings, Target
from migctl.delivery import Relay
from migctl.events import Position
from migctl.journal.sqlite import SqliteJournal
from migctl.subscriber.core.release import Discontinuity, Release
from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
from migctl.target import mint
from migctl.transports.realtime import Broadcast
from tests.kit.conditions import PATIENCE_S, until
from tests.kit.relaying import relaying


class Iterated(Protocol):
    async def ready(self) -> Position | None: ...

    def batches(self) -> AsyncIterator[list[Release | Discontinuity]]: ...


class Received:
    """Takes everything that a subscriber hands out, while the block lasts."""

    def __init__(self) -> None:
        self.items: list[Release | Discontinuity] = []

    @property
    def releases(self) -> list[Release]:
        return [item for item in self.items if isinstance(item, Release)]

    @property
    def gaps(self) -> list[Discontinuity]:
        return [item for item in self.items if isinstance(item, Discontinuity)]

    @property
    def ids(self) -> list[str]:
        return [release.id for release in self.releases]

    @property
    def seqs(self) -> list[int]:
        return [release.seq for release in self.releases]

    async def count(self, count: int, *, within_s: float = PATIENCE_S) -> None:
        """Wait until this many releases were handed out."""
        try:
            await until(lambda: len(self.releases) >= count, within_s=within_s)
        except AssertionError:
            raise AssertionError(f"{len(self.releases)} of {count} releases: {self.seqs[-3:]}") from None


@asynccontextmanager
async def receiving(subscriber: Iterated) -> AsyncIterator[Received]:
    """From readiness on. What the subscriber raises, the block raises at its end."""
    received = Received()
    await subscriber.ready()

    async def take() -> None:
        async for batch in subscriber.batches():
            received.items += batch

    task = asyncio.create_task(take())
    try:
        yield received
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


def token_of(target: Target, *, ttl_s: float = 3600.0) -> Callable[[], Any]:
    """Tokens of role authenticated."""

    async def access_token() -> str:
        return mint(target.need("jwt_secret"), "authenticated", ttl_s)

    return access_token


def given(token: str) -> Callable[[], Awaitable[str]]:
    """This one, whoever asks."""

    async def access_token() -> str:
        return token

    return access_token


def reader(target: Target, *, through: str | None = None, **options: Any) -> RealtimeSubscriber:
    """A Realtime subscriber of this target. through: a proxy's address."""
    access_token = options.pop("access_token", None) or token_of(target)
    return RealtimeSubscriber(
        through or target.supabase_url, target.need("anon_key"), access_token, **options
    )


@asynccontextmanager
async def publishing(
    journal: SqliteJournal, target: Target, *, settings: Settings | None = None
) -> AsyncIterator[tuple[Relay, Broadcast]]:
    """Relay and broadcast of one journal, both running; the broadcast has joined."""
    async with relaying(journal, target, settings=settings) as relay:
        broadcast = Broadcast(
            journal,
            target,
            settings or Settings(),
            relay,
            # The stand-in's own limit stays; a pace of 25 ms would only slow the tests.
            messages_per_second=1000.0,
        )
        task = asyncio.ensure_future(broadcast.run())
        try:
            await until(lambda: broadcast.status().state == "connected")
            yield relay, broadcast
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
