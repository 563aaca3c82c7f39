"""A canary through the real stand-in and PostgreSQL: it arrives both ways, or why not is named; and it is always gone after."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migctl import clock
from migctl.config import Target
from migctl.doctor import Delivery, check
from migctl.errors import Systemic, Transient, Usage, Wanting
from migctl.schema import verify
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess
from tests.kit.conditions import until

E = "public.monitoring_events"


def ask(target: Target, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(target.need("database_url"), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def rows(target: Target) -> int:
    return int(ask(target, f"select count(*) from {E}")[0][0])


async def sent(target: Target, *, timeout_s: float = 20.0) -> Delivery:
    found = await verify(target.need("database_url"), "public")
    return await check(target, "public", timeout_s=timeout_s, differences=found)


async def test_it_arrives_both_ways_and_is_gone_after(standin: Target) -> None:
    done = await sent(standin)
    assert done.failure() is None, done
    assert [way.name for way in done.ways] == ["broadcast", "postgres_changes"]
    assert all(way.after_ms is not None and 0 < way.after_ms < 10_000 for way in done.ways)
    assert rows(standin) == 0


# What is planted; the ways that fail by it; and the object and aspect that must be named as the cause.
PLANTED = [
    (
        f"drop policy migctl_read on {E}",
        ["postgres_changes"],
        ("public.monitoring_events", "policy migctl_read"),
    ),
    (
        f"alter publication supabase_realtime drop table {E}",
        ["postgres_changes"],
        ("public.monitoring_events", "publication supabase_realtime"),
    ),
    (
        f"revoke select on {E} from authenticated",
        ["postgres_changes"],
        ("public.monitoring_events", "grants to authenticated"),
    ),
    (
        f"create policy blind on {E} as restrictive for select to authenticated using (seq is not null)",
        ["postgres_changes"],
        ("public.monitoring_events", "policy blind"),
    ),
    (
        "create function swallow() returns trigger language plpgsql as 'begin return null; end';"
        f" create trigger swallow before insert on {E} for each row execute function swallow()",
        ["postgres_changes"],
        ("public.monitoring_events", "trigger swallow"),
    ),
    (
        f"revoke insert on {E} from service_role",
        ["postgres_changes"],
        ("public.monitoring_events", "grants to service_role"),
    ),
    (
        "drop policy migctl_receive_public on realtime.messages",
        ["broadcast", "postgres_changes"],
        ("realtime.messages", "policy migctl_receive_public"),
    ),
]


@pytest.mark.parametrize(("statement", "fail", "cause"), PLANTED, ids=[cause[1] for *_, cause in PLANTED])
async def test_what_keeps_it_from_arriving_is_named_by_way(
    standin: Target, statement: str, fail: list[str], cause: tuple[str, str]
) -> None:
    ask(standin, statement)
    done = await sent(standin, timeout_s=3.0)
    failed = [way for way in done.ways if way.error is not None]
    assert [way.name for way in failed] == fail
    assert all([(one.what, one.aspect) for one in way.causes] == [cause] for way in failed), failed
    assert isinstance(done.failure(), Wanting)
    assert rows(standin) == 0


@pytest.mark.slow
async def test_a_wrong_jwt_secret_and_a_wrong_service_key_are_told_as_such(standin: Target) -> None:
    done = await sent(replace(standin, jwt_secret="x" * 40), timeout_s=8)
    assert all(isinstance(way.error, Systemic) and "SUPABASE_JWT_SECRET" in way.error.do for way in done.ways)
    assert isinstance(done.failure(), Wanting)

    # The sender would mint its own token where the secret is known; the row is inserted with the key.
    other = Keys.fresh(clock.now()).service_role_key
    done = await sent(replace(standin, service_role_key=other), timeout_s=8)
    changes = done.ways[1]
    assert isinstance(changes.error, Systemic | Transient)
    assert "SUPABASE_SERVICE_ROLE_KEY" in changes.error.do
    assert rows(standin) == 0


async def test_realtime_away_is_transient_and_nothing_was_inserted(
    migrated: str, keys: Keys, tmp_path: Path
) -> None:
    process = StandinProcess(
        tmp_path / "standin", any_free_port(), database_url=migrated, jwt_secret=keys.jwt_secret
    )
    process.start()
    try:
        target = Target(process.url, keys.anon_key, keys.service_role_key, keys.jwt_secret, migrated)
        process.send(signal.SIGKILL)
        process.wait(60)
        with pytest.raises(Transient, match=r"reach Realtime at http://127\.0\.0\.1:"):
            await sent(target)
        assert rows(target) == 0
    finally:
        process.stop()


async def test_a_part_that_is_not_known_is_named_first(standin: Target) -> None:
    for part, name in (
        ("anon_key", "SUPABASE_ANON_KEY"),
        ("service_role_key", "SUPABASE_SERVICE_ROLE_KEY"),
        ("jwt_secret", "SUPABASE_JWT_SECRET"),
        ("database_url", "DATABASE_URL"),
    ):
        missing = replace(standin, **{part: None})  # type: ignore[arg-type]
        with pytest.raises(Usage, match=name):
            await check(missing, "public", timeout_s=1, differences=[])


async def test_a_row_that_a_killed_run_left_is_taken_away_by_the_next_and_no_event_is(
    standin: Target,
) -> None:
    left = (
        "insert into {} (id, event_type, timestamp, data, source, created_at)"
        " values (gen_random_uuid(), {}, now(), '{{}}', {}, now() - interval '{}')"
    )
    for kind, source, age in (
        ("'sys.canary'", "'migctl'", "1 hour"),
        ("'sys.canary'", "'migctl'", "1 minute"),
        ("'sys.canary'", "'somebody'", "1 hour"),
        ("'cpu'", "'migctl'", "1 hour"),
    ):
        ask(standin, left.format(E, kind, source, age))
    await sent(standin)
    # The young one may belong to a run that is just waiting; the others are somebody's adopted rows.
    assert rows(standin) == 3


def environment(target: Target) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MIGCTL_", "SUPABASE_"))}
    return kept | {
        "SUPABASE_URL": target.supabase_url,
        "SUPABASE_ANON_KEY": target.need("anon_key"),
        "SUPABASE_SERVICE_ROLE_KEY": target.need("service_role_key"),
        "SUPABASE_JWT_SECRET": target.need("jwt_secret"),
        "DATABASE_URL": target.need("database_url"),
        "COLUMNS": "200",
    }


def run(target: Target, folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "migctl", "schema", "verify", "--delivery", *words],
        env=environment(target) | more,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@pytest.mark.slow
async def test_the_command_asks_on_a_hosted_target_and_leaves_with_the_right_code(
    standin: Target, tmp_path: Path
) -> None:
    refused = run(standin, tmp_path)
    assert refused.returncode == 4
    assert "--yes" in refused.stderr
    assert "the database is as the files make it" in refused.stdout

    done = run(standin, tmp_path, "--yes", "-o", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"] == "pass"
    assert [way["arrived"] for way in document["delivery"]["ways"]] == [True, True]

    unset = run(standin, tmp_path, "--yes", SUPABASE_JWT_SECRET="")
    assert unset.returncode == 2
    assert "SUPABASE_JWT_SECRET" in unset.stderr

    away = run(standin, tmp_path, "--yes", SUPABASE_URL="http://127.0.0.1:1")
    assert away.returncode == 3
    assert "reach Realtime" in away.stderr

    ask(standin, f"drop policy migctl_read on {E}")
    wanting = run(standin, tmp_path, "--yes", "--timeout", "2")
    assert wanting.returncode == 1
    assert "postgres_changes: NOT arrived" in wanting.stdout
    assert "likely: public.monitoring_events: policy migctl_read" in wanting.stdout
    assert "broadcast: arrived after" in wanting.stdout


async def test_interrupted_while_it_waits_it_still_takes_the_row_away(
    standin: Target, tmp_path: Path
) -> None:
    ask(standin, f"drop policy migctl_read on {E}")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "migctl", "schema", "verify", "--delivery", "--yes", "--timeout", "60",
        env=environment(standin), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until(lambda: rows(standin) == 1)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 130
    finally:
        if process.returncode is None:
            process.kill()
    assert rows(standin) == 0
