"""Applies pending files: each in a transaction of its own, together with its row in the ledger.

So a file is applied whole or not at all, whatever is killed; and of several processes that apply at once, one works while the
others wait, and then find it done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg import sql

from migctl import __version__
from migctl.errors import MigctlError, Transient, Wanting
from migctl.schema import ledger
from migctl.schema.connection import Connection, message, translate
from migctl.schema.files import EVENTS, HEADS, TOMBSTONES, Migration, identifier, render
from migctl.schema.patience import LOCKED_OUT, Patience, ahead_of_vacuum
from migctl.schema.planning import compare, refusal
from migctl.schema.statements import Statement, split

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done:
    """One file that this call has applied."""

    migration: Migration
    statements: int


@dataclass(frozen=True, slots=True)
class Run:
    """One call's way through the files: where, by whom, and how it waits for locks."""

    connection: Connection
    schema: str
    files: Sequence[Migration]
    who: str
    patience: Patience
    notice: Callable[[str], None]

    async def apply(self, pending: Sequence[Migration]) -> tuple[Done, ...]:
        """Apply `pending` in order. Raises on the first that fails; those before it stay applied, of it nothing stays."""
        done = [one for migration in pending if (one := await self._apply_one(migration)) is not None]
        if done:
            await self.notify_postgrest()
        return tuple(done)

    async def record(self, recognised: Sequence[Migration]) -> tuple[Migration, ...]:
        """Tell the ledger of files whose objects are there; nothing of them is run. None of them where it knows of any by now."""
        async with self.connection.transaction():
            await self.lock()
            if await ledger.rows(self.connection, self.schema):
                return ()
            for migration in recognised:
                await ledger.write(
                    self.connection,
                    self.schema,
                    migration,
                    "applied",
                    who=self.who,
                    tool_version=__version__,
                    reason="its objects were there",
                )
        return tuple(recognised)

    async def _apply_one(self, migration: Migration) -> Done | None:
        """None where another process has applied it since the plan was made."""

        async def wanted() -> bool:
            return not self._already(migration, await ledger.rows(self.connection, self.schema))

        done = await self.carry_out(migration, migration.file, migration.up, "applied", wanted=wanted)
        return None if done is None else Done(migration, done)

    async def carry_out(
        self,
        migration: Migration,
        file: str,
        text: str,
        state: ledger.State,
        *,
        wanted: Callable[[], Awaitable[bool]],
        reason: str | None = None,
    ) -> int | None:
        """Run one file's text and write its ledger row, in one transaction under the lock; the number of its statements.

        wanted: asked under the lock whether it is still to be done; None where not.
        """
        statements = split(render(text, self.schema))
        at: Statement | None = None

        async def attempt() -> int | None:
            nonlocal at
            at = None
            async with self.connection.transaction():
                await self.lock()
                if not await wanted():
                    return None
                await ahead_of_vacuum(self.connection, await self._tables(), self.patience)
                for at in statements:
                    await self.connection.execute(at.text.encode())
                at = None
                await ledger.write(
                    self.connection,
                    self.schema,
                    migration,
                    state,
                    who=self.who,
                    reason=reason,
                    tool_version=__version__,
                )
            return len(statements)

        try:
            return await self.retried(attempt, file)
        except psycopg.Error as error:
            failure = await self.failure(file, at, error)
            if state == "applied" and at is not None and not self.connection.closed:
                await self._record(migration, at, error)
            raise failure from error

    async def retried(self, attempt: Callable[[], Awaitable[T]], what: str) -> T:
        """As `Patience.retried`; who holds the lock is told whenever that is somebody else."""
        known = ""

        async def waits(left_s: float) -> None:
            nonlocal known
            held = await table_holders(self.connection, self.schema)
            if held != known:
                self.notice(f"{what}: its lock is held by {held}; trying again for {left_s:.0f} s")
            known = held

        return await self.patience.retried(attempt, waits=waits)

    async def lock(self) -> None:
        """Be the only writer of this transaction, with a ledger to write to."""
        await ledger.lock(self.connection, who=self.who, patience=self.patience, notice=self.notice)
        await ledger.create(self.connection)

    async def _tables(self) -> list[str]:
        """Those of ours that are there."""
        cursor = await self.connection.execute(
            "select c.oid::regclass::text from pg_catalog.pg_class c where c.relkind = 'r'"
            " and c.relnamespace = to_regnamespace(%s) and c.relname = any(%s) order by 1",
            [identifier(self.schema), [EVENTS, TOMBSTONES, HEADS]],
        )
        return [row[0] for row in await cursor.fetchall()]

    async def notify_postgrest(self) -> None:
        """PostgREST keeps a picture of the schema; without an event trigger it learns of a change only from this."""
        await self.connection.execute("notify pgrst, 'reload schema'")

    def _already(self, migration: Migration, rows: dict[int, ledger.Row]) -> bool:
        """Whether this very file is applied by now. Raises Refused where it was another text."""
        for step in compare(self.files, rows):
            if step.version == migration.version:
                if (refused := refusal(step)) is not None:
                    raise refused
                return step.state == "applied"
        return False

    async def failure(self, file: str, at: Statement | None, error: psycopg.Error) -> MigctlError:
        where = f"{file}, statement {at.number} (line {at.line}: {at.first_line})" if at is not None else file
        stays = f"nothing of {file} was kept"
        state = error.sqlstate or ""
        if self.connection.closed or not state:
            return Transient(
                f"{where}: the connection was lost: {message(error)}",
                do="migctl schema status lists what was applied",
            )
        if isinstance(error, LOCKED_OUT):
            held = await table_holders(self.connection, self.schema)
            return Transient(
                f"{where}: waited {self.patience.retry_for_s:g} s for a lock, held by {held}; {stays}",
                do="end that session or wait for it, then run this again (--retry-for tries longer)",
            )
        if state == "42501" or state[:2] in ("08", "53", "57"):
            known = translate(error, where)
            return type(known)(f"{known.what}; {stays}", do=known.do)
        return Wanting(
            f"{where}: {message(error)} ({state}); {stays}",
            do="mend what the message names, then run this again",
        )

    async def _record(self, migration: Migration, at: Statement, error: psycopg.Error) -> None:
        """Note the failure in the ledger. What the operator reads does not hang on it, so a second failure is let go."""
        try:
            async with self.connection.transaction():
                await self.lock()
                known = (await ledger.rows(self.connection, self.schema)).get(migration.version)
                if known is not None and known.state == "applied":
                    return  # another process had more luck with it meanwhile
                await ledger.write(
                    self.connection,
                    self.schema,
                    migration,
                    "failed",
                    who=self.who,
                    tool_version=__version__,
                    failed_statement=at.number,
                    error=f"{error.sqlstate}: {message(error)}",
                )
        except (psycopg.Error, Transient):
            return


_HOLDERS = """
select distinct a.pid, a.usename, a.application_name, a.state
from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid)
where l.granted and l.relation = any(%s::oid[]) and a.pid <> pg_backend_pid()
"""


async def table_holders(connection: Connection, schema: str) -> str:
    """Who has locks on our tables, for a message; as far as this role may see it."""
    names = [sql.Identifier(schema, table).as_string(connection) for table in (EVENTS, TOMBSTONES, HEADS)]
    found = await connection.execute(
        "select array_agg(to_regclass(n)::oid) filter (where to_regclass(n) is not null) from unnest(%s::text[]) n",
        [[*names, "realtime.messages"]],
    )
    row = await found.fetchone()
    cursor = await connection.execute(_HOLDERS, [row[0] if row is not None else []])
    held = [
        f"pid {pid} (user {user or 'hidden'}, {application or 'no name'}, {state or 'state hidden'})"
        for pid, user, application, state in await cursor.fetchall()
    ]
    return ", ".join(held) or "a session that has just ended"
