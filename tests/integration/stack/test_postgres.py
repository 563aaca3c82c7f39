"""The embedded server gives what a hosted project's database gives, and refuses what that one refuses."""

from __future__ import annotations

import psycopg
import pytest

from migctl.stack.postgres import Postgres, bootstrap


def test_wal_is_logical_so_that_changes_can_be_streamed(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert connection.execute("show wal_level").fetchone() == ("logical",)


def test_postgres_is_no_superuser_as_on_a_hosted_project(database: str) -> None:
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls from pg_roles where rolname = current_user"
        ).fetchone()
    assert row == (False, True, True, True, True)


def test_wrong_password_is_refused(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres.url(), password="wrong")


def test_new_table_in_public_is_granted_to_the_api_roles(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("create table public.things (id int primary key)")
        connection.execute("set role anon")
        assert connection.execute("select count(*) from public.things").fetchone() == (0,)


def test_postgres_can_make_tables_schemas_publications_and_policies(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("create schema migctl")
        connection.execute("create table public.things (id int primary key)")
        connection.execute("alter publication supabase_realtime add table public.things")
        connection.execute("alter table public.things enable row level security")
        connection.execute(
            "create policy readers on realtime.messages for select to authenticated using (realtime.topic() = 'things')"
        )


def test_private_channel_is_denied_without_a_policy_and_allowed_with_one(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("insert into realtime.messages (topic, extension) values ('a', 'broadcast')")
        ask = "select count(*) from realtime.messages"
        connection.execute("set role authenticated")
        connection.execute("select set_config('realtime.topic', 'a', true)")
        assert connection.execute(ask).fetchone() == (0,)
        connection.execute("reset role")
        connection.execute(
            "create policy readers on realtime.messages for select to authenticated using (realtime.topic() = topic)"
        )
        connection.execute("set role authenticated")
        assert connection.execute(ask).fetchone() == (1,)


def test_claims_reach_the_auth_functions(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "select set_config('request.jwt.claims', %s, true)",
            ['{"sub":"6b1f1f0e-0000-4000-8000-000000000001","role":"authenticated"}'],
        )
        row = connection.execute("select auth.uid()::text, auth.role(), auth.jwt() ->> 'role'").fetchone()
    assert row == ("6b1f1f0e-0000-4000-8000-000000000001", "authenticated", "authenticated")


def test_bootstrap_twice_changes_nothing(postgres: Postgres, database: str) -> None:
    bootstrap(postgres.admin_url(database.rpartition("/")[2]))


def test_a_test_does_not_see_what_another_test_left(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert connection.execute("select to_regclass('public.things')").fetchone() == (None,)


def test_replication_streams_as_postgres(database: str) -> None:
    with psycopg.connect(database + "?replication=database", autocommit=True) as connection:
        row = connection.execute('CREATE_REPLICATION_SLOT "s" TEMPORARY LOGICAL pgoutput').fetchone()
        assert row is not None
        assert row[0] == "s"
