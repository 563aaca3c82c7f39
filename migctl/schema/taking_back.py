"""The way back: down files from the highest applied one on, each in a transaction with its ledger row.

Rows are dropped only when the caller says so; whether there are any is read before the first file, and again under the lock of
the table, so that a row which arrives meanwhile stops it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from migctl.errors import Refused, Usage
from migctl.schema import ledger
from migctl.schema.applying import Run
from migctl.schema.connection import Connection
from migctl.schema.files import Migration
from migctl.schema.planning import Step, compare, refusal


@dataclass(frozen=True, slots=True)
class Rollback:
    """files: in the order they are taken back; rows: of each table that would go with them, where it has any."""

    files: tuple[Migration, ...]
    rows: tuple[tuple[str, int], ...]


def choose(steps: Sequence[Step], to: int | None) -> tuple[Migration, ...]:
    """The applied files above `to` (default: only the last one), the highest first.

    Raises Refused for a file that was changed, is gone, or has no way back; Usage for a number that is none.
    """
    applied = [step for step in steps if step.state in ("applied", "changed", "vanished")]
    if to is None:
        to = applied[-1].version - 1 if applied else 0
    if to < 0 or (steps and to > steps[-1].version):
        raise Usage(f"--to {to}: there is no such file", do=f"a number from 0 to {steps[-1].version}")
    chosen: list[Migration] = []
    for step in reversed(applied):
        if step.version <= to:
            continue
        if (refused := refusal(step)) is not None:
            raise refused
        assert step.file is not None
        if step.file.down is None:
            raise Refused(
                f"{step.file.file} has no way back", do=f"undo it by hand, then: {_repaired(step.version)}"
            )
        chosen.append(step.file)
    return tuple(chosen)


def _repaired(version: int) -> str:
    return f"migctl schema repair {version} --status reverted --reason ..."


async def prepare(
    connection: Connection, schema: str, files: Sequence[Migration], to: int | None
) -> Rollback:
    """What would be taken back, and the rows that would go with it. Changes nothing."""
    chosen = choose(compare(files, await ledger.rows(connection, schema)), to)
    tables = [table for migration in chosen for table in migration.drops_rows]
    counted = [(table, await _count(connection, schema, table)) for table in tables]
    return Rollback(chosen, tuple((table, rows) for table, rows in counted if rows))


def refuse_rows(schema: str, rows: Sequence[tuple[str, int]]) -> None:
    """Raise Refused where rows would go."""
    if rows:
        found = ", ".join(f"{schema}.{table} has {count} row{'s' * (count != 1)}" for table, count in rows)
        raise Refused(f"{found}: they would be dropped", do="add --drop-data if they may go (a backup first)")


async def carry_out(
    run: Run, chosen: Rollback, *, drop_data: bool, reason: str | None
) -> tuple[Migration, ...]:
    """Take the files back. What another process has taken back meanwhile is left out."""
    if not drop_data:
        refuse_rows(run.schema, chosen.rows)
    done: list[Migration] = []
    for migration in chosen.files:

        async def wanted(migration: Migration = migration) -> bool:
            rows = await ledger.rows(run.connection, run.schema)
            if choose(compare(run.files, rows), migration.version - 1)[:1] != (migration,):
                return False  # taken back already, or a later file was applied meanwhile: that one would have to go first
            if not drop_data:
                await _hold_empty(run.connection, run.schema, migration.drops_rows)
            return True

        assert migration.down is not None
        taken_back = await run.carry_out(
            migration, migration.down_file, migration.down, "reverted", wanted=wanted, reason=reason
        )
        if taken_back is not None:
            done.append(migration)
    if done:
        await run.notify_postgrest()
    return tuple(done)


async def _hold_empty(connection: Connection, schema: str, tables: Sequence[str]) -> None:
    """Lock the tables until the transaction ends, and refuse where one has rows."""
    for table in tables:
        if await _there(connection, schema, table):
            lock = sql.SQL("lock table {} in access exclusive mode").format(sql.Identifier(schema, table))
            await connection.execute(lock)
            refuse_rows(schema, [(table, rows)] if (rows := await _count(connection, schema, table)) else [])


async def _count(connection: Connection, schema: str, table: str) -> int:
    if not await _there(connection, schema, table):
        return 0
    cursor = await connection.execute(
        sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
    )
    row = await cursor.fetchone()
    return int(row[0]) if row is not None else 0


async def _there(connection: Connection, schema: str, table: str) -> bool:
    cursor = await connection.execute(
        "select 1 from pg_catalog.pg_tables where schemaname = %s and tablename = %s", [schema, table]
    )
    return await cursor.fetchone() is not None
