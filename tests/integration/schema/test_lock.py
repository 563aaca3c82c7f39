"""Writers at the same time: one works, the others wait, are told for whom, and find it done."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process

import psycopg
import pytest

from migctl import clock
from migctl.errors import Transient
from migctl.schema import Patience, apply, plan, status, verify
from migctl.stack.postgres import Postgres

ELSEWHERE = True

HOLD = f"select pg_advisory_xact_lock({int.from_bytes(b'migctl', 'big')})"
WAITING = "select count(*) from pg_locks where locktype = 'advisory' and not granted"


async def start(url: str, tmp_path: object) -> Process:
    """`migctl schema apply` as an operator runs it against a hosted project."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MIGCTL_", "SUPABASE_"))}
    environment |= {"SUPABASE_URL": "http://127.0.0.1:9", "DATABASE_URL": url}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "migctl", "schema", "apply", "--yes", "--retry-for", "60"),
        env=environment,
        cwd=str(tmp_path),
        stdout=PIPE,
        stderr=PIPE,
    )


async def until(connection: psycopg.AsyncConnection[tuple[object, ...]], query: str, wanted: object) -> None:
    deadline = clock.mono() + 30
    while True:
        row = await (await connection.execute(query.encode())).fetchone()
        if row is not None and row[0] == wanted:
            return
        assert clock.mono() < deadline, f"{query}: {row}, never {wanted}"
        await asyncio.sleep(0.02)


async def test_two_processes_at_once_both_end_well_and_each_file_is_applied_once(
    database: str, tmp_path: object
) -> None:
    async with await psycopg.AsyncConnection.connect(database) as holder:
        await holder.execute(HOLD.encode())
        both = [await start(database, tmp_path) for _ in range(2)]
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as watcher:
            await until(watcher, WAITING, 2)
    ends = [await process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    applied = [line for out, _ in ends for line in out.decode().splitlines() if line.startswith("applied ")]
    assert len(applied) == len(set(applied)) == 8
    assert all(b"waiting at most 60 s" in err and b"pid " in err for _, err in ends)
    assert await verify(database, "public") == []


async def test_a_plan_sees_one_picture_whatever_is_made_while_it_looks(
    postgres: Postgres, database: str
) -> None:
    admin = postgres.admin_url(database.rpartition("/")[2])
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as watcher:
        async with await psycopg.AsyncConnection.connect(admin) as other:
            # Stops the plan between its look at the ledger and its look at the tables.
            await other.execute("lock table pg_publication in access exclusive mode")
            planned = asyncio.create_task(plan(database, "public"))
            await until(
                watcher,
                "select count(*) from pg_locks where relation = 'pg_publication'::regclass and not granted",
                1,
            )
            await other.execute("create table public.monitoring_tombstones (n int)")
        found = await planned
    assert found.findings.lacks == ()
    assert "public.monitoring_tombstones" in str((await plan(database, "public")).blocker())


async def test_waiting_too_long_names_the_holder(database: str) -> None:
    async with await psycopg.AsyncConnection.connect(database, application_name="a long one") as holder:
        await holder.execute(HOLD.encode())
        pid = holder.info.backend_pid
        with pytest.raises(
            Transient, match=rf"held the lock for 0\.2 s: pid {pid}, user postgres, a long one"
        ):
            await apply(database, "public", who="ann@host", patience=Patience(0.2, 0.2))
    await apply(database, "public", who="ann@host", patience=Patience(0.2, 0.2))


async def test_a_table_that_somebody_holds_is_waited_for_and_the_holder_named(
    migrated: str,
) -> None:
    async with await psycopg.AsyncConnection.connect(migrated, autocommit=True) as admin:
        await admin.execute("delete from migctl.schema_migrations where version > 3")
    async with await psycopg.AsyncConnection.connect(migrated, application_name="a report") as holder:
        await holder.execute("lock table monitoring_events in access share mode")
        with pytest.raises(Transient, match=r"0004_access.*waited 0\.2 s.*a report.*nothing of"):
            await apply(migrated, "public", who="ann@host", patience=Patience(0.2, 0.2))
        assert [step.state for step in await status(migrated, "public")][3:5] == ["failed", "pending"]


async def test_a_process_killed_while_it_applies_leaves_no_lock_and_no_half_file(
    database: str, tmp_path: object
) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as admin:
        await admin.execute(
            "create table public.monitoring_events (id uuid primary key, event_type text not null,"
            " timestamp timestamptz not null, data jsonb not null, source text not null)"
        )
        async with await psycopg.AsyncConnection.connect(database) as holder:
            # The first file stops at this table, in the middle of its transaction.
            await holder.execute("lock table monitoring_events in access share mode")
            process = await start(database, tmp_path)
            await until(
                admin,
                "select count(*) from pg_locks where relation = 'monitoring_events'::regclass and not granted",
                1,
            )
            process.send_signal(signal.SIGKILL)
            await process.communicate()
        await until(admin, "select count(*) from pg_locks where locktype = 'advisory'", 0)
    assert {step.state for step in await status(database, "public")} == {"pending"}
    await apply(database, "public", who="ann@host")
    assert await verify(database, "public") == []
