"""The ledger, migctl.schema_migrations: which files a schema has, from whom and since when; and the lock that orders writers.

The lock is one of the transaction, so that it holds through a transaction pooler and falls with the process that held it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import psycopg

from migctl.errors import Transient
from migctl.schema.connection import Connection
from migctl.schema.files import Migration
from migctl.schema.patience import Patience, bound_waits

State = Literal["applied", "failed", "reverted"]

_LOCK = int.from_bytes(b"migctl", "big")

_CREATE = b"""
create schema if not exists migctl;
create table migctl.schema_migrations (
  schema           text        not null,
  version          integer     not null,
  name             text        not null,
  sha256           text        not null,
  state            text        not null check (state in ('applied', 'failed', 'reverted')),
  started_at       timestamptz not null default now(),
  finished_at      timestamptz not null default clock_timestamp(),
  who              text        not null,
  reason           text,
  tool_version     text        not null,
  failed_statement integer,
  error            text,
  primary key (schema, version)
);
revoke all on schema migctl from public;
revoke all on table migctl.schema_migrations from public;
comment on table migctl.schema_migrations is
  'Which file of sql/ was applied to which schema. Written by migctl schema; `migctl schema repair` is the way to mend it.';
"""

_ROWS = """
select version, name, sha256, state, started_at, finished_at, who, reason, tool_version, failed_statement, error
from migctl.schema_migrations where schema = %s order by version
"""

_WRITE = """
insert into migctl.schema_migrations
  (schema, version, name, sha256, state, who, reason, tool_version, failed_statement, error)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (schema, version) do update set
  name = excluded.name, sha256 = excluded.sha256, state = excluded.state, started_at = excluded.started_at,
  finished_at = excluded.finished_at, who = excluded.who, reason = excluded.reason, tool_version = excluded.tool_version,
  failed_statement = excluded.failed_statement, error = excluded.error
"""

_HOLDER = """
select a.pid, a.usename, a.application_name, host(a.client_addr), a.xact_start
from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
  and (l.classid::bigint << 32) | l.objid::bigint = %s
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One file of one schema, as the ledger has it."""

    version: int
    name: str
    sha256: str
    state: State
    started_at: datetime
    finished_at: datetime
    who: str
    reason: str | None
    tool_version: str
    failed_statement: int | None
    error: str | None


async def rows(connection: Connection, schema: str) -> dict[int, Row]:
    """The schema's rows by version; empty where there is no ledger yet."""
    if not await _there(connection):
        return {}
    cursor = await connection.execute(_ROWS, [schema])
    # The server gives times in its session's zone; ours are UTC.
    found = [Row(*row) for row in await cursor.fetchall()]
    return {
        row.version: replace(
            row, started_at=row.started_at.astimezone(UTC), finished_at=row.finished_at.astimezone(UTC)
        )
        for row in found
    }


async def create(connection: Connection) -> None:
    """Make the ledger where it is not there. The caller holds the lock."""
    if not await _there(connection):
        await connection.execute(_CREATE)


async def _there(connection: Connection) -> bool:
    # Not to_regclass: it answers from a cache that a wait for an advisory lock does not refresh, so the second of two first
    # writers would not see the table that the other had just made.
    cursor = await connection.execute(
        "select 1 from pg_catalog.pg_tables where schemaname = 'migctl' and tablename = 'schema_migrations'"
    )
    return await cursor.fetchone() is not None


async def write(
    connection: Connection,
    schema: str,
    migration: Migration,
    state: State,
    *,
    who: str,
    tool_version: str,
    reason: str | None = None,
    failed_statement: int | None = None,
    error: str | None = None,
) -> None:
    """Put the row of a file, in the caller's transaction."""
    values = [schema, migration.version, migration.name, migration.sha256, state]
    await connection.execute(_WRITE, [*values, who, reason, tool_version, failed_statement, error])


async def lock(
    connection: Connection,
    *,
    who: str,
    patience: Patience,
    notice: Callable[[str], None] = lambda _: None,
) -> None:
    """Be the only writer until the transaction ends; also bounds every later wait for a lock in it.

    notice: prints who is waited for. Raises Transient that names the holder when the patience ends. Nobody waits behind this one
    lock but commands like this, so that it is waited for in one piece.
    """
    timeout_s = patience.retry_for_s
    if await try_lock(connection, who=who):
        await bound_waits(connection, patience.lock_timeout_s)
        return
    await bound_waits(connection, timeout_s)
    held = await holder(connection)
    notice(f"waiting at most {timeout_s:g} s for another migctl schema command: {held}")
    try:
        await connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
    except psycopg.errors.LockNotAvailable:
        raise Transient(
            f"another migctl schema command held the lock for {timeout_s:g} s: {held}",
            do="wait until it has ended and run this again, or end it: select pg_terminate_backend(PID)",
        ) from None
    await bound_waits(connection, patience.lock_timeout_s)


async def try_lock(connection: Connection, *, who: str) -> bool:
    """Be the only writer until the transaction ends, if nobody is; waits for nothing."""
    await connection.execute(
        "select set_config('application_name', %s, true)", [f"migctl schema by {who}"[:63]]
    )
    row = await (await connection.execute("select pg_try_advisory_xact_lock(%s)", [_LOCK])).fetchone()
    return row is not None and bool(row[0])


async def holder(connection: Connection) -> str:
    """Who holds the lock, as far as this role may see it."""
    row = await (await connection.execute(_HOLDER, [_LOCK])).fetchone()
    if row is None:
        return "it has just ended"
    pid, user, application, address, since = row
    return (
        f"pid {pid}, user {user or 'hidden'}, {application or 'name hidden'}, from {address or 'a local socket'}"
        f", since {since.isoformat(timespec='seconds') if since else 'unknown'}"
    )
