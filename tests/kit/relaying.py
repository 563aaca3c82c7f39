"""A journal, a relay and the target's tables, for tests that look at what arrived."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import psycopg

from migctl.config import Settings, Target
from migctl.delivery import Relay
from migctl.delivery.relay import CURSOR
from migctl.events import Event
from migctl.journal.sqlite import SqliteJournal
from migctl.target import Heads, TableWriter
from tests.kit.conditions import PATIENCE_S, until


@dataclass(frozen=True)
class Tables:
    """The target's tables, read with SQL."""

    url: str

    async def _all(self, query: str) -> list[Any]:
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            return await (await connection.execute(query)).fetchall()

    async def seqs(self) -> list[int]:
        return [row[0] for row in await self._all("select seq from monitoring_events order by seq")]

    async def ids(self) -> list[str]:
        return [str(row[0]) for row in await self._all("select id from monitoring_events order by seq")]

    async def tombstones(self) -> dict[int, tuple[str, str | None]]:
        rows = await self._all("select seq, reason, event from monitoring_tombstones order by seq")
        return {seq: (reason, event) for seq, reason, event in rows}

    async def heads(self) -> list[tuple[str, int, int]]:
        return await self._all(
            "select epoch, table_head, journal_head from monitoring_heads order by started_at"
        )

    async def hold(self, seq: int) -> bool:
        """The newest epoch is published as far as this."""
        heads = await self.heads()
        return bool(heads) and heads[-1][1] >= seq

    async def lost(self) -> dict[str, tuple[int, int] | None]:
        """What heads say is lost before each epoch."""
        rows = await self._all("select epoch, lost_from, lost_to from monitoring_heads order by started_at")
        return {epoch: None if first is None else (first, last) for epoch, first, last in rows}

    async def run(self, statement: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            await connection.execute(statement)


@asynccontextmanager
async def relaying(
    journal: SqliteJournal, target: Target, *, through: str | None = None, settings: Settings | None = None
) -> AsyncIterator[Relay]:
    """A relay that runs for the length of the block; a failure of it is the block's. through: a proxy's address."""
    reached = replace(target, supabase_url=through) if through else target
    settings = settings or Settings()
    timeouts = settings.resilience.request_timeout
    writer, heads = TableWriter(reached, "public", timeouts), Heads(reached, "public", timeouts)
    relay = Relay(journal, writer, heads, settings, rng=Random(1))
    task = asyncio.ensure_future(relay.run())
    try:
        yield relay
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await writer.aclose()
        await heads.aclose()


async def publish(journal: SqliteJournal, events: Sequence[Event], *, group: int = 100) -> None:
    for start in range(0, len(events), group):
        await journal.append(events[start : start + group])


async def relayed(journal: SqliteJournal, relay: Relay, *, within_s: float = PATIENCE_S) -> None:
    """Return once the cursor is at the head."""

    async def done() -> bool:
        cursor = await journal.cursor(CURSOR)
        return cursor is not None and cursor.seq == journal.head == relay.table_head

    await until(done, within_s=within_s)


def data_of(text: str | None) -> Any:
    """The data in a tombstone's text."""
    assert text is not None
    return json.loads(text)["data"]
