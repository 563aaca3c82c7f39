"""What a running stack offers: its logs, its keys for a shell, its faults, the schema and the rates that it was told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from migctl import stack as stacks
from migctl.stack import logs

Run = Callable[..., subprocess.CompletedProcess[str]]


def _environ(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MIGCTL_", "SUPABASE_")) and name not in ("DATABASE_URL", "REDIS_URL")
    }
    return {**kept, **more}


def on_other_ports(state: Path) -> None:
    """The stack of this state folder, which is down, comes up on ports that are free now and outside the usual ones."""
    path = state / "stack.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "ports": asdict(stacks.Ports.any_free())}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of one stack that is up, with a name that a shell would take apart."""
    folder = tmp_path_factory.mktemp("it's a $(folder)")
    stacks.up(folder / ".migctl")
    # On ports that no other stack asks for: what is restarted here leaves its own for a moment, and tests run side by side.
    stacks.down(folder / ".migctl")
    on_other_ports(folder / ".migctl")
    stacks.up(folder / ".migctl")
    yield folder
    stacks.down(folder / ".migctl")


@pytest.fixture
def migctl(folder: Path) -> Run:
    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "migctl", *words],
            cwd=folder,
            env=_environ(**more),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    return run


@pytest.mark.slow
def test_schema_of_the_settings_is_served_from_then_on_and_its_tables_pass_the_check(
    migctl: Run, folder: Path
) -> None:
    before = (folder / ".migctl" / "stack.json").read_text()
    planned = migctl("schema", "plan", "--schema", "monitoring")
    assert (planned.returncode, "restarted" in planned.stderr) == (0, False), planned.stderr
    assert (folder / ".migctl" / "stack.json").read_text() == before
    first = migctl("schema", "apply", MIGCTL_SCHEMA="monitoring")
    assert first.returncode == 0, first.stderr
    assert "restarted the stand-in, with schemas public, graphql_public, monitoring" in first.stderr
    assert "restarted" not in migctl("schema", "status").stderr  # another schema takes it from nobody
    assert "restarted" not in migctl("schema", "status", MIGCTL_SCHEMA="monitoring").stderr
    delivered = migctl("schema", "verify", "--delivery", MIGCTL_SCHEMA="monitoring")
    assert delivered.returncode == 0, delivered.stdout + delivered.stderr
    told = json.loads((folder / ".migctl" / "stack.json").read_text())["standin"]
    assert told["schemas"] == ["public", "graphql_public", "monitoring"]


def test_rates_are_kept_until_it_is_said_otherwise(migctl: Run) -> None:
    def rates() -> str:
        word: str = json.loads(migctl("stack", "status", "--output", "json").stdout)["rates"]
        return word

    assert rates() == "no-cap"
    assert "rates off" in migctl("stack", "up", "--rates", "off").stderr
    assert "already" in migctl("stack", "up").stderr
    assert rates() == "off"
    assert migctl("stack", "up", "--rates", "no-cap").returncode == 0
    assert rates() == "no-cap"
    assert migctl("stack", "up", "--rates", "some").returncode == 2


def test_env_survives_the_shell_and_says_the_same_as_json(migctl: Run) -> None:
    lines = migctl("stack", "env").stdout
    values = json.loads(migctl("stack", "env", "--output", "json").stdout)
    show = "import json, os, sys; print(json.dumps({name: os.environ[name] for name in sys.argv[1:]}))"
    said = subprocess.run(
        ["sh", "-c", 'eval "$1"; shift; exec "$@"', "sh", lines, sys.executable, "-c", show, *values],
        env=_environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(said.stdout) == values
    assert set(values) >= {"SUPABASE_URL", "SUPABASE_JWT_SECRET", "DATABASE_URL", "REDIS_URL"}


def test_env_of_new_keys_names_them_and_takes_the_old_ones_out_of_the_shell(migctl: Run) -> None:
    try:
        assert "new ones" in migctl("stack", "up", "--keys", "new").stderr
        lines = migctl("stack", "env").stdout
        shown = subprocess.run(
            ["sh", "-c", 'eval "$1"; env', "sh", lines],
            env=_environ(SUPABASE_JWT_SECRET="of before", SUPABASE_ANON_KEY="a"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        names = {line.partition("=")[0] for line in shown.splitlines()}
        assert names >= {"SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_SIGNING_KEY"}
        assert not names & {"SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_JWT_SECRET"}
        assert "already" in migctl("stack", "up").stderr
    finally:
        assert "old ones" in migctl("stack", "up", "--keys", "old").stderr
    assert "SUPABASE_JWT_SECRET" in json.loads(migctl("stack", "env", "--output", "json").stdout)


def test_env_is_not_started_beside_another_target(migctl: Run, tmp_path: Path) -> None:
    refused = migctl(
        "stack", "env", SUPABASE_URL="https://project.supabase.co", MIGCTL_STATE_DIR=str(tmp_path / "none")
    )
    assert refused.returncode == 4
    assert refused.stdout == ""


def test_logs_show_the_last_lines_of_a_part_or_of_all(migctl: Run) -> None:
    assert "ready to accept connections" in migctl("stack", "logs", "postgres", "-n", "500").stdout
    lines = migctl("stack", "logs", "-n", "1", "--output", "json").stdout.splitlines()
    assert {json.loads(line)["part"] for line in lines} >= {"postgres", "valkey"}
    assert migctl("stack", "logs", "nothing").returncode == 2


def test_logs_are_followed_over_a_log_that_begins_anew(tmp_path: Path) -> None:
    where = logs.path(tmp_path, "standin")
    where.parent.mkdir(parents=True)
    where.write_text("one\ntwo\nthree\n")
    lines = logs.follow(tmp_path, ["standin", "valkey"], 2)
    assert [next(lines), next(lines)] == [("standin", "two"), ("standin", "three")]
    with where.open("a") as log:
        log.write("four\nhalf")
    assert next(lines) == ("standin", "four")
    where.rename(where.with_suffix(".log.1"))
    where.write_text("five\n")
    assert next(lines) == ("standin", "five")


def test_fault_is_switched_on_listed_and_cleared(migctl: Run) -> None:
    on = migctl("stack", "fault", "rate-skip")
    assert on.returncode == 0
    assert "until --clear" in on.stderr
    listed = json.loads(migctl("stack", "fault", "--list", "--output", "json").stdout)["faults"]
    assert [each["name"] for each in listed if each["on"]] == ["rate-skip"]
    assert migctl("stack", "fault", "--clear").returncode == 0
    listed = json.loads(migctl("stack", "fault", "--list", "--output", "json").stdout)["faults"]
    assert not [each for each in listed if each["on"]]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("bogus",), 2),
        (("rate-skip", "--list"), 2),
        (("rate-skip", "--for", "0"), 2),
        (("--clear", "--for", "3"), 2),
    ],
)
def test_fault_that_is_asked_wrongly_is_refused(migctl: Run, words: tuple[str, ...], code: int) -> None:
    answer = migctl("stack", "fault", *words)
    assert answer.returncode == code
    assert answer.stderr


def test_fault_of_a_stack_that_is_down_says_how_to_bring_it_up(migctl: Run, tmp_path: Path) -> None:
    answer = migctl("stack", "fault", "rate-skip", MIGCTL_STATE_DIR=str(tmp_path / "none"))
    assert answer.returncode == 3
    assert "migctl stack up" in answer.stderr
    assert migctl("stack", "fault", "--list", MIGCTL_STATE_DIR=str(tmp_path / "none")).returncode == 0
