"""What Realtime has in a database: whose it is, what it takes, and which tables the log is read for."""

from __future__ import annotations

import psycopg
import pytest

from migctl.stack.postgres import Postgres

TABLE = "must be owner of table messages"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("alter table realtime.messages add column mine int", TABLE),
        ("alter table realtime.messages disable row level security", TABLE),
        ("alter publication supabase_realtime add table realtime.messages", TABLE),
        ("create index mine on realtime.messages (topic)", "for schema realtime"),
        ("drop table realtime.messages", TABLE),
        ("drop function realtime.topic()", "must be owner of function topic"),
        ("create function realtime.mine() returns int language sql as 'select 1'", "for schema realtime"),
        ("set role supabase_realtime_admin", "permission denied to set role"),
    ],
)
def test_what_is_realtimes_can_not_be_altered_by_the_owner_of_a_project(
    database: str, statement: str, words: str
) -> None:
    with (
        psycopg.connect(database, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match=words),
    ):
        connection.execute(statement.encode())


def test_policies_on_it_come_and_go_and_tables_beside_it_are_ones_own(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table public.realtime (id int primary key)")
        connection.execute("create function public.mine() returns boolean language sql as 'select true'")
        connection.execute("create policy mine on realtime.messages for select using (public.mine())")
        connection.execute("alter policy mine on realtime.messages using (public.mine() and true)")
        connection.execute("drop function public.mine() cascade")
        connection.execute("drop table public.realtime")
        left = "select count(*) from pg_policies where tablename = 'messages'"
        assert connection.execute(left).fetchone() == (0,)


def test_there_is_a_partition_a_day_and_old_ones_go(postgres: Postgres, database: str) -> None:
    there = (
        "select array_agg(c.relname::text order by c.relname) from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = 'realtime.messages'::regclass"
    )
    wanted = (
        "select array_agg(to_char((now() at time zone 'utc')::date + n, '\"messages_\"YYYY_MM_DD') order by n)"
        " from generate_series(-1, 3) n"
    )
    with psycopg.connect(postgres.admin_url(database.rpartition("/")[2]), autocommit=True) as admin:
        # Those of the day on which the tests began, which may be another.
        for (name,) in admin.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'realtime.messages'::regclass"
        ).fetchall():
            admin.execute(f"drop table {name}".encode())
        admin.execute(
            "create table realtime.messages_2020_01_01 partition of realtime.messages"
            " for values from ('2020-01-01') to ('2020-01-02')"
        )
    with psycopg.connect(database) as connection:  # one transaction, so that `now()` is the same day
        connection.execute("select standin.keep_partitions()")
        assert connection.execute(there).fetchone() == connection.execute(wanted).fetchone()


@pytest.mark.parametrize(
    ("payload", "inserted"),
    [("'{\"a\": 1}'", True), ("null", True), ("'1'", False), ("'[1]'", False)],
    ids=["object", "null", "scalar", "array"],
)
def test_a_send_that_fails_is_a_warning_and_no_row(database: str, payload: str, inserted: bool) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        warnings: list[str] = []
        connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))
        connection.execute(f"select realtime.send({payload}, 'e', 't', true)".encode())
        rows = connection.execute(
            "select id::text, payload ->> 'id', private from realtime.messages"
        ).fetchall()
    assert bool(rows) is inserted
    assert [word.partition(":")[0] for word in warnings] == (
        [] if inserted else ["WarnSendingBroadcastMessage"]
    )
    if payload.startswith("'{"):
        assert rows[0][0] == rows[0][1]


def test_the_log_is_read_for_the_tables_of_the_publication_without_lists_and_filters(database: str) -> None:
    read = (
        "select p.pubname, p.pubupdate, p.pubviaroot, t.tablename, t.attnames::text[], t.rowfilter from pg_publication p"
        " left join pg_publication_tables t using (pubname) where p.pubname = 'supabase_realtime_copy' order by t.tablename"
    )
    with psycopg.connect(database, autocommit=True) as connection:
        assert connection.execute(read).fetchall() == [
            ("supabase_realtime_copy", True, False, None, None, None)
        ]
        connection.execute(
            "create table things (id int primary key, a int); create table others (id int primary key)"
        )
        connection.execute("alter publication supabase_realtime add table things (id) where (id > 5), others")
        connection.execute(
            "alter publication supabase_realtime set (publish = 'insert', publish_via_partition_root = true)"
        )
        assert connection.execute(read).fetchall() == [
            ("supabase_realtime_copy", False, False, "others", ["id"], None),
            ("supabase_realtime_copy", False, False, "things", ["id", "a"], None),
        ]
        connection.execute("alter publication supabase_realtime drop table things")
        assert [row[3] for row in connection.execute(read).fetchall()] == ["others"]
        connection.execute("drop table others; drop publication supabase_realtime")
        assert connection.execute(read).fetchall() == [
            ("supabase_realtime_copy", False, False, None, None, None)
        ]
