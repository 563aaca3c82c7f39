"""What databases and roles give their sessions is not inherited: each transaction of ours says what it needs."""

from __future__ import annotations

from datetime import UTC

import psycopg
import pytest

from migctl import schema
from migctl.schema.connection import connect, snapshot
from migctl.stack.postgres import Postgres
from tests.kit import databases

ELSEWHERE = True


async def test_every_command_runs_where_sessions_are_given_what_no_sql_can_bear(
    postgres: Postgres, database: str
) -> None:
    with psycopg.connect(postgres.admin_url(), autocommit=True) as admin:
        databases.give_owner(admin, database.rpartition("/")[2], databases.HOSTILE)
    assert (await schema.plan(database, "public")).blocker() is None
    await schema.apply(database, "public", who="ann")
    assert await schema.verify(database, "public") == []
    assert {step.state for step in await schema.status(database, "public")} == {"applied"}
    plan = await schema.prune_plan(database, "public", 3600.0)
    assert not plan.epochs
    await schema.rollback(database, "public", who="ann", to=0, drop_data=True)
    async with connect(database) as connection:  # and of a table that is to be adopted
        await connection.execute(
            "create table public.monitoring_events (id varchar(36), event_type varchar(9) check (event_type <> ''),"
            " timestamp timestamp, data json default '{}', source varchar(9))"
        )
        await connection.execute(
            "insert into public.monitoring_events values (gen_random_uuid(), 'cpu', '2025-10-23 15:11:01.5', '{}', 's')"
        )
    await schema.apply(database, "public", who="ann", patience=schema.Patience(in_place_s=0))
    async with connect(database) as connection:
        rows = await connection.execute(
            "select timestamp::text, created_at::text from public.monitoring_events"
        )
        assert await rows.fetchall() == [("2025-10-23 15:11:01.5+00",) * 2]
        await connection.execute(
            "alter table public.monitoring_events drop constraint monitoring_events_event_type_check"
        )
    assert await schema.verify(database, "public") == []


@pytest.mark.parametrize(
    "setting", sorted({**databases.GIVEN, **databases.GIVEN_TO_OWNERS, **databases.HOSTILE})
)
async def test_no_transaction_and_no_statement_alone_inherits(
    postgres: Postgres, database: str, setting: str
) -> None:
    given = {**databases.GIVEN, **databases.GIVEN_TO_OWNERS, **databases.HOSTILE}
    with psycopg.connect(postgres.admin_url(), autocommit=True) as admin:
        databases.give_owner(admin, database.rpartition("/")[2], databases.HOSTILE)
    query = "select pg_catalog.current_setting(%s)"
    if setting == "default_transaction_isolation":
        setting, given = "transaction_isolation", {"transaction_isolation": "serializable"}
    async with connect(database) as connection:
        alone = await (await connection.execute(query, [setting])).fetchone()
        async with connection.transaction():
            first = await (await connection.execute(query, [setting])).fetchone()
            async with connection.transaction():
                inner = await (await connection.execute(query, [setting])).fetchone()
        async with snapshot(connection):
            reading = await (await connection.execute(query, [setting])).fetchone()
    for found in (alone, first, inner, reading):
        assert found is not None
        assert found[0] != given[setting]


async def test_nothing_of_it_stays_in_the_session_for_who_comes_next(
    database: str, surroundings: str
) -> None:
    async with connect(database) as connection:
        before = connection.info.parameter_status("DateStyle")
        await connection.execute("select 1")
        assert connection.info.parameter_status("DateStyle") == before
    assert (before == "German, DMY") == (surroundings == databases.ELSEWHERE)


async def test_times_are_utc(database: str) -> None:
    async with connect(database) as connection:
        row = await (await connection.execute("select timestamptz '2026-07-01 12:00:00.5+02'")).fetchone()
    assert row is not None
    assert (row[0].isoformat(), row[0].utcoffset()) == (
        "2026-07-01T10:00:00.500000+00:00",
        UTC.utcoffset(None),
    )
