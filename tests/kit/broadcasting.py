"""A broadcast that runs, against a stand-in or a proxy before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from random import Random
from typing import Any
from urllib.parse import urlsplit

from migctl.config import Settings, Target
from migctl.config.modes import LiveWay
from migctl.delivery.touching import Touch
from migctl.journal import EpochInfo
from migctl.journal.sqlite import SqliteJournal
from migctl.target import Heads
from migctl.transports.realtime import Broadcast

# Who has no canaries learns from heartbeats of Phoenix alone, so far apart, that a channel is silent.
PHOENIX_S = 25.0


class Written:
    """A table that something else than a relay writes. head: how far it is. touching: touches its row of this epoch of heads."""

    def __init__(self, head: Callable[[], int], touching: tuple[Touch, EpochInfo] | None = None) -> None:
        self._head = head
        self._touching = touching
        self.hurried = 0

    @property
    def table_head(self) -> int:
        return self._head()

    def hurry(self) -> None:
        self.hurried += 1

    async def touch(self) -> datetime | None:
        if self._touching is None:
            return None
        touch, epoch = self._touching
        return await touch.touch(epoch)


@asynccontextmanager
async def broadcasting(
    journal: SqliteJournal,
    target: Target,
    *,
    table_head: Callable[[], int] | None = None,
    live: LiveWay = "broadcast",
    touched_at: Target | None = None,
    breaker: Mapping[str, float] | None = None,
    **options: Any,
) -> AsyncIterator[Broadcast]:
    """For the length of the block; a failure of it is the block's.

    touched_at: by which address the row of heads is touched, where live is postgres_changes; default that of `target`.
    breaker: its rules, as in settings.
    """
    settings = Settings.model_validate(
        {"realtime": {"live": live}, "resilience": {"breaker": {**(breaker or {})}}}
    )
    touch = Touch(Heads(touched_at or target, settings.supabase.schema_), journal.writer_id)
    epoch = (await journal.epochs())[-1]
    table = Written(table_head or (lambda: journal.head), (touch, epoch))
    transport = Broadcast(journal, target, settings, table, rng=Random(1), **options)
    task = asyncio.ensure_future(transport.run())
    try:
        yield transport
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await touch.aclose()


def port_of(target: Target) -> int:
    port = urlsplit(target.supabase_url).port
    assert port is not None
    return port
