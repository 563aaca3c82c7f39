"""`migctl drill canary` and `silence`: they listen to a serve that runs, wherever its project is, and change nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migctl.config import Target
from migctl.stack.launcher import any_free_port
from migctl.stack.postgres import Postgres
from migctl.target.schema import EVENTS
from tests.kit.serve_process import run, serving_process
from tests.kit.targets import environment_of

# Anything but this machine: it is not even asked.
ELSEWHERE = {"SUPABASE_URL": "https://abc.supabase.co"}


async def drilled(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    done = await asyncio.to_thread(run, folder, "drill", *words, "--output", "json", more=ELSEWHERE)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


def rows(target: Target) -> int:
    with psycopg.connect(target.need("database_url")) as connection:
        found = connection.execute(f"select count(*) from {EVENTS}").fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.slow
async def test_they_hear_what_a_subscriber_hears_with_a_foreign_project_and_write_nothing(
    tmp_path: Path, target: Target
) -> None:
    with serving_process(tmp_path / "serve", "--mode", "dual", more=environment_of(target)) as serve:
        here = ("--url", serve.url)
        code, idle = await drilled(tmp_path / "a", "silence", *here, "--minutes", "0.02")
        assert (code, idle["verdict"], idle["published"]) == (1, "inconclusive", 0)
        code, canary = await drilled(tmp_path / "a", "canary", *here, "--minutes", "0.2")
        assert (code, canary["verdict"]) == (0, "pass"), canary["reason"]
        assert canary["target"] == f"serve at {serve.url}, project {target.supabase_url}"
        signs = {one["transport"]: one for one in canary["signs"]}
        assert signs["realtime"]["canaries"] > 3
        assert signs["websocket"]["heartbeats"] > 0
        for one in signs.values():
            assert one["heard"] == one["canaries"] + one["heartbeats"] + one["events"]
            assert one["longest_apart_ms"] > 0
            assert one["late_p99_ms"] >= 0
        # One machine has one clock.
        assert abs(canary["clock_skew"]["ahead_ms"]) <= canary["clock_skew"]["within_ms"] + 1
        assert rows(target) == 0  # neither of them published anything
        async with serve.posting():
            code, found = await drilled(tmp_path / "a", "silence", *here, "--minutes", "0.05")
        assert (found["lost"], found["duplicates"], found["out_of_order"]) == (0, 0, 0), found["reason"]
        assert found["published"] > 10
        assert {one["name"]: one["released"] > 10 for one in found["subscribers"]} == {
            "websocket-1": True,
            "realtime-1": True,
        }
        assert all(one["latency_p99_ms"] > 0 for one in found["subscribers"])
        assert not (tmp_path / "a" / "drills.ndjson").exists()  # they are no rehearsal, and count for no gate


@pytest.mark.slow
async def test_where_realtime_brings_nothing_nothing_is_found_out_and_it_is_said_why(
    tmp_path: Path, target: Target, postgres: Postgres
) -> None:
    # What belongs to Realtime can't be altered by the owner of a project.
    url = postgres.admin_url(target.need("database_url").rpartition("/")[2])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter table realtime.messages disable row level security")
        connection.execute("revoke all on realtime.messages from authenticated")
    with serving_process(tmp_path / "serve", "--mode", "dual", more=environment_of(target)) as serve:
        code, found = await drilled(tmp_path / "a", "canary", "--url", serve.url, "--minutes", "0.2")
    assert (code, found["verdict"]) == (1, "inconclusive")
    assert "over Realtime: nothing to measure it by; " in found["reason"]


def test_where_no_serve_answers_it_exits_3_and_names_the_address(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{any_free_port()}"
    done = run(tmp_path, "drill", "canary", "--url", url, more=ELSEWHERE)
    assert (done.returncode, url in done.stderr) == (3, True)


@pytest.mark.parametrize("words", [("failover", "--url", "http://x"), ("silence", "--rate", "5")])
def test_an_option_that_means_nothing_to_a_drill_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, "drill", *words)
    assert done.returncode == 2
    assert f"leave out {words[1]}" in done.stderr
