"""`migctl deadletter` against a real serve, and after it was killed: tables, JSON, exit codes, and nothing done unasked."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migctl.config import Target
from tests.kit.deadletters import ALLOW_COLD, COLD, NUL, REFUSE_COLD, Commands, environ_of, post, waiting_for
from tests.kit.serve_process import serving_process


def rows(target: Target) -> tuple[list[int], list[int]]:
    """Seqs of rows and of tombstones."""
    with psycopg.connect(target.need("database_url")) as connection:
        found = [
            [
                row[0]
                for row in connection.execute(f"select seq from monitoring_{table} order by seq").fetchall()
            ]
            for table in ("events", "tombstones")
        ]
    return found[0], found[1]


def execute(target: Target, statement: str) -> None:
    with psycopg.connect(target.need("database_url"), autocommit=True) as connection:
        connection.execute(statement)


def test_no_journal_is_told_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Commands(tmp_path, {}, monkeypatch, capsys)
    for words in (["list"], ["show", "1"]):
        done = run("deadletter", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "no journal is there" in done.stderr and "MIGCTL_STATE_DIR" in done.stderr
    done = run("deadletter", "accept", "--minutes", "10")
    assert done.returncode == 3 and "migctl serve" in done.stderr


def test_letters_are_listed_shown_and_retried_while_serve_runs_and_after_it_was_killed(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = environ_of(standin)
    run = Commands(tmp_path, environ, monkeypatch, capsys)

    def migctl(*words: str, code: int = 0) -> Any:
        done = run("deadletter", *words)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if "json" in words else done

    execute(standin, REFUSE_COLD)
    with serving_process(tmp_path, "--mode", "dual", more=environ) as serve:
        assert "no dead letter waits" in run("deadletter", "list").stderr
        post(serve.url, {"fine": 1}, COLD, NUL, COLD)
        waiting_for(serve.url, 3)
        assert "3 wait: `migctl deadletter list`" in run("status").stdout

        table = migctl("list").stdout
        assert "\x1b" not in table and max(map(len, table.splitlines())) <= 80
        assert "23514" in table and "22P05" in table
        letters = migctl("list", "-o", "json")["letters"]
        assert [(each["seq"], each["code"], each["state"]) for each in letters] == [
            (4, "23514", "waiting"), (3, "22P05", "waiting"), (2, "23514", "waiting"),
        ]  # fmt: skip
        assert len(migctl("list", "--code", "22P05", "-o", "json")["letters"]) == 1
        assert migctl("list", "--epoch", "none", "-o", "json")["letters"] == []
        shown = migctl("show", letters[1]["id"], "-o", "json")
        assert json.loads(shown["event_text"])["data"] == NUL
        assert "tombstone" in shown["do"]

        unasked = migctl("retry", "2", code=4)
        assert standin.supabase_url in unasked.stderr and "--yes" in unasked.stderr
        assert "would be tried" in migctl("retry", "--all", "--dry-run").stdout
        migctl("retry", code=2)
        assert "is no dead letter" in migctl("retry", "1", "--yes", code=2).stderr
        refused = migctl("retry", "2", "--yes", code=1)
        assert "refused again" in refused.stdout and "cold" in refused.stdout
        assert rows(standin) == ([1], [2, 3, 4])

        execute(standin, ALLOW_COLD)
        both = migctl("retry", "--all", "--yes", "-o", "json", code=1)["letters"]
        assert [(each["seq"], each["result"]) for each in both] == [
            (2, "written"), (3, "refused"), (4, "written"),
        ]  # fmt: skip
        assert rows(standin) == ([1, 2, 4], [3])
        waiting_for(serve.url, 1)
        assert "why" in migctl("dismiss", "3", "--reason", " ", code=2).stderr
        assert "would be dismissed" in migctl("dismiss", "3", "--reason", "w", "--dry-run").stdout
        assert "its tombstone stays" in migctl("dismiss", "3", "--reason", "a NUL").stdout
        waiting_for(serve.url, 0)
        assert "was dismissed" in migctl("retry", "3", "--yes", code=4).stderr
        assert migctl("show", "3", "-o", "json")["why"] == "a NUL"
        assert rows(standin) == ([1, 2, 4], [3])
        post(serve.url, {"fine": 2})
        execute(standin, REFUSE_COLD)
        post(serve.url, COLD)
        waiting_for(serve.url, 1)
        serve.send(signal.SIGKILL)

    execute(standin, ALLOW_COLD)
    states = {each["seq"]: each["state"] for each in migctl("list", "--all", "-o", "json")["letters"]}
    assert states == {2: "retried", 3: "dismissed", 4: "retried", 6: "waiting"}
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:9")
    migctl("retry", "6", "--yes", code=3)
    monkeypatch.setenv("SUPABASE_URL", standin.supabase_url)
    (written,) = migctl("retry", "6", "--yes", "-o", "json")["letters"]
    assert written["result"] == "written"
    (renewed,) = migctl("retry", "4", "--as-new", "--yes", "-o", "json")["letters"]
    assert (renewed["result"], renewed["new_seq"]) == ("renewed", 7)
    assert rows(standin) == ([1, 2, 4, 5, 6], [3])


def test_a_held_relay_goes_on_at_once_when_the_operator_accepts(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = environ_of(standin)
    run = Commands(tmp_path, environ, monkeypatch, capsys)
    with serving_process(tmp_path, "--mode", "dual", more=environ) as serve:
        execute(standin, REFUSE_COLD)
        post(serve.url, *[COLD for _ in range(30)])
        waiting_for(serve.url, 20, held_since=True)
        told = run("status")
        assert told.returncode == 1
        assert "20 dead letters in a minute" in told.stdout.replace("\n", " ")
        assert "migctl deadletter accept" in told.stdout
        assert run("deadletter", "accept", "--minutes", "10").returncode == 4
        dry = run("deadletter", "accept", "--minutes", "10", "--dry-run")
        assert dry.returncode == 0 and standin.supabase_url in dry.stderr
        waiting_for(serve.url, 20, held_since=True)
        done = run("deadletter", "accept", "--minutes", "10", "--yes")
        assert done.returncode == 0, done.stderr
        assert "the relay was held, and goes on" in done.stdout
        said = waiting_for(serve.url, 30)
        assert said["dead_letters"]["accepted_until"] is not None
