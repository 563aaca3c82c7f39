"""`migctl schema` as an operator runs it: words, exit codes, and the questions it asks."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from migctl import clock


def environment(url: str | None, **more: str) -> dict[str, str]:
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("MIGCTL_", "SUPABASE_", "DATABASE_URL", "REDIS_URL"))
    }
    kept |= {"SUPABASE_URL": "https://project.supabase.invalid", "COLUMNS": "200"} | more
    return kept | ({"DATABASE_URL": url} if url else {})


def run(tmp_path: Path, url: str | None, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "migctl", "schema", *words],
        env=environment(url, **more),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def run_on_a_terminal(tmp_path: Path, url: str, answer: str, *words: str) -> tuple[int, str]:
    """The same with a terminal for stdin and stderr: types `answer` once it is asked; exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "migctl", "schema", *words],
        env=environment(url),
        cwd=tmp_path,
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown, asked = "", False
    deadline = clock.mono() + 60
    try:
        while clock.mono() < deadline:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # the other end is closed: the process has ended
                break
            if not chunk:
                break
            shown += chunk.decode()
            if not asked and ("[y/N]" in shown or "to go on" in shown):
                asked = True
                os.write(ours, f"{answer}\n".encode())
        return process.wait(60), shown
    finally:
        process.kill()
        os.close(ours)


def tables(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "select count(*) from pg_tables where tablename like 'monitoring%'"
        ).fetchall()[0][0]


