"""A schema that was restored, pulled or made by hand is recognised by what is there, and only recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from migctl import clock
from migctl.errors import MigctlError
from migctl.schema import apply, plan, status, verify
from migctl.schema.exporting import export
from migctl.schema.files import load

ELSEWHERE = True

FORGET = "drop schema migctl cascade"


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


async def test_all_of_it_is_recorded_and_nothing_of_it_is_run(migrated: str) -> None:
    everything = [step.version for step in await status(migrated, "public")]
    before = ask(migrated, "select oid, relname from pg_class where relname like 'monitoring%' order by 1")
    ask(migrated, FORGET)
    planned = await plan(migrated, "public")
    assert planned.blocker() is None
    assert ([m.version for m in planned.recognised], planned.pending) == (everything, ())
    assert ask(migrated, "select 1 from pg_namespace where nspname = 'migctl'") == []
    done = await apply(migrated, "public", who="a test")
    assert ([m.version for m in done.recorded], done.done) == (everything, ())
    assert {step.state for step in await status(migrated, "public")} == {"applied"}
    assert await verify(migrated, "public") == []
    assert (
        ask(migrated, "select oid, relname from pg_class where relname like 'monitoring%' order by 1")
        == before
    )
    assert ask(migrated, "select distinct reason from migctl.schema_migrations") == [
        ("its objects were there",)
    ]
    again = await apply(migrated, "public", who="a test")
    assert (again.recorded, again.done) == ((), ())


async def test_of_one_that_is_older_the_rest_is_applied(migrated: str) -> None:
    """As a dump from before the last file: what that makes is missing."""
    ask(migrated, FORGET + "; drop function monitoring_set_back")
    planned = await plan(migrated, "public")
    assert [m.version for m in planned.recognised] == list(range(1, 8))
    assert [m.version for m in planned.pending] == [8]
    done = await apply(migrated, "public", who="a test")
    assert (len(done.recorded), [one.migration.version for one in done.done]) == (7, [8])
    assert await verify(migrated, "public") == []


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ("alter table monitoring_events add column needed text not null", []),
        ("drop policy migctl_read on monitoring_events", []),
        ("alter table monitoring_heads drop column journal_head", [1, 2]),
        ("alter publication supabase_realtime drop table monitoring_events", []),
        ("drop table monitoring_tombstones cascade", [1]),
    ],
)
async def test_what_is_not_as_the_files_make_it_is_not_taken_for_theirs(
    migrated: str, change: str, kept: list[int]
) -> None:
    ask(migrated, f"{FORGET}; {change}")
    planned = await plan(migrated, "public")
    assert [m.version for m in planned.recognised] == kept
    with pytest.raises(MigctlError) as refused:
        await apply(migrated, "public", who="a test")
    assert refused.value.do


async def test_tables_of_somebody_else_are_adopted_and_not_recognised(database: str) -> None:
    ask(
        database,
        "create table monitoring_events (id uuid primary key, event_type text, timestamp timestamptz, data jsonb, source text)",
    )
    planned = await plan(database, "public")
    assert planned.recognised == ()
    assert len(planned.pending) == 8


async def test_what_another_tool_ran_as_its_own_migrations_is_only_recorded(
    database: str, tmp_path: Path
) -> None:
    """As `supabase db push` does: each file by itself, in the order of their names."""
    (tmp_path / "supabase" / "migrations").mkdir(parents=True)
    export(tmp_path, load(), "public", now=clock.now())
    for path in sorted((tmp_path / "supabase" / "migrations").glob("*.sql")):
        with psycopg.connect(database) as connection:
            connection.execute(path.read_bytes())
    planned = await plan(database, "public")
    assert (len(planned.recognised), planned.pending, planned.blocker()) == (8, (), None)
    assert len((await apply(database, "public", who="a test")).recorded) == 8
    assert await verify(database, "public") == []
