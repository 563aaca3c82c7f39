"""The table, read by SQL: heads all the time, positions as a reader that trusts heads, and all of it in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg

from tests.crash.history.content import digest, loads, marker_of
from tests.crash.history.readers import Reader
from tests.crash.history.records import History

_HEADS = "select epoch, table_tail, table_head, journal_head from monitoring_heads order by started_at"
_ROWS = """
    select epoch, seq, id::text, event_type, "timestamp", source, data::text, null as event, null as reason
    from monitoring_events where epoch = %(epoch)s and seq > %(after)s and seq <= %(to)s
    union all
    select epoch, seq, id::text, null, null, null, null, event, reason
    from monitoring_tombstones where epoch = %(epoch)s and seq > %(after)s and seq <= %(to)s
    order by seq
"""
_PAGE = 500
_MOST = 1 << 62
_POLL_S = 0.2


def _fields(row: tuple[Any, ...]) -> dict[str, Any]:
    """What a record has of a row, or of a tombstone's text."""
    epoch, seq, id_, event_type, timestamp, source, data, event, _ = row
    if event is not None:
        whole = loads(event)
        event_type, source, parsed = whole["event_type"], whole["source"], whole["data"]
        timestamp = datetime.fromisoformat(whole["timestamp"])
    else:
        parsed = loads(data) if data is not None else {}
        timestamp = timestamp or datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return {
        "epoch": epoch,
        "seq": seq,
        "id": id_,
        "m": marker_of(parsed),
        "d": digest(event_type or "", timestamp, parsed),
        "s": source,
    }


class Table(Reader):
    """Reads up to the head, as everybody may: below it each position is a row or a tombstone."""

    kind = "table"

    def __init__(self, name: str, database: Callable[[], str], history: History) -> None:
        """database: its URL, asked at each connection."""
        self.name = name
        self.place = None
        self.head = 0
        self.stays = self.connected = True
        self.newest = ""
        self._database = database
        self._history = history

    async def run(self) -> None:
        while True:
            try:
                async with await _connected(self._database()) as database:
                    await self._follow(database)
            except (psycopg.Error, OSError, TimeoutError):
                await asyncio.sleep(_POLL_S)

    async def _follow(self, database: psycopg.AsyncConnection[Any]) -> None:
        while True:
            async with asyncio.timeout(20):
                heads = await (await database.execute(_HEADS)).fetchall()
                for epoch, tail, head, journal in heads:
                    self._history.write("heads", epoch=epoch, tail=tail, head=head, journal=journal)
                if heads:
                    await self._read_up_to(database, heads[-1][0], heads[-1][2])
            await asyncio.sleep(_POLL_S)

    async def _read_up_to(self, database: psycopg.AsyncConnection[Any], epoch: str, head: int) -> None:
        self.head = head
        if self.place is None:
            self._opened((epoch, 0))
            self.place = (epoch, 0)
        after = self.place[1] if self.place[0] == epoch else 0
        if head > after:
            to = min(head, after + _PAGE)
            found = await (
                await database.execute(_ROWS, {"epoch": epoch, "after": after, "to": to})
            ).fetchall()
            for row in found:
                self._history.write("event", r=self.name, **_fields(row))
                self.place = (epoch, row[1])


async def _connected(database: str) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(database, autocommit=True, connect_timeout=5)


async def write_rows(database: str, history: History) -> None:
    """All of the table, as records."""
    async with await _connected(database) as connection:
        epochs = [row[0] for row in await (await connection.execute(_HEADS)).fetchall()]
        for epoch in epochs:
            async with connection.transaction(), connection.cursor("all") as cursor:
                await cursor.execute(_ROWS, {"epoch": epoch, "after": 0, "to": _MOST})
                async for row in cursor:
                    history.write("row", tombstone=row[8], **_fields(row))
