"""Connections to the one PostgreSQL: a small pool each for a purpose, and transactions under a client's role.

A connection that breaks takes the idle ones with it, so a restart of PostgreSQL is felt once and not once a connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncRawCursor
from psycopg.conninfo import make_conninfo

from migctl.errors import Usage

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_CONNECT_TIMEOUT_S = 5


class DatabaseDown(Exception):
    """PostgreSQL can't be reached, or the connection broke under us. `lost` says that it broke in use."""

    def __init__(self, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost


class PoolTimeout(Exception):
    """All connections are in use, for longer than a request may wait."""


class Pool:
    """At most `size` connections, opened when needed.

    user: log in as this role and not as the one of the dsn; it can then take only roles that were granted to it.
    """

    def __init__(self, dsn: str, *, size: int, timeout_s: float, user: str | None = None) -> None:
        try:
            self._dsn = make_conninfo(dsn) if user is None else make_conninfo(dsn, user=user)
        except psycopg.ProgrammingError as error:
            raise Usage(
                f"MIGCTL_STANDIN_DATABASE_URL is no address of a PostgreSQL: {str(error).strip()}",
                do="write postgresql://postgres:PASSWORD@127.0.0.1:5432/postgres",
            ) from None
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(size)
        self._idle: deque[Connection] = deque()
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode. Raises DatabaseDown or PoolTimeout; other errors of PostgreSQL pass through."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._slots.acquire()
        except TimeoutError:
            raise PoolTimeout from None
        try:
            conn = self._idle.pop() if self._idle else await self._connect()
            try:
                yield conn
            except psycopg.Error as error:
                if conn.broken or conn.closed:
                    await self._flush()
                    raise DatabaseDown(str(error).strip(), lost=True) from error
                raise
            finally:
                await self._give_back(conn)
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._closed = True
        await self._flush()

    async def _connect(self) -> Connection:
        try:
            return await psycopg.AsyncConnection.connect(
                self._dsn,
                autocommit=True,
                cursor_factory=AsyncRawCursor,
                # Statements are many, and a pipeline that fails would leave psycopg believing in some that were never prepared.
                prepare_threshold=None,
                connect_timeout=_CONNECT_TIMEOUT_S,
                application_name="migctl stand-in",
            )
        except psycopg.Error as error:
            raise DatabaseDown(str(error).strip()) from error

    async def _give_back(self, conn: Connection) -> None:
        # A request that was cut off in the middle leaves its connection in a state that nobody can know: it is not used again.
        if self._closed or conn.closed or conn.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            await conn.close()
        else:
            self._idle.append(conn)

    async def _flush(self) -> None:
        while self._idle:
            await self._idle.pop().close()


async def fetch(conn: Connection, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement with `$1` placeholders and return its rows."""
    cursor = await conn.execute(sql.encode(), params)
    return await cursor.fetchall()


async def transact(
    conn: Connection,
    enter: tuple[str, Sequence[Any]],
    statement: tuple[str, Sequence[Any]],
    check: Callable[[tuple[Any, ...]], None] | None = None,
) -> tuple[Any, ...]:
    """A transaction of two statements; returns the one row of the second. Nothing stays where either fails, or check raises.

    In one round trip, but for a check: that is given the row before the commit.
    """
    try:
        async with conn.pipeline():
            await conn.execute(b"begin")
            await conn.execute(enter[0].encode(), enter[1])
            cursor = await conn.execute(statement[0].encode(), statement[1])
            if check is None:
                await conn.execute(b"commit")
        row = await cursor.fetchone()
        assert row is not None
        if check is not None:
            check(row)
            await conn.execute(b"commit")
    except Exception:
        if not conn.broken and not conn.closed:
            await conn.execute(b"rollback")
        raise
    return row


def quote_ident(name: str) -> str:
    """A name as an SQL identifier, always quoted."""
    return '"' + name.replace("\0", "").replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """A text as an SQL literal, for names that come from the catalogue."""
    escaped = text.replace("\0", "").replace("'", "''")
    if "\\" in escaped:
        return "E'" + escaped.replace("\\", "\\\\") + "'"
    return "'" + escaped + "'"
