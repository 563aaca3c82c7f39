"""A broadcast that runs, against a stand-in or a proxy before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from urllib.parse import urlsplit

from migctl.config import Settings, Target
from migctl.journal.sqlite import SqliteJournal
from migctl.transports.realtime import Broadcast


class Written:
    """A table that something else than a relay writes. head: how far it is."""

    def __init__(self, head: Callable[[], int]) -> None:
        self._head = head
        self.hurried = 0

    @property
    def table_head(self) -> int:
        return self._head()

    def hurry(self) -> None:
        self.hurried += 1


@asynccontextmanager
async def broadcasting(
    journal: SqliteJournal,
    target: Target,
    *,
    table_head: Callable[[], int] | None = None,
    **options: Any,
) -> AsyncIterator[Broadcast]:
    """For the length of the block; a failure of it is the block's."""
    transport = Broadcast(
        journal, target, Settings(), Written(table_head or (lambda: journal.head)), rng=Random(1), **options
    )
    task = asyncio.ensure_future(transport.run())
    try:
        yield transport
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def port_of(target: Target) -> int:
    port = urlsplit(target.supabase_url).port
    assert port is not None
    return port
