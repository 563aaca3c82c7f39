"""migctl stack, as an operator runs it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from migctl import stack as stacks


class Migctl:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MIGCTL_", "SUPABASE_")) and name not in ("DATABASE_URL", "REDIS_URL")
        }
        return subprocess.run(
            [sys.executable, "-m", "migctl", *words],
            cwd=self.folder,
            env={**kept, **environ},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )


@pytest.fixture
def migctl(tmp_path: Path) -> Iterator[Migctl]:
    (tmp_path / "work").mkdir(mode=0o700)
    yield Migctl(tmp_path / "work")
    stacks.down(tmp_path / "work" / ".migctl")


def _document(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


# Each of them ends every connection that takes it, or sends it elsewhere.
OF_THE_SHELL = {
    "PGHOSTADDR": "192.0.2.1",
    "PGSSLMODE": "verify-full",
    "PGOPTIONS": "-c default_transaction_read_only=on -c search_path=nowhere",
    "PGSERVICE": "of-another-database",
    "PGTARGETSESSIONATTRS": "standby",
    "PGCLIENTENCODING": "nonsense",
    "PGDATA": "/nowhere",
    "PGPORT": "1",
}


def test_nothing_that_the_shell_has_for_other_databases_reaches_the_stack_or_who_works_on_it(
    migctl: Migctl,
) -> None:
    for words in (
        ("stack", "up"),
        ("schema", "apply"),
        ("schema", "verify"),
        ("flags", "list"),
        ("stack", "status"),
    ):
        done = migctl(*words, **OF_THE_SHELL)
        assert done.returncode == 0, done.stderr


def test_up_down_up_keeps_data_keys_and_ports(migctl: Migctl) -> None:
    first = _document(migctl("stack", "up", "--output", "json"))
    with psycopg.connect(first["database_url"]) as connection:
        connection.execute("create table public.kept as select 42 as answer")
    assert _document(migctl("stack", "down", "--output", "json"))["was_up"] is True
    second = _document(migctl("stack", "up", "--output", "json"))
    names = ("supabase_url", "anon_key", "service_role_key", "jwt_secret", "database_url", "redis_url")
    assert {name: first[name] for name in names} == {name: second[name] for name in names}
    with psycopg.connect(second["database_url"]) as connection:
        assert connection.execute("select answer from public.kept").fetchone() == (42,)


def test_a_stack_that_begins_with_new_keys_has_no_shared_secret_and_keeps_them(migctl: Migctl) -> None:
    first = _document(migctl("stack", "up", "--keys", "new", "--output", "json"))
    assert first["jwt_secret"] is None
    assert first["anon_key"].startswith("sb_publishable_")
    assert first["service_role_key"].startswith("sb_secret_")
    assert json.loads(first["signing_key"])["alg"] == "ES256"
    kept = (migctl.folder / ".migctl" / "stack" / "keys.json").read_text()
    assert "jwt_secret" not in kept
    migctl("stack", "down")
    second = _document(migctl("stack", "up", "--output", "json"))
    assert [second[name] for name in ("anon_key", "service_role_key", "signing_key")] == [
        first[name] for name in ("anon_key", "service_role_key", "signing_key")
    ]
    assert first["signing_key"] not in migctl("stack", "status").stdout


@pytest.mark.slow
def test_status_tells_by_exit_code_whether_all_is_up_and_up_restarts_what_is_not(migctl: Migctl) -> None:
    assert migctl("stack", "status").returncode == 1
    assert migctl("stack", "up").returncode == 0
    status = migctl("stack", "status", "--output", "json")
    assert (status.returncode, _document(status)["state"]) == (0, "up")
    os.kill(_document(status)["parts"]["standin"]["pid"], signal.SIGKILL)
    status = migctl("stack", "status", "--output", "json")
    assert (status.returncode, _document(status)["state"]) == (1, "degraded")
    assert _document(status)["parts"]["standin"]["pid"] is None
    again = migctl("stack", "up")
    assert again.returncode == 0
    assert "started again: standin" in again.stderr
    assert migctl("stack", "status").returncode == 0
    assert "already" in migctl("stack", "up").stderr


@pytest.mark.slow
def test_a_part_that_was_stopped_stays_so_whoever_needs_the_stack_until_it_is_started(migctl: Migctl) -> None:
    assert migctl("stack", "stop", "valkey").returncode == 3, "nothing is up"
    before = _document(migctl("stack", "up", "--output", "json"))["parts"]
    stopped = migctl("stack", "stop", "valkey")
    assert stopped.returncode == 0, stopped.stderr
    assert "stays so until `migctl stack start valkey`" in stopped.stderr
    os.kill(before["standin"]["pid"], signal.SIGKILL)
    assert "already" in migctl("stack", "stop", "valkey").stderr
    again = migctl("stack", "up")
    assert (again.returncode, "started again: standin" in again.stderr) == (0, True)
    status = migctl("stack", "status", "--output", "json")
    parts = _document(status)["parts"]
    assert status.returncode == 1
    assert {name: part["state"] for name, part in parts.items()} == {
        "postgres": "up", "valkey": "stopped", "standin": "up",
    }  # fmt: skip
    os.kill(parts["standin"]["pid"], signal.SIGKILL)
    started = _document(migctl("stack", "start", "valkey", "--output", "json"))["parts"]
    assert (started["valkey"]["state"], started["valkey"]["port"]) == ("up", before["valkey"]["port"])
    assert started["standin"]["state"] == "down", "one that died is nobody's to start but its own"
    assert _document(migctl("stack", "start", "standin", "--output", "json"))["state"] == "up"
    migctl("stack", "stop", "postgres")
    migctl("stack", "down")
    assert _document(migctl("stack", "up", "--output", "json"))["state"] == "up", (
        "a stack that starts is whole"
    )


def test_keys_are_on_disk_for_the_owner_only_and_in_no_log(migctl: Migctl) -> None:
    document = _document(migctl("stack", "up", "--output", "json"))
    assert stat.S_IMODE((migctl.folder / ".migctl" / "stack.json").stat().st_mode) == 0o600
    secrets = [document["jwt_secret"], document["service_role_key"]]
    secrets += [urlsplit(document[name]).password for name in ("database_url", "redis_url")]
    assert all(secrets)
    for log in (migctl.folder / ".migctl").rglob("*.log"):
        assert not [secret for secret in secrets if secret in log.read_text()]
    shown = migctl("stack", "status")
    assert not [secret for secret in secrets if secret in shown.stdout + shown.stderr]


def test_down_when_down_says_so_and_makes_no_folder(migctl: Migctl) -> None:
    result = migctl("stack", "down")
    assert result.returncode == 0
    assert "already" in result.stderr
    assert list(migctl.folder.iterdir()) == []


def test_status_when_down_has_no_address_to_offer(migctl: Migctl) -> None:
    document = _document(migctl("stack", "status", "--output", "json"))
    assert document["state"] == "down"
    assert document["database_url"] is None


def test_hosted_target_means_no_embedded_stack_unless_asked(migctl: Migctl) -> None:
    refused = migctl("stack", "up", SUPABASE_URL="https://project.supabase.co")
    assert refused.returncode == 4
    assert "--embedded" in refused.stderr
    assert list(migctl.folder.iterdir()) == []
    asked = migctl("stack", "up", "--embedded", SUPABASE_URL="https://project.supabase.co")
    assert asked.returncode == 0


def test_state_folder_that_cannot_be_made_is_named(migctl: Migctl) -> None:
    result = migctl("stack", "up", MIGCTL_STATE_DIR="/dev/null/state")
    assert result.returncode == 2
    assert "/dev/null/state" in result.stderr
    assert "MIGCTL_STATE_DIR" in result.stderr


def test_state_file_that_is_none_is_named(migctl: Migctl) -> None:
    (migctl.folder / ".migctl").mkdir()
    (migctl.folder / ".migctl" / "stack.json").write_text("junk")
    for command in ("up", "status", "down"):
        result = migctl("stack", command)
        assert result.returncode == 2
        assert "stack.json" in result.stderr
    (migctl.folder / ".migctl" / "stack.json").unlink()


def test_module_of_the_operators_folder_is_not_taken_for_ours(migctl: Migctl) -> None:
    for name in ("redis.py", "aiohttp.py", "json.py", "migctl.py"):
        (migctl.folder / name).write_text("raise SystemExit('the wrong module')")
    console_script = Path(sys.executable).with_name("migctl")
    result = subprocess.run(
        [console_script, "stack", "up"], cwd=migctl.folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
