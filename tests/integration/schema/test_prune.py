"""Prune takes what is old enough and nothing else, tail first; killed in the middle, the next run finishes it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migctl.errors import Refused, Systemic, Usage, Wanting
from migctl.schema import Pace, Prune, apply, prune, prune_plan, rollback
from migctl.schema.pruning import age_s
from migctl.stack.postgres import Postgres
from tests.kit.conditions import until

ELSEWHERE = True

DAY = 86400.0
FAST = Pace(batch=7, pause_s=0.0)

# seq 1..100 of epoch e, an hour apart, the last one now; every tenth is a tombstone.
FILL = """
insert into monitoring_heads (epoch, writer_id, started_at, table_head, journal_head)
  values ('e', 'w', now() - interval '9 days', 100, 100);
insert into monitoring_events (id, event_type, timestamp, data, source, epoch, seq, committed_at, created_at)
  select gen_random_uuid(), 't', now(), '{}', 's', 'e', n, at, at
  from (select n, now() - make_interval(hours => 100 - n) as at from generate_series(1, 100) n) s where n % 10 <> 0;
insert into monitoring_tombstones (epoch, seq, id, reason, committed_at, created_at)
  select 'e', n, gen_random_uuid(), 'duplicate_of', at, at
  from (select n, now() - make_interval(hours => 100 - n) as at from generate_series(10, 100, 10) n) s;
"""
ADOPTED = """
insert into monitoring_events (id, event_type, timestamp, data, source, created_at)
  select gen_random_uuid(), 't', now() - interval '3 years', '{}', 's', now() - interval '3 years' from generate_series(1, 20);
