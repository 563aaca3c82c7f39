"""May this identity read or write this private topic? PostgreSQL answers, by the policies on realtime.messages.

Asked as the real server asks: rows are inserted and read under the client's role, claims and topic, in a transaction that
is always rolled back.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import psycopg

from migctl.stack.standin.auth import Identity
from migctl.stack.standin.database import Connection, DatabaseDown, Pool, PoolTimeout, fetch
from migctl.stack.standin.realtime.rules import Extension
from migctl.telemetry import get_logger

_log = get_logger("standin.realtime")
_PROBE = (
    b"insert into realtime.messages (id, topic, extension)"
    b" select u.id, $2, u.extension from unnest($1::uuid[], $3::text[]) u(id, extension)"
)
_WRITE = b"insert into realtime.messages (topic, extension) values ($1, $2)"
_ENTER = (
    b"select set_config('role', $1, true), set_config('realtime.topic', $2, true),"
    b" set_config('request.jwt.claims', $3, true), set_config('request.jwt.claim.sub', $4, true),"
    b" set_config('request.jwt.claim.role', $5, true), set_config('request.headers', $6, true)"
)


class Unavailable(Exception):
    """The database can't be asked now."""


class NoPartition(Unavailable):
    """The table that is asked has no place for a row of today."""


class Authorizer:
    """Asks over connections that pass row level security themselves."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def alive(self) -> None:
        """Joins need the database, public ones too. Raises Unavailable."""
        try:
            async with self._pool.connection() as conn:
                await fetch(conn, "select 1")
        except (DatabaseDown, PoolTimeout, psycopg.Error) as error:
            raise Unavailable(str(error)) from error

    async def read(
        self, identity: Identity, topic: str, extensions: Sequence[Extension], headers: str
    ) -> Mapping[Extension, bool]:
        """Which extensions of the topic may be read. An error in a policy is a denial. Raises Unavailable."""
        ids = [str(uuid.uuid4()) for _ in extensions]
        try:
            async with self._pool.connection() as conn, conn.transaction(force_rollback=True):
                await conn.execute(_PROBE, [ids, topic, list(extensions)])
                await _enter(conn, identity, topic, headers)
                rows = await fetch(
                    conn, "select id::text from realtime.messages where id = any($1::uuid[])", [ids]
                )
        except (DatabaseDown, PoolTimeout) as error:
            raise Unavailable(str(error)) from error
        except psycopg.Error as error:
            if error.sqlstate == "23514" and "no partition" in str(error):
                raise NoPartition(str(error)) from error
            _log.warning("policy error", topic=topic, role=identity.role, reason=str(error))
            return dict.fromkeys(extensions, False)
        visible = {row[0] for row in rows}
        return {extension: probe in visible for extension, probe in zip(extensions, ids, strict=True)}

    async def write(self, identity: Identity, topic: str, extension: Extension, headers: str) -> bool:
        """May it be written? Raises Unavailable."""
        try:
            async with self._pool.connection() as conn, conn.transaction(force_rollback=True):
                await _enter(conn, identity, topic, headers)
                await conn.execute(_WRITE, [topic, extension])
        except (DatabaseDown, PoolTimeout) as error:
            raise Unavailable(str(error)) from error
        except psycopg.Error as error:
            if error.sqlstate != "42501":
                _log.warning("policy error", topic=topic, role=identity.role, reason=str(error))
            return False
        return True


async def _enter(conn: Connection, identity: Identity, topic: str, headers: str) -> None:
    role = identity.role
    await conn.execute(_ENTER, [role, topic, identity.claims, identity.sub, role, headers])
