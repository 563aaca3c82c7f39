"""A table that was there before migctl is adopted: its rows stay, its types are widened, or it is said why not."""

from __future__ import annotations

import psycopg
import pytest

from migctl.errors import Refused
from migctl.schema import apply, plan, verify

SIX = """
create schema monitoring;
create table monitoring.monitoring_events (
  id varchar(36) primary key,
  event_type varchar(50) not null,
  "timestamp" timestamp not null,
  data json not null,
  source varchar(50) not null default 'app',
  created_at timestamp default now()
  {more}
);
grant all on monitoring.monitoring_events to anon;
alter publication supabase_realtime add table monitoring.monitoring_events;
insert into monitoring.monitoring_events (id, event_type, "timestamp", data, source, created_at) values
  ('00000000-0000-4000-8000-000000000001', 'cache', '2025-10-23 15:11:01.5', '{{"n": 12345678901234567890.5}}', 'a', '2025-10-24'),
  ('00000000-0000-4000-8000-000000000002', 'cache', '2025-10-23 15:11:02', '{{}}', 'b', null);
"""


def make(url: str, more: str = "", *also: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set timezone = 'Australia/Sydney'")  # must not matter
        connection.execute(SIX.format(more=more).encode())
        for statement in also:
            connection.execute(statement.encode())


@pytest.mark.parametrize("more", ["", ", metadata jsonb not null default '{}'", ", note text"])
async def test_the_six_column_table_is_adopted_and_its_rows_stay(database: str, more: str) -> None:
    make(database, more)
    found = await plan(database, "monitoring")
    assert found.blocker() is None
    remark = " ".join(found.findings.remarks)
    assert "monitoring.monitoring_events is there with 2 rows: it is adopted" in remark
    assert "id from character varying(36) to uuid" in remark
    await apply(database, "monitoring", who="ann@host")
    assert await verify(database, "monitoring") == []
    with psycopg.connect(database) as connection:
        connection.execute("set timezone = 'UTC'")
        rows = connection.execute(
            "select id::text, event_type, timestamp::text, data->>'n', source, created_at::text, epoch, seq, committed_at"
            " from monitoring.monitoring_events order by id"
        ).fetchall()
    assert rows == [
        (
            "00000000-0000-4000-8000-000000000001",
            "cache",
            "2025-10-23 15:11:01.5+00",
            "12345678901234567890.5",
            "a",
            "2025-10-24 00:00:00+00",
            None,
            None,
            None,
        ),
        (
            "00000000-0000-4000-8000-000000000002",
            "cache",
            "2025-10-23 15:11:02+00",
            None,
            "b",
            "2025-10-23 15:11:02+00",
            None,
            None,
            None,
        ),
    ]


async def test_what_an_adopted_table_keeps_and_verify_will_not_like_is_told_by_plan(database: str) -> None:
    make(
        database,
        "",
        "create policy mine on monitoring.monitoring_events for select to anon using (true)",
        "alter table monitoring.monitoring_events add constraint short check (length(event_type) < 40)",
    )
    remark = " ".join((await plan(database, "monitoring")).findings.remarks)
    assert remark.endswith("constraint short, policy mine")
    await apply(database, "monitoring", who="ann@host")
    assert [d.aspect for d in await verify(database, "monitoring")] == ["constraint short", "policy mine"]


async def test_the_relay_can_write_to_an_adopted_table_again_and_again(database: str) -> None:
    make(database, ", metadata jsonb not null default '{}'")
    await apply(database, "monitoring", who="ann@host")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set role service_role")
        for wanted in (1, 0):
            cursor = connection.execute(
                "insert into monitoring.monitoring_events (id, event_type, timestamp, data, source, epoch, seq, committed_at)"
                " values ('00000000-0000-4000-8000-000000000009', 't', now(), '{}', 's', 'e', 1, now())"
                " on conflict (id) do nothing"
            )
            assert cursor.rowcount == wanted


@pytest.mark.parametrize(
    ("more", "also", "told"),
    [
        (
            ", tenant text not null",
            "delete from monitoring.monitoring_events",
            "monitoring_events.tenant is not ours",
        ),
        (
            "",
            "alter table monitoring.monitoring_events alter column source drop not null;"
            " update monitoring.monitoring_events set source = null",
            "source is null in 2 rows",
        ),
        (
            "",
            "alter table monitoring.monitoring_events drop column data",
            "has no column data",
        ),
        (
            "",
            "alter table monitoring.monitoring_events alter column event_type type integer using 1",
            "event_type is integer",
        ),
        ("", "alter table monitoring.monitoring_events set unlogged", "no ordinary table"),
    ],
)
async def test_what_can_not_be_adopted_is_said_before_anything_is_done(
    database: str, more: str, also: str, told: str
) -> None:
    if "tenant" in more:
        more = more.replace("not null", "")
        also = "alter table monitoring.monitoring_events alter column tenant set default 'x';" + (
            " update monitoring.monitoring_events set tenant = 'x';"
            " alter table monitoring.monitoring_events alter column tenant set not null, alter column tenant drop default"
        )
    if "unlogged" in also:
        also = "alter publication supabase_realtime drop table monitoring.monitoring_events; " + also
    make(database, more, *also.split("; "))
    with pytest.raises(Refused, match=told) as error:
        await apply(database, "monitoring", who="ann@host")
    assert error.value.do
    with psycopg.connect(database) as connection:
        assert connection.execute("select to_regnamespace('migctl')").fetchall() == [(None,)]
        assert connection.execute("select count(*) from monitoring.monitoring_events").fetchall() == [(2,)]
