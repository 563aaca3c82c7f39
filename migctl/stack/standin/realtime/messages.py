"""Broadcast from the database: what is inserted into realtime.messages reaches who listens, once it is committed.

By a stream of its own, from the first channel on; it waits for the log and never polls. What is committed while there is no
stream, nobody hears of live; a replay reads the table.
"""

from __future__ import annotations

import asyncio
import time

import psycopg

from migctl.stack.standin.database import DatabaseDown, Pool, PoolTimeout, fetch
from migctl.stack.standin.limits import Limits
from migctl.stack.standin.realtime import stored
from migctl.stack.standin.realtime.authorize import Unavailable
from migctl.stack.standin.realtime.frames import BadFrame
from migctl.stack.standin.realtime.hub import Hub
from migctl.stack.standin.realtime.stored import Again, Window
from migctl.stack.standin.wal.pgoutput import Change
from migctl.stack.standin.wal.stream import Stream
from migctl.telemetry import get_logger

_log = get_logger("standin.messages")
_PUBLICATION = "supabase_realtime_messages_publication"
_CHANGES_A_TURN = 100
_AGAIN_S = 1.0
# Without a channel for so long, the stream ends: each costs PostgreSQL a process that reads all of the log.
_IDLE_S = 600.0
_READY_S = 60.0
_PARTITIONS_S = 4 * 3600.0
_PARTITIONS_AGAIN_S = 60.0

_REPLAY = """
select id::text, event, payload::text, binary_payload
  from realtime.messages
 where topic = $1 and private and extension = 'broadcast'
   and inserted_at >= timestamp 'epoch' + $2 * interval '1 ms'
   and inserted_at < now() at time zone 'utc' + interval '1 minute'
 order by inserted_at desc
 limit $3
"""


class Messages:
    """The one stream that serves all channels. `run` and `keep_partitions` do the work, as tasks of their owner."""

    def __init__(self, pool: Pool, dsn: str, hub: Hub, limits: Limits) -> None:
        self._pool = pool
        self._dsn = dsn
        self._hub = hub
        self._limits = limits
        self._wanted = asyncio.Event()
        self._streaming = asyncio.Event()

    def want(self) -> None:
        """Somebody listens: begin, where it has not."""
        self._wanted.set()

    async def ready(self) -> bool:
        """Wait until what is committed is delivered. False where that takes too long."""
        try:
            async with asyncio.timeout(_READY_S):
                await self._streaming.wait()
        except TimeoutError:
            return False
        return True

    async def replay(self, topic: str, window: Window) -> list[Again]:
        """The rows that a join wants again, the oldest first. Raises Unavailable."""
        try:
            async with self._pool.connection() as conn:
                rows = await fetch(conn, _REPLAY, [topic, window.since_ms, window.limit])
        except (DatabaseDown, PoolTimeout, psycopg.Error) as error:
            raise Unavailable(str(error)) from error
        return [
            Again(row[0], row[1], None if row[2] is None else row[2].encode(), row[3])
            for row in reversed(rows)
        ]

    async def run(self) -> None:
        """Stream while somebody listens, for ever. A stream that is lost is made anew; what came meanwhile is lost."""
        while True:
            await self._wanted.wait()
            try:
                stream = await Stream.open(self._dsn, _PUBLICATION)
            except DatabaseDown as error:
                _log.warning("no stream of messages", reason=str(error))
                await asyncio.sleep(_AGAIN_S)
                continue
            try:
                self._streaming.set()
                await self._follow(stream)
            finally:
                self._streaming.clear()
                await stream.close()

    async def keep_partitions(self) -> None:
        """Make the partitions of the next days and drop the old ones, for ever."""
        while True:
            try:
                async with self._pool.connection() as conn:
                    await fetch(conn, "select standin.keep_partitions()")
                wait_s = _PARTITIONS_S
            except (DatabaseDown, PoolTimeout, psycopg.Error) as error:
                _log.warning("partitions of realtime.messages were not kept", reason=str(error))
                wait_s = _PARTITIONS_AGAIN_S
            await asyncio.sleep(wait_s)

    async def _follow(self, stream: Stream) -> None:
        while stream.lost is None:
            try:
                async with asyncio.timeout(_IDLE_S):
                    await stream.news.wait()
            except TimeoutError:
                if self._hub.is_empty:
                    self._wanted.clear()
                    return
                continue
            stream.news.clear()
            while transactions := stream.take(_CHANGES_A_TURN):
                for transaction in transactions:
                    for change in transaction.changes:
                        self._deliver(change)
                await asyncio.sleep(0)
        _log.warning(
            "stream of messages lost, what is committed until the next one is lost", reason=stream.lost
        )

    def _deliver(self, change: Change) -> None:
        over_rate = self._hub.rate.triggered(time.monotonic())
        found = stored.broadcast_of(change, self._limits, over_rate=over_rate)
        if found is None:
            _log.info("message lost", table=change.relation.name)
            return
        try:
            self._hub.send(found.topic, found.private, b"", user=found.broadcast)
        except BadFrame as error:
            _log.warning("message lost", topic=found.topic, reason=str(error))