def test_a_hosted_target_is_not_changed_without_yes_and_is_named(tmp_path: Path, database: str) -> None:
    refused = run(tmp_path, database, "apply")
    assert refused.returncode == 4
    assert "https://project.supabase.invalid" in refused.stderr
    assert "--yes" in refused.stderr
    assert tables(database) == 0

    done = run(tmp_path, database, "apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("https://project.supabase.invalid, database 127.0.0.1:") == 2  # before and after
    assert done.stdout.splitlines()[-1].startswith("applied 0008_set_back.up.sql")
    assert tables(database) == 9
    password = urlsplit(database).password
    assert password
    assert password not in done.stdout + done.stderr


@pytest.mark.parametrize(("answer", "code", "made"), [("y", 0, 9), ("n", 4, 0), ("", 4, 0)])
def test_on_a_terminal_it_asks_and_names_the_target(
    tmp_path: Path, database: str, answer: str, code: int, made: int
) -> None:
    left, shown = run_on_a_terminal(tmp_path, database, answer, "apply")
    assert left == code, shown
    assert "project.supabase.invalid" in shown.partition("[y/N]")[0]
    assert tables(database) == made


def test_a_dry_run_says_what_would_be_done_without_asking(tmp_path: Path, database: str) -> None:
    dry = run(tmp_path, database, "apply", "--dry-run")
    assert dry.returncode == 0
    assert "would apply 0001_events.up.sql" in dry.stdout
    assert tables(database) == 0


def test_json_is_one_document_on_stdout(tmp_path: Path, migrated: str, database: str) -> None:
    planned = json.loads(run(tmp_path, database, "plan", "--sql", "-o", "json").stdout)
    assert planned["schema"] == "migctl.schema.plan/1"
    assert planned["pending"][0]["file"] == "0001_events.up.sql"
    assert '"public".monitoring_events' in planned["pending"][0]["sql"]
    applied = json.loads(run(tmp_path, database, "apply", "--yes", "-o", "json").stdout)
    assert len(applied["applied"]) == 8
    shown = json.loads(run(tmp_path, migrated, "status", "-o", "json").stdout)
    assert {step["state"] for step in shown["steps"]} == {"applied"}
    assert all(step["file_sha256"] == step["applied_sha256"] for step in shown["steps"])
    assert json.loads(run(tmp_path, migrated, "verify", "-o", "json").stdout)["verdict"] == "pass"


def test_plan_names_statements_locks_and_whom_they_hold_up_and_apply_tells_each_step(
    tmp_path: Path, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "create table monitoring_events (id uuid primary key, event_type text not null, timestamp timestamptz not null,"
            " data jsonb not null, source text not null)"
        )
    planned = run(tmp_path, database, "plan")
    assert planned.returncode == 0, planned.stderr
    [fill] = [line for line in planned.stdout.splitlines() if "fill created_at" in line]
    assert fill.split()[:4] == ["0001", "fill", "created_at", "RowExclusive"]
    assert "estimates: bytes or rows of the table" in planned.stderr
    shown = run(tmp_path, database, "plan", "--sql").stdout
    assert (
        "(outside of a transaction; ShareUpdateExclusive, holds up nobody, about 0.02 s)\ncreate unique index"
        in shown
    )
    document = json.loads(run(tmp_path, database, "plan", "-o", "json").stdout)
    assert document["adoption"]["rows"] == 0
    assert {one["lock"] for one in document["locks"]} >= {"AccessExclusive", "ShareUpdateExclusive"}
    applied = run(tmp_path, database, "apply", "--yes")
    assert applied.returncode == 0, applied.stderr
    assert "fill created_at" in applied.stderr


def test_a_table_that_can_not_be_adopted_leaves_with_4_and_prints_the_way_out(
    tmp_path: Path, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table monitoring_events (id int primary key, source text[])")
    for words in (["plan"], ["apply", "--yes"]):
        refused = run(tmp_path, database, *words)
        assert refused.returncode == 4
        assert "alter table public.monitoring_events drop constraint" in refused.stderr
    document = json.loads(run(tmp_path, database, "plan", "-o", "json").stdout)
    assert document["adoption"]["way_out"][0].startswith(
        "alter table public.monitoring_events drop constraint"
    )


def test_verify_tells_each_difference_on_a_line_and_leaves_with_1(tmp_path: Path, migrated: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("alter table monitoring_events disable row level security")
        connection.execute("grant insert on monitoring_heads to anon")
    text = run(tmp_path, migrated, "verify")
    assert text.returncode == 1
    assert (
        "public.monitoring_events: row level security: expected enabled, found disabled\n"
        "  alter table public.monitoring_events enable row level security;\n"
    ) in text.stdout
    assert "2 differences" in text.stderr
    document = json.loads(run(tmp_path, migrated, "verify", "-o", "json").stdout)
    assert document["verdict"] == "fail"
    assert [d["aspect"] for d in document["differences"]] == ["row level security", "grants to anon"]


def test_a_changed_applied_file_leaves_plan_and_apply_with_4(tmp_path: Path, migrated: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("update migctl.schema_migrations set sha256 = repeat('0', 64) where version = 3")
    for words in (["plan"], ["apply", "--yes"], ["plan", "-o", "json"]):
        left = run(tmp_path, migrated, *words)
        assert left.returncode == 4
        assert "0003_heads.up.sql was changed after it was applied" in left.stderr
        assert "0" * 64 in left.stderr
    assert run(tmp_path, migrated, "status").returncode == 0
    told = run(tmp_path, migrated, "status", "--exit-code")
    assert told.returncode == 1
    assert "0003 changed" in told.stderr


@pytest.mark.parametrize(
    ("url", "more", "words", "code", "told"),
    [
        (
            "postgresql://postgres:secret@127.0.0.1:1/x",
            {},
            ["plan"],
            3,
            "no PostgreSQL answers at 127.0.0.1:1",
        ),
        (
            "postgresql://postgres:secret@127.0.0.1:1/x",
            {},
            ["verify"],
            3,
            "no PostgreSQL answers at 127.0.0.1:1",
        ),
        (None, {}, ["apply"], 2, "DATABASE_URL is not set"),
        ("nonsense secret", {}, ["plan"], 2, "DATABASE_URL is not an address"),
        ("postgresql://x/y", {"MIGCTL_SCHEMA": "No Such"}, ["plan"], 2, "schema"),
        ("postgresql://x/y", {}, ["plan", "--schema", "1x"], 2, "schema"),
        ("postgresql://x/y", {}, ["apply", "--lock-timeout", "0"], 2, "lock-timeout"),
        ("postgresql://x/y", {}, ["repair", "1"], 2, "--status"),
    ],
)
def test_what_is_wrong_is_told_with_its_exit_code_and_no_secret(
    tmp_path: Path, url: str | None, more: dict[str, str], words: list[str], code: int, told: str
) -> None:
    left = run(tmp_path, url, *words, **more)
    assert left.returncode == code, left.stderr
    assert told in left.stderr
    assert "secret" not in left.stderr
    assert "Traceback" not in left.stderr
    assert left.stdout == ""


def test_rows_are_dropped_only_for_the_typed_name_of_the_database(tmp_path: Path, migrated: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(
            "insert into monitoring_events (id, event_type, timestamp, data, source)"
            " values (gen_random_uuid(), 't', now(), '{}', 's')"
        )
    name = migrated.rpartition("@")[2]
    for words in (["--yes"], ["--drop-data", "--yes"], ["--drop-data", "--confirm", "other"]):
        refused = run(tmp_path, migrated, "rollback", "--to", "0", *words)
        assert refused.returncode == 4, refused.stderr
        assert tables(migrated) == 9
    assert run_on_a_terminal(tmp_path, migrated, "y", "rollback", "--to", "0", "--drop-data")[0] == 4
    assert tables(migrated) == 9
    code, shown = run_on_a_terminal(tmp_path, migrated, name, "rollback", "--to", "0", "--drop-data")
    assert code == 0, shown
    assert "1 of public.monitoring_events" in shown
    assert tables(migrated) == 0


def test_repair_names_its_target_before_it_acts_and_keeps_the_reason(tmp_path: Path, migrated: str) -> None:
    words = ["repair", "8", "--status", "reverted", "--reason", "by hand"]
    refused = run(tmp_path, migrated, *words)
    assert refused.returncode == 4
    assert "https://project.supabase.invalid, database 127.0.0.1:" in refused.stderr
    assert run(tmp_path, migrated, *words, "--yes").returncode == 0
    steps = json.loads(run(tmp_path, migrated, "status", "-o", "json").stdout)["steps"]
    assert (steps[-1]["state"], steps[-1]["reason"]) == ("pending", "by hand")
