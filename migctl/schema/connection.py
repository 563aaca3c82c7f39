"""A connection to the target's database, and the one place where psycopg's errors become ours.

Works through a transaction pooler: no prepared statements, no session state; what must hold is set with SET LOCAL. What
databases and roles are given by ALTER ... SET, or a server by its file, is not inherited: each transaction says what it needs.
"""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from migctl.config.database import parameters
from migctl.errors import MigctlError, Systemic, Transient

# In ISO and UTC times are read, by the first the server's own spellings are compared. Utilities take no snapshot, so that the
# transaction may still be made another. Whether it may write is left to the server: a project whose disk is full may not.
_NEEDS = b"""
set transaction isolation level read committed;
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local intervalstyle = 'postgres';
set local bytea_output = 'hex';
set local extra_float_digits = 1;
set local standard_conforming_strings = on;
set local quote_all_identifiers = off;
set local search_path = 'pg_catalog';
set local row_security = on;
set local statement_timeout = 0;
set local lock_timeout = '10s';
set local idle_in_transaction_session_timeout = '60s';
"""


class Connection(psycopg.AsyncConnection[TupleRow]):
    """Autocommit; a statement alone is a transaction of its own, and none inherits what sessions are given here."""

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[psycopg.AsyncTransaction]:
        is_outermost = self._is_idle()
        async with super().transaction(savepoint_name, force_rollback) as transaction:
            if is_outermost:
                await super().execute(_NEEDS)
            yield transaction

    async def execute(self, *args: Any, **options: Any) -> psycopg.AsyncCursor[TupleRow]:
        if not self._is_idle():
            return await super().execute(*args, **options)
        async with self.transaction():
            return await super().execute(*args, **options)

    async def execute_alone(self, statement: bytes) -> None:
        """A statement that PostgreSQL runs only outside of a transaction, such as `create index concurrently`.

        It waits for whoever is in its way, and nobody waits for it. A session that is shared by a pooler is left as it is: then its
        timeouts hold.
        """
        row = await (await self.execute("select pg_backend_pid()")).fetchone()
        is_own = row is not None and row[0] == self.info.backend_pid
        if is_own:
            for setting in ("statement_timeout", "lock_timeout"):
                await super().execute(f"set {setting} = 0".encode())
        await super().execute(statement)

    def _is_idle(self) -> bool:
        return self.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


_CONNECT_TIMEOUT_S = 10
# Refusals of a server that is there but not ready; anything else it says at the door is for the operator to mend.
_NOT_YET = (
    "starting up",
    "shutting down",
    "recovery mode",
    "too many",
    "remaining connection slots",
    "not accepting",
)


@asynccontextmanager
async def connect(database_url: str) -> AsyncIterator[Connection]:
    """An autocommit connection, closed at the end.

    Raises Usage for an address that is none, Transient where nobody answers, Systemic where the server refuses; errors of
    statements inside that nobody caught come out as Transient or Systemic.
    """
    given: dict[str, Any] = dict(parameters(database_url))
    given.setdefault("connect_timeout", _CONNECT_TIMEOUT_S)
    where = f"{given.get('host', 'localhost')}:{given.get('port', 5432)}"
    try:
        connection = await Connection.connect(
            **{**given, "client_encoding": "UTF8"}, autocommit=True, prepare_threshold=None
        )
    except psycopg.Error as error:
        raise _refused_at_the_door(error, where, given) from None
    try:
        async with connection:
            yield connection
    except psycopg.Error as error:
        raise translate(error, where) from error


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[None]:
    """One consistent picture of the database, reading only: what another process applies meanwhile is seen whole or not at all."""
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        # pg_get_expr and its like leave a schema out of a name where the search path has it; comparing wants one spelling.
        await connection.execute("select set_config('search_path', 'pg_catalog', true)")
        yield


def _refused_at_the_door(error: psycopg.Error, where: str, given: dict[str, Any]) -> MigctlError:
    text = str(error).strip().splitlines()[0].removeprefix("connection failed: ")
    if "FATAL" not in str(error):
        return Transient(
            f"no PostgreSQL answers at {where}: {text}",
            do="start it, or mend host and port in DATABASE_URL",
        )
    reason = str(error).partition("FATAL:")[2].strip().splitlines()[0]
    if any(words in reason for words in _NOT_YET):
        return Transient(f"PostgreSQL at {where} is not ready: {reason}", do="try again in a moment")
    return Systemic(
        f"PostgreSQL at {where} refuses user {given.get('user', getpass.getuser())!r}: {reason}",
        do="mend user, password and database in DATABASE_URL",
    )


def translate(error: psycopg.Error, where: str) -> MigctlError:
    """An error that a statement ended with. where: host:port, or the file and statement."""
    text = message(error)
    state = error.sqlstate or ""
    if state == "42501":
        return Systemic(
            f"{where}: not permitted: {text}",
            do="connect as the role that owns the project's tables (on Supabase: postgres)",
        )
    if not state or state[:2] in ("08", "53", "57"):
        return Transient(
            f"{where}: {text or 'the connection was lost'}",
            do="run the command again when the server is well",
        )
    return Systemic(f"{where}: {text} ({state})", do="mend what the message names, and run the command again")


def message(error: psycopg.Error) -> str:
    """The server's sentence, with its detail; without position and context."""
    diagnostics = error.diag
    text = diagnostics.message_primary or str(error).strip()
    return f"{text} ({diagnostics.message_detail})" if diagnostics.message_detail else text
