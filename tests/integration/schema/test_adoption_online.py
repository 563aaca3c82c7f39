"""A table is adopted while it is read and written, and a run that was killed is finished by the next."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any, LiteralString

import psycopg
import pytest

from migctl.errors import Transient
from migctl.schema import Patience, apply, plan, status, verify
from tests.kit.conditions import until

# As for a table that is large: nothing is rewritten where it stands.
BESIDE = Patience(lock_timeout_s=1.0, retry_for_s=60.0, in_place_s=0)

OLD = """
create table public.monitoring_events (
  id varchar(36) primary key default gen_random_uuid()::text,
  event_type varchar(50) not null check (event_type <> ''),
  "timestamp" timestamp not null,
  data json default '{"made": "by default"}',
  source char(8) default 'app'
);
create index by_type on public.monitoring_events (event_type);
grant select on public.monitoring_events to authenticated;
"""
# What an older tool, which knows of no migctl, goes on doing.
WRITE = "insert into public.monitoring_events (event_type, timestamp) values ('cpu', timestamp '2025-10-23 15:11:01.5')"
TOUCH = "update public.monitoring_events set source = 'again' where event_type = 'cpu'"


def ask(url: str, *statements: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'; set datestyle = 'ISO'")
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


class Stopped(Exception):
    """As if the process had been killed there: nothing of ours is done after it."""


async def test_whatever_step_it_was_stopped_at_writers_go_on_and_the_next_run_ends_it(database: str) -> None:
    ask(database, OLD, *[WRITE] * 4)
    written = 4
    for _ in range(60):
        steps = 0

        def stop(_: str) -> None:
            nonlocal steps
            steps += 1
            if steps > 2:
                raise Stopped

        try:
            await apply(database, "public", who="ann@host", patience=BESIDE, notice=stop)
        except Stopped:
            ask(database, WRITE, TOUCH)
            written += 1
            ask(database, "set role authenticated", "select count(*) from public.monitoring_events")
            assert (await status(database, "public"))[0].state == "pending"
        else:
            break
    assert written > 10
    found = {one.aspect for one in await verify(database, "public")}
    assert found == {"constraint monitoring_events_event_type_check"}
    rows = ask(
        database,
        "select distinct timestamp::text, (created_at = timestamp)::text, data::text, source, epoch from public.monitoring_events"
        " where created_at < now() - interval '1 day'",
    )
    assert rows == [("2025-10-23 15:11:01.5+00", "true", '{"made": "by default"}', "again", None)]
    assert ask(database, "select count(*), count(distinct id) from public.monitoring_events") == [
        (written, written)
    ]
    ask(database, "insert into public.monitoring_events (event_type, timestamp) values ('cpu', now())")
    assert ask(database, "select relname from pg_class where relname = 'by_type'") == [("by_type",)]
    assert ask(database, "select proname from pg_proc where proname like 'migctl%'") == []


async def test_each_step_takes_the_lock_that_the_plan_names(database: str) -> None:
    ask(database, OLD, *[WRITE] * 4)
    found = await plan(database, "public", patience=BESIDE)
    assert found.findings.adoption is not None
    steps = found.findings.adoption.steps
    assert {one.way for one in steps} == {"transaction", "alone", "batches"}
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        for step in steps:
            if step.way == "alone":
                connection.execute(step.statements[0].encode())
                continue
            with connection.transaction():
                before = files(connection)
                for text in step.statements:
                    connection.execute(text.replace("{first}", "0").replace("{next}", "99").encode())
                taken = [row[0] for row in connection.execute(STRONGEST)]
                assert taken == [f"{step.lock}Lock"], step
                assert files(connection) == before, f"{step.what} wrote the table anew"
    await apply(database, "public", who="ann@host", patience=BESIDE)
    assert [one.state for one in await status(database, "public")] == ["applied"] * 8


STRONGEST: LiteralString = """
select mode from pg_locks where pid = pg_backend_pid() and relation = 'public.monitoring_events'::regclass
  and mode <> 'AccessShareLock'
order by array_position(array['AccessExclusiveLock', 'ShareRowExclusiveLock', 'ShareUpdateExclusiveLock', 'RowExclusiveLock'], mode)
limit 1
"""


def files(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Where the rows and the index of a column that only becomes wider are stored."""
    return connection.execute(
        "select relname, relfilenode from pg_class where relname in ('monitoring_events', 'by_type') order by 1"
    ).fetchall()


async def test_who_holds_the_table_is_named_and_readers_pass_while_it_is_waited_for(database: str) -> None:
    ask(database, OLD, WRITE)
    told: list[str] = []
    async with await psycopg.AsyncConnection.connect(database, application_name="a report") as holder:
        await holder.execute("lock table public.monitoring_events in access share mode")
        applying = asyncio.create_task(
            apply(database, "public", who="a@h", patience=Patience(0.1, 600), notice=told.append)
        )
        await until(lambda: any("a report" in one and "trying again" in one for one in told))
        # Behind one that waits for ever nobody would come through.
        assert await asyncio.to_thread(ask, database, "select count(*) from public.monitoring_events") == [
            (1,)
        ]
        assert not applying.done()
    await applying
    assert (await status(database, "public"))[0].state == "applied"


