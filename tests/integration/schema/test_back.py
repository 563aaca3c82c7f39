"""The way back: rollback keeps rows unless told, repair mends the ledger and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

from migctl.config.assets import folder as asset_folder
from migctl.errors import Refused, Usage
from migctl.schema import apply, plan, repair, rollback, status, verify

ELSEWHERE = True

INSERT = (
    "insert into public.monitoring_events (id, event_type, timestamp, data, source)"
    " values (gen_random_uuid(), 't', now(), '{}', 's')"
)


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


async def states(url: str) -> list[str]:
    return [step.row.state if step.row else step.state for step in await status(url, "public")]


async def test_up_down_up_again_leaves_a_database_as_the_files_make_it(migrated: str) -> None:
    back = await rollback(migrated, "public", who="ann@host", to=0)
    assert [m.version for m in back.files] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert await states(migrated) == ["reverted"] * 8
    assert ask(migrated, "select to_regclass('public.monitoring_events')") == [(None,)]
    assert len((await apply(migrated, "public", who="ann@host")).done) == 8
    assert await verify(migrated, "public") == []


async def test_the_default_is_the_last_file_and_a_dry_run_takes_nothing_back(migrated: str) -> None:
    dry = await rollback(migrated, "public", who="ann@host", dry_run=True)
    assert [m.version for m in dry.files] == [8]
    assert await verify(migrated, "public") == []
    await rollback(migrated, "public", who="ann@host", reason="a try")
    row = (await status(migrated, "public"))[-1].row
    assert row is not None
    assert (row.state, row.who, row.reason) == ("reverted", "ann@host", "a try")


async def test_rows_stop_a_rollback_before_its_first_file(migrated: str) -> None:
    ask(migrated, INSERT)
    with pytest.raises(Refused, match=r"public\.monitoring_events has 1 row: ") as told:
        await rollback(migrated, "public", who="ann@host", to=0)
    assert "--drop-data" in told.value.do
    assert await states(migrated) == ["applied"] * 8
    assert await verify(migrated, "public") == []


async def test_files_that_drop_no_rows_go_back_while_there_are_rows(migrated: str) -> None:
    ask(migrated, INSERT)
    await rollback(migrated, "public", who="ann@host", to=3)
    await apply(migrated, "public", who="ann@host")
    assert ask(migrated, "select count(*) from public.monitoring_events") == [(1,)]
    assert await verify(migrated, "public") == []


async def test_rows_go_when_told(migrated: str) -> None:
    ask(migrated, INSERT)
    back = await rollback(migrated, "public", who="ann@host", to=0, drop_data=True)
    assert back.rows == (("monitoring_events", 1),)
    assert ask(migrated, "select to_regclass('public.monitoring_events')") == [(None,)]


async def test_a_changed_file_and_one_without_a_way_back_are_not_rolled_back(
    database: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(asset_folder("sql"), tmp_path / "sql"))
    (folder / "0009_more.up.sql").write_text("create table {schema}.more (n int);")
    await apply(database, "public", who="ann@host", folder=folder)
    with pytest.raises(Refused, match="no way back"):
        await rollback(database, "public", who="ann@host", folder=folder)
    (folder / "0009_more.up.sql").write_text("create table {schema}.more (n bigint);")
    (folder / "0009_more.down.sql").write_text("drop table {schema}.more;")
    with pytest.raises(Refused, match="was changed after it was applied"):
        await rollback(database, "public", who="ann@host", folder=folder)


async def test_a_way_back_that_fails_leaves_the_file_applied(database: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(asset_folder("sql"), tmp_path / "sql"))
    (folder / "0009_more.up.sql").write_text("create table {schema}.more (n int);")
    (folder / "0009_more.down.sql").write_text("drop table {schema}.more;\nselect 1/0;")
    await apply(database, "public", who="ann@host", folder=folder)
    with pytest.raises(Exception, match=r"0009_more\.down\.sql, statement 2 .*nothing of"):
        await rollback(database, "public", who="ann@host", folder=folder)
    assert ask(database, "select to_regclass('public.more')::text") == [("more",)]
    assert [step.state for step in await status(database, "public", folder=folder)] == ["applied"] * 9


async def test_repair_accepts_a_changed_file_with_its_reason(database: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(asset_folder("sql"), tmp_path / "sql"))
    await apply(database, "public", who="ann@host", folder=folder)
    with (folder / "0002_tombstones.up.sql").open("a") as file:
        file.write("-- a comment\n")
    changed = await repair(
        database, "public", [2], "applied", who="bob@host", reason="a comment", folder=folder
    )
    assert [m.version for m in changed] == [2]
    step = (await status(database, "public", folder=folder))[1]
    assert step.state == "applied"
    assert step.row is not None
    assert (step.row.who, step.row.reason) == ("bob@host", "a comment")


async def test_repair_takes_a_file_that_is_gone_out_of_the_history(database: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(asset_folder("sql"), tmp_path / "sql"))
    (folder / "0009_more.up.sql").write_text("create table {schema}.more (n int);")
    await apply(database, "public", who="ann@host", folder=folder)
    with pytest.raises(Refused):
        await apply(database, "public", who="ann@host")
    await repair(database, "public", [9], "reverted", who="ann@host", reason="dropped by hand")
    assert (await apply(database, "public", who="ann@host")).done == ()


async def test_repair_refuses_a_number_that_nobody_knows_and_changes_none_of_the_others(
    migrated: str,
) -> None:
    with pytest.raises(Usage, match="9: no such file"):
        await repair(migrated, "public", [5, 9], "reverted", who="ann@host", reason="x")
    assert await states(migrated) == ["applied"] * 8


async def test_a_restored_database_without_a_ledger_is_taken_over_by_repair(migrated: str) -> None:
    ask(migrated, "drop schema migctl cascade")
    assert len((await plan(migrated, "public")).recognised) == 8
    await repair(migrated, "public", [1, 2, 3, 4, 5, 6, 7, 8], "applied", who="ann@host", reason="restored")
    assert (await apply(migrated, "public", who="ann@host")).done == ()
    assert await verify(migrated, "public") == []
