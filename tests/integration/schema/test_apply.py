"""Applying the files to a real PostgreSQL, as the hosted project's `postgres` role."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import psycopg
import pytest

from migctl.config.assets import folder as asset_folder
from migctl.errors import MigctlError, Refused, Systemic, Transient, Usage, Wanting
from migctl.schema import Plan, apply, plan, status, verify
from migctl.stack.postgres import Postgres

ELSEWHERE = True


@pytest.fixture
def sql_folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(asset_folder("sql"), tmp_path / "sql"))


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


async def test_twice_is_once(database: str) -> None:
    first = await apply(database, "public", who="ann@host")
    assert [done.migration.version for done in first.done] == [1, 2, 3, 4, 5, 6, 7, 8]
    rows = "select version, who, s::text from migctl.schema_migrations s order by version"
    ledger = ask(database, rows)
    second = await apply(database, "public", who="bob@host")
    assert second.done == ()
    assert ask(database, rows) == ledger
    assert {row[1] for row in ledger} == {"ann@host"}


async def test_a_dry_run_and_a_plan_change_nothing(database: str) -> None:
    dry = await apply(database, "public", who="ann@host", dry_run=True)
    assert dry.done == ()
    assert [m.version for m in (await plan(database, "public")).pending] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert ask(database, "select to_regclass('public.monitoring_events'), to_regnamespace('migctl')") == [
        (None, None)
    ]


async def test_a_schema_of_another_name_has_its_own_ledger_rows(migrated: str) -> None:
    done = await apply(migrated, "user", who="ann@host")
    assert len(done.done) == 8
    assert await verify(migrated, "user") == []
    assert await verify(migrated, "public") == []
    assert ask(migrated, "select schema, count(*) from migctl.schema_migrations group by 1 order by 1") == [
        ("public", 8),
        ("user", 8),
    ]


async def test_a_changed_applied_file_is_refused_and_nothing_after_it_is_applied(
    database: str, sql_folder: Path
) -> None:
    await apply(database, "public", who="ann@host", folder=sql_folder)
    with (sql_folder / "0002_tombstones.up.sql").open("a") as file:
        file.write("-- only a comment\n")
    (sql_folder / "0009_more.up.sql").write_text("create table {schema}.more (n int);")
    with pytest.raises(Refused, match=r"0002_tombstones\.up\.sql was changed after it was applied"):
        await apply(database, "public", who="ann@host", folder=sql_folder)
    assert ask(database, "select to_regclass('public.more')") == [(None,)]
    steps = await status(database, "public", folder=sql_folder)
    assert [step.state for step in steps] == [
        "applied",
        "changed",
        *["applied"] * 6,
        "pending",
    ]


async def test_an_applied_file_that_is_gone_is_refused(database: str, sql_folder: Path) -> None:
    (sql_folder / "0009_more.up.sql").write_text("create table {schema}.more (n int);")
    await apply(database, "public", who="ann@host", folder=sql_folder)
    with pytest.raises(Refused, match="0009_more"):
        await apply(database, "public", who="ann@host")


async def test_a_failing_file_leaves_nothing_and_is_named_by_statement(
    database: str, sql_folder: Path
) -> None:
    bad = sql_folder / "0009_more.up.sql"
    bad.write_text(
        "-- more\ncreate table {schema}.more (n int);\n\ninsert into {schema}.more values ('x');\n"
    )
    with pytest.raises(Wanting, match=r"0009_more\.up\.sql, statement 2 \(line 4: insert into"):
        await apply(database, "public", who="ann@host", folder=sql_folder)
    assert ask(database, "select to_regclass('public.more')") == [(None,)]
    failed = (await status(database, "public", folder=sql_folder))[8]
    assert failed.state == "failed"
    assert failed.row is not None
    assert failed.row.failed_statement == 2
    assert "22P02" in (failed.row.error or "")

    bad.write_text("create table {schema}.more (n int);")
    done = await apply(database, "public", who="bob@host", folder=sql_folder)
    assert [d.migration.version for d in done.done] == [9]
    row = (await status(database, "public", folder=sql_folder))[8].row
    assert row is not None
    assert (row.state, row.who, row.error) == ("applied", "bob@host", None)


async def test_down_undoes_everything_and_up_again_works(database: str) -> None:
    def objects() -> list[tuple[object, ...]]:
        return ask(
            database,
            "select 'relation', c.oid::regclass::text from pg_class c"
            " where relnamespace = 'public'::regnamespace union all"
            " select 'function', oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace union all"
            " select 'policy', polname from pg_policy union all"
            " select 'published', tablename from pg_publication_tables order by 1, 2",
        )

    fresh = objects()
    from migctl.schema.files import load, render

    for _ in range(2):
        await apply(database, "public", who="ann@host")
        assert await verify(database, "public") == []
        with psycopg.connect(database, autocommit=True) as connection:
            for migration in reversed(load()):
                with connection.transaction():
                    connection.execute(render(migration.down or "", "public").encode())
            connection.execute("delete from migctl.schema_migrations")
        assert objects() == fresh


async def test_nothing_is_open_to_anon_between_the_files(database: str, sql_folder: Path) -> None:
    (sql_folder / "0004_access.up.sql").write_text("select 1/0;")
    with pytest.raises(Wanting, match="division by zero"):
        await apply(database, "public", who="ann@host", folder=sql_folder)
    assert (
        ask(
            database,
            "select relname from pg_class where relname like 'monitoring%' and relkind = 'r' and (not relrowsecurity"
            " or has_table_privilege('anon', oid, 'select, insert, update, delete')"
            " or has_table_privilege('authenticated', oid, 'select, insert, update, delete'))",
        )
        == []
    )
    assert ask(
        database, "select count(*) from pg_class where relname like 'monitoring%' and relkind = 'r'"
    ) == [(3,)]


async def test_missing_parts_of_supabase_are_told_with_the_way_out(postgres: Postgres, database: str) -> None:
    ask(database, "drop publication supabase_realtime")
    # realtime.messages belongs to another role, as on a hosted project.
    ask(postgres.admin_url(database.rpartition("/")[2]), "drop schema realtime cascade")
    found = await plan(database, "public")
    assert [lack.what.partition(":")[0] for lack in found.findings.lacks] == [
        "there is no table realtime.messages",
        "there is no publication supabase_realtime",
    ]
    with pytest.raises(Systemic, match="publication supabase_realtime") as told:
        await apply(database, "public", who="ann@host")
    assert "create publication supabase_realtime;" in told.value.do
    assert ask(database, "select to_regclass('public.monitoring_events')") == [(None,)]


async def test_a_role_that_may_not_alter_the_publication_is_told_before_anything_is_done(
    postgres: Postgres, database: str
) -> None:
    admin = postgres.admin_url(database.rpartition("/")[2])
    ask(admin, "alter publication supabase_realtime owner to supabase_admin")
    with pytest.raises(Systemic, match="belongs to supabase_admin") as told:
        await apply(database, "public", who="ann@host")
    assert "connect as supabase_admin" in told.value.do
    assert ask(database, "select to_regclass('public.monitoring_events')") == [(None,)]


async def test_a_role_without_the_right_to_make_policies_is_told_file_and_statement(
    postgres: Postgres, database: str
) -> None:
    admin = postgres.admin_url(database.rpartition("/")[2])
    ask(admin, "alter table realtime.messages owner to supabase_admin")
    with pytest.raises(Systemic, match=r"0005_realtime\.up\.sql, statement 3 .*not permitted.*nothing of"):
        await apply(database, "public", who="ann@host")
    assert [step.state for step in await status(database, "public")][3:5] == ["applied", "failed"]


async def test_nobody_at_the_address_is_transient_and_names_host_and_port() -> None:
    with pytest.raises(Transient, match=r"no PostgreSQL answers at 127\.0\.0\.1:1:"):
        await plan("postgresql://postgres:secret@127.0.0.1:1/postgres", "public")


@pytest.mark.parametrize(
    ("old", "new", "kind", "told"),
    [
        (
            "//postgres:[^@]+@",
            "//postgres:secret@",
            Systemic,
            "refuses user 'postgres': password authentication failed",
        ),
        ("//postgres:[^@]+@", "//nobody:secret@", Systemic, "refuses user 'nobody'"),
        ("/test_", "/nowhere_", Systemic, "nowhere_"),
        ("postgresql://", "postgresql;//secret", Usage, "not an address"),
    ],
)
async def test_a_refusal_at_the_door_names_the_cause_and_no_password(
    database: str, old: str, new: str, kind: type[MigctlError], told: str
) -> None:
    with pytest.raises(kind, match=told) as error:
        await plan(re.sub(old, new, database, count=1), "public")
    assert "secret" not in str(error.value)
    assert "DATABASE_URL" in str(error.value)


async def test_a_schema_that_the_api_does_not_serve_is_remarked(postgres: Postgres, database: str) -> None:
    def remarks(found: Plan) -> str:
        return " ".join(found.findings.remarks)

    assert "exposed schemas" not in remarks(await plan(database, "public"))
    assert "serves only public: add monitoring" in remarks(await plan(database, "monitoring"))
    admin = postgres.admin_url(database.rpartition("/")[2])
    ask(admin, "alter role authenticator set pgrst.db_schemas = 'public, monitoring'")
    try:
        assert "exposed schemas" not in remarks(await plan(database, "monitoring"))
    finally:
        ask(admin, "alter role authenticator reset pgrst.db_schemas")