async def test_a_vacuum_is_waited_for_by_a_lock_that_nobody_waits_behind(database: str) -> None:
    ask(database, OLD, WRITE)
    waiting = (
        "select mode from pg_locks where relation = 'public.monitoring_events'::regclass and not granted"
    )
    async with await psycopg.AsyncConnection.connect(database) as holder:
        await holder.execute(
            "lock table public.monitoring_events in share update exclusive mode"
        )  # as a vacuum does
        applying = asyncio.create_task(apply(database, "public", who="a@h"))
        await until(lambda: ask(database, waiting))
        assert ask(database, waiting) == [("ShareUpdateExclusiveLock",)]
    await applying


async def test_a_run_that_ends_before_its_row_in_the_ledger_is_recorded_by_the_next(database: str) -> None:
    ask(database, OLD, WRITE)

    def lock_is_lost(word: str) -> None:
        if word == "who may read it":  # the last step
            ask(
                database,
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted"
                " and database = (select oid from pg_database where datname = current_database())",
            )

    with pytest.raises(Transient, match="what was done stays"):
        await apply(database, "public", who="ann@host", notice=lock_is_lost)
    assert (await status(database, "public"))[0].state == "pending"
    done = await apply(database, "public", who="bob@host")
    assert (done.done[0].migration.version, done.done[0].statements) == (1, 1)
    assert {step.row.who for step in await status(database, "public") if step.row} == {"bob@host"}


async def test_a_change_of_type_that_is_not_done_in_time_is_taken_back_and_done_beside(database: str) -> None:
    """An estimate may be wrong; the bound of each statement that stops readers is not."""
    ask(
        database,
        OLD,
        WRITE,
        # What an index is made of takes its time, but only where a statement has none.
        "create function public.slow(x text) returns text immutable language plpgsql as $$ begin"
        " if current_setting('statement_timeout') <> '0' then perform pg_sleep(600); end if; return x; end $$",
        "alter table public.monitoring_events add column note text default 'a'",
        "create index by_slow on public.monitoring_events (public.slow(note))",
    )
    told: list[str] = []
    await apply(
        database, "public", who="a@h", patience=Patience(1.0, 60.0, in_place_s=60.0), notice=told.append
    )
    assert [one.partition(":")[0] for one in told if "another way is taken" in one] == ["id"]
    assert (await status(database, "public"))[0].state == "applied"


# Made by hand, nearly as it should be: the filling of created_at is the first that is to be done.
NEARLY = """
create table public.monitoring_events (
  id uuid primary key default gen_random_uuid(), event_type text not null, "timestamp" timestamptz not null,
  data jsonb not null default '{}', source text not null default 'app', created_at timestamptz,
  epoch text, seq bigint, committed_at timestamptz
);
alter table public.monitoring_events alter column created_at set default now();
insert into public.monitoring_events (event_type, timestamp, created_at) values ('cpu', now(), null);
"""
# By what is under way: what holds it up there, and whose session it is.
HELD = {
    # An index waits for whoever may still see rows without it; a batch for whoever has changed one of its rows.
    "an index": (
        "begin isolation level repeatable read; select txid_current()",
        "select pid from pg_stat_progress_create_index where relid = 'public.monitoring_events'::regclass",
    ),
    "a batch": (
        f"begin; {TOUCH}",
        "select pid from pg_stat_activity where query like 'update%created_at%' and wait_event_type = 'Lock'"
        " and datname = current_database()",
    ),
}


@pytest.mark.parametrize("held", HELD)
async def test_a_process_killed_in_the_middle_of_a_step_leaves_what_the_next_run_ends(
    database: str, tmp_path: object, held: str
) -> None:
    hold, whose = HELD[held]
    ask(database, NEARLY)
    with psycopg.connect(database, autocommit=True) as holder:
        for statement in hold.split("; "):
            holder.execute(statement.encode())
        process = await start(database, tmp_path)
        [(pid,)] = await until(lambda: ask(database, whose))
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        # The server would find out late that nobody waits for its answer.
        ask(database, f"select pg_terminate_backend({pid})")
        await until(lambda: not ask(database, whose))
        holder.execute("rollback")
    assert (await status(database, "public"))[0].state == "pending"
    half_made = ask(database, "select count(*) from pg_index where not indisvalid")[0][0]
    assert half_made == (1 if held == "an index" else 0)
    await apply(database, "public", who="ann@host")
    assert await verify(database, "public") == []
    assert ask(database, "select count(*) from pg_index where not indisvalid") == [(0,)]


async def start(url: str, tmp_path: object) -> Process:
    """`migctl schema apply` as an operator runs it against a hosted project."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MIGCTL_", "SUPABASE_"))}
    environment |= {"SUPABASE_URL": "http://127.0.0.1:9", "DATABASE_URL": url}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "migctl", "schema", "apply", "--yes"),
        env=environment,
        cwd=str(tmp_path),
        stdout=PIPE,
        stderr=PIPE,
    )