insert into monitoring_events (id, event_type, timestamp, data, source) values (gen_random_uuid(), 'young', now(), '{}', 's');
"""


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def left(url: str) -> tuple[int, int, int]:
    """Tail, lowest seq of a row, number of rows and tombstones with a position."""
    return ask(
        url,
        "select (select table_tail from monitoring_heads where epoch = 'e'), (select min(seq) from monitoring_events),"
        " (select count(seq) from monitoring_events) + (select count(*) from monitoring_tombstones)",
    )[0]


async def pruned(url: str, age: float, *, adopted: bool = False) -> Prune:
    return await prune(url, "public", await prune_plan(url, "public", age, adopted=adopted), FAST)


async def test_rows_and_tombstones_older_than_the_bound_go_and_all_others_stay(migrated: str) -> None:
    ask(migrated, FILL + ADOPTED)
    planned = await prune_plan(migrated, "public", 2 * DAY)
    # 48 h ago is seq 52: committed by then, so the first that stays is 53.
    assert [(e.tail, e.new_tail, e.rows, e.tombstones) for e in planned.epochs] == [(1, 53, 47, 5)]
    assert left(migrated) == (1, 1, 100)

    told: list[int] = []
    done = await prune(migrated, "public", planned, FAST, progress=told.append)
    assert (done.total, told[-1], told) == (52, 52, sorted(told))
    assert left(migrated) == (53, 53, 48)
    assert ask(migrated, "select count(*) from monitoring_events where epoch is null") == [(21,)]
    assert (await prune_plan(migrated, "public", 2 * DAY)).epochs == ()


async def test_the_newest_row_and_what_the_relay_has_not_confirmed_stay_however_old(migrated: str) -> None:
    ask(migrated, FILL + "update monitoring_heads set table_head = 30")
    await pruned(migrated, 0.001)
    assert left(migrated) == (30, 31, 71)  # seq 30 is a tombstone, and the head


async def test_a_row_that_was_written_late_is_kept_with_all_that_follows_it(migrated: str) -> None:
    """A backlog of an outage: committed long ago, in the table since a moment."""
    ask(migrated, FILL + "update monitoring_events set created_at = now() where seq = 5")
    await pruned(migrated, DAY)
    assert left(migrated) == (5, 5, 96)


async def test_a_younger_tombstone_ends_the_run_as_a_row_does(migrated: str) -> None:
    ask(migrated, FILL + "update monitoring_tombstones set committed_at = now() where seq = 20")
    await pruned(migrated, DAY)
    assert left(migrated) == (20, 21, 81)


async def test_adopted_rows_go_only_when_asked_for_and_only_old_ones(migrated: str) -> None:
    ask(migrated, FILL + ADOPTED)
    done = await pruned(migrated, 30 * DAY, adopted=True)
    assert (done.adopted, done.epochs) == (20, ())
    assert ask(migrated, "select event_type from monitoring_events where epoch is null") == [("young",)]
    assert left(migrated) == (1, 1, 100)


NOTES = """
create schema theirs;
create table theirs.notes (about uuid references public.monitoring_events (id) {then}, what text);
insert into theirs.notes select id, 'n' from monitoring_events where seq in (1, 2, 91);
"""


@pytest.mark.parametrize("then", ["", "on delete cascade", "on delete set null", "on delete restrict"])
async def test_rows_of_others_that_refer_to_old_ones_stop_it_and_are_named(migrated: str, then: str) -> None:
    ask(migrated, FILL + NOTES.format(then=then))
    with pytest.raises(Refused, match=r"theirs\.notes: 2 rows refer.*notes_about_fkey"):
        await prune_plan(migrated, "public", 2 * DAY)
    assert left(migrated) == (1, 1, 100)
    ask(migrated, "delete from theirs.notes where about in (select id from monitoring_events where seq < 53)")
    await pruned(migrated, 2 * DAY)
    assert left(migrated) == (53, 53, 48)
    assert ask(migrated, "select count(*) from theirs.notes where about is not null") == [(1,)]


async def test_rows_that_begin_to_refer_while_it_works_stop_it_and_lose_nothing(migrated: str) -> None:
    ask(migrated, FILL + NOTES.format(then="on delete cascade") + "delete from theirs.notes")
    planned = await prune_plan(migrated, "public", 2 * DAY)

    def refer(gone: int) -> None:
        if gone >= 14 and not ask(migrated, "select 1 from theirs.notes"):
            ask(migrated, "insert into theirs.notes select id, 'late' from monitoring_events where seq = 41")

    with pytest.raises(Refused, match="1 row refers"):
        await prune(migrated, "public", planned, FAST, progress=refer)
    assert ask(migrated, "select what from theirs.notes") == [("late",)]
    assert ask(migrated, "select count(*) from monitoring_events where seq = 41") == [(1,)]
    ask(migrated, "delete from theirs.notes")
    await pruned(migrated, 2 * DAY)
    assert left(migrated) == (53, 53, 48)


async def test_a_key_over_two_columns_a_partition_and_adopted_rows_are_found_too(migrated: str) -> None:
    ask(
        migrated,
        FILL
        + ADOPTED
        + """
        create table marks (e text, s bigint, foreign key (e, s) references monitoring_tombstones (epoch, seq) on delete cascade)
          partition by list (e);
        create table marks_e partition of marks for values in ('e');
        """,
    )
    ask(migrated, "insert into marks values ('e', 20)")
    with pytest.raises(Refused, match=r"public\.marks: 1 row refers to rows of monitoring_tombstones"):
        await prune_plan(migrated, "public", 2 * DAY)
    ask(
        migrated,
        "drop table marks; create table likes (of uuid references monitoring_events (id) on delete cascade)",
    )
    ask(
        migrated,
        "insert into likes select id from monitoring_events where event_type = 't' and epoch is null limit 3",
    )
    assert (await prune_plan(migrated, "public", 30 * DAY)).total == 0
    with pytest.raises(Refused, match=r"public\.likes: 3 rows refer"):
        await prune_plan(migrated, "public", 30 * DAY, adopted=True)


async def test_the_tail_never_goes_down_nor_above_the_head(migrated: str) -> None:
    ask(migrated, FILL)
    tails = [
        ask(migrated, f"select table_tail from monitoring_move_tail('e', {to})")[0][0]
        for to in (40, 20, 1000, 1)
    ]
    assert tails == [40, 40, 100, 100]
    with pytest.raises(psycopg.Error, match="there is no epoch nobody"):
        ask(migrated, "select monitoring_move_tail('nobody', 1)")
    # Moving the head does not move the tail back.
    ask(migrated, "select monitoring_move_head('e', 'w', 0, 101, 101)")
    assert left(migrated)[0] == 100


async def test_only_service_role_may_move_the_tail(migrated: str) -> None:
    ask(migrated, FILL)
    for role in ("anon", "authenticated"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(migrated, f"set role {role}; select monitoring_move_tail('e', 2)")
    ask(migrated, "set role service_role; select monitoring_move_tail('e', 2)")
    assert left(migrated)[0] == 2


async def test_an_epoch_that_was_left_is_pruned_beside_the_living_one(migrated: str) -> None:
    ask(
        migrated,
        FILL
        + "insert into monitoring_heads (epoch, prev_epoch, writer_id, started_at) values ('f', 'e', 'w', now());",
    )
    done = await pruned(migrated, 0.001)
    assert [(e.epoch, e.new_tail) for e in done.epochs] == [("e", 100)]


async def test_a_schema_without_the_file_is_told_to_apply_it(migrated: str) -> None:
    await rollback(migrated, "public", who="ann@host", to=5)
    with pytest.raises(Wanting, match="monitoring_move_tail") as told:
        await prune_plan(migrated, "public", DAY)
    assert "migctl schema apply" in told.value.do


async def test_a_role_that_row_level_security_would_hide_rows_from_is_refused(
    postgres: Postgres, migrated: str
) -> None:
    """Nothing seen must not become nothing to do."""
    ask(migrated, FILL)
    name = migrated.rpartition("/")[2]
    ask(
        postgres.admin_url(name),
        "do $$ begin if to_regrole('half_blind') is null then create role half_blind login password 'x'; end if; end $$;"
        "grant usage on schema public to half_blind;"
        "grant all on all tables in schema public to half_blind;",
    )
    with pytest.raises(Systemic, match="row-level security"):
        await prune_plan(re.sub("postgres:[^@]+@", "half_blind:x@", migrated), "public", DAY)


@contextlib.asynccontextmanager
async def slow_prune(url: str, tmp_path: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "migctl", "schema", "prune", "--older-than", "90m", "--yes"),
            *("--batch-size", "5", "--pause", "30", "-o", "json"),
        ],
        env=os.environ | {"SUPABASE_URL": "https://project.supabase.invalid", "DATABASE_URL": url},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
async def test_ended_in_the_middle_the_tail_tells_and_the_next_run_finishes(
    migrated: str, tmp_path: Path, end: signal.Signals
) -> None:
    ask(migrated, FILL)
    async with slow_prune(migrated, tmp_path) as process:
        await until(lambda: left(migrated)[2] < 100)
        process.send_signal(end)
        code = await asyncio.to_thread(process.wait, 20)
        assert code == (130 if end == signal.SIGINT else -signal.SIGKILL)
    tail, lowest, count = left(migrated)
    assert tail == 99 > lowest
    assert count == 95
    # Whatever the next run's own bound takes: what is below the tail goes.
    done = await pruned(migrated, 365 * DAY)
    assert [(e.new_tail, e.rows + e.tombstones) for e in done.epochs] == [(99, 93)]
    assert left(migrated) == (99, 99, 2)


async def test_two_at_once_take_each_row_once(migrated: str) -> None:
    ask(migrated, FILL)
    both = await asyncio.gather(pruned(migrated, DAY), pruned(migrated, DAY))
    assert sum(one.total for one in both) == 76
    assert left(migrated)[0] == 77


def run(tmp_path: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "migctl", "schema", "prune", *words],
        env=os.environ
        | {"SUPABASE_URL": "https://project.supabase.invalid", "DATABASE_URL": url, "COLUMNS": "160"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


async def test_the_command_names_its_target_counts_and_does_nothing_unasked(
    migrated: str, tmp_path: Path
) -> None:
    ask(migrated, FILL)
    refused = run(tmp_path, migrated, "--older-than", "2d")
    assert refused.returncode == 4
    assert "https://project.supabase.invalid, database 127.0.0.1:" in refused.stderr
    assert "--yes" in refused.stderr
    dry = run(tmp_path, migrated, "--older-than", "2d", "--dry-run")
    assert dry.returncode == 0
    assert "47 rows, 5 tombstones would go" in dry.stderr
    assert left(migrated) == (1, 1, 100)
    done = run(tmp_path, migrated, "--older-than", "2d", "--yes", "-o", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["total"], document["epochs"][0]["table_tail"]) == (52, 53)
    assert left(migrated) == (53, 53, 48)
    assert "nothing is older" in run(tmp_path, migrated, "--older-than", "2d").stderr


def test_an_age_is_a_number_and_a_unit() -> None:
    assert [age_s(text) for text in ("30d", "1.5 h", "2W", "90s", "5m")] == [
        30 * DAY,
        5400,
        14 * DAY,
        90,
        300,
    ]
    for text in ("30", "0d", "-1d", "d", "", "1y", "nand", "1e9d", "99999999999d"):
        with pytest.raises(Usage, match="--older-than"):
            age_s(text)


async def test_up_again_after_down_keeps_the_tail(migrated: str) -> None:
    ask(migrated, FILL)
    await pruned(migrated, DAY)
    await rollback(migrated, "public", who="ann@host", to=5)
    await apply(migrated, "public", who="ann@host")
    assert left(migrated)[0] == 77
