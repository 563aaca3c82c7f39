"""Another user of the machine, against a stack that `migctl stack up` brought up in a shell that hides nothing (umask 0).

What they could do is done as they would: read what is there, look at command lines and environments, and enter each port with
everything that was found, and with what such servers have by habit.
"""

from __future__ import annotations

import json
import os
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from migctl import stack as stacks
from migctl.stack import state
from tests.kit import needs
from tests.kit.other_user import as_nobody
from tests.kit.serve_process import run

ROLES = ("supabase_admin", "postgres", "authenticator", "service_role", "anon", "nobody", "migctl")
HABITS = ("", "postgres", "supabase", "password", "migctl", "valkey", "redis", "default")

pytestmark = [pytest.mark.slow, needs.as_root, pytest.mark.usefixtures("real_starts")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In a place where everybody may walk: the state folder itself has to keep them out."""
    home = tmp_path_factory.mktemp("home")
    for one in (home, *home.parents):
        if one.stat().st_uid == os.geteuid():
            one.chmod(one.stat().st_mode | 0o055)
    before = os.umask(0)
    try:
        ended = run(home, "stack", "up", more={"MIGCTL_STATE_DIR": str(home / ".migctl")})
        assert ended.returncode == 0, ended.stderr
        yield home / ".migctl"
    finally:
        os.umask(before)
        stacks.down(home / ".migctl")


def secrets(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "stack" / "keys.json").read_text())
    return found


def read_by_nobody(folder: Path) -> str:
    """Whatever of the folder and of /proc they can read."""

    def attempt() -> str:
        found = []
        for path in [
            *(Path(where, name) for where, _, names in os.walk(folder) for name in names),
            *(
                pid / name
                for pid in Path("/proc").iterdir()
                if pid.name.isdecimal()
                for name in ("cmdline", "environ")
            ),
        ]:
            try:
                found.append(path.read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue
        inside = len([text for text in found if text])
        return f"{inside} files\n" + "\n".join(found)[-1_000_000:]

    return as_nobody(attempt, most=2_000_000)


def test_nothing_that_another_user_can_read_holds_a_secret_of_the_stack(folder: Path) -> None:
    found = read_by_nobody(folder)
    assert int(found.split()[0]) > 3, "command lines, at least, are for everybody: else nothing was tried"
    assert [name for name, secret in secrets(folder).items() if secret in found] == []


def test_no_port_lets_another_user_run_a_program_by_the_database(folder: Path) -> None:
    record = state.read(folder)
    assert record is not None
    at, mark = record.ports.postgres, folder.parent / "broken-in"

    def attempt() -> str:
        refused = 0
        for role in ROLES:
            for password in HABITS:
                try:
                    with psycopg.connect(
                        host="127.0.0.1",
                        port=at,
                        user=role,
                        password=password,
                        dbname="postgres",
                        connect_timeout=5,
                    ) as connection:
                        connection.execute(f"copy (select 1) to program 'touch {mark}'".encode())
                        return f"in as {role} with {password!r}"
                except psycopg.OperationalError:
                    refused += 1
        return f"{refused} refused"

    assert as_nobody(attempt) == f"{len(ROLES) * len(HABITS)} refused"
    assert not mark.exists()


def test_who_has_the_address_of_stack_env_is_no_superuser_and_runs_no_program(folder: Path) -> None:
    """REST and migrations use it; a hosted project gives no more either."""
    address = stacks.up(folder).need("database_url")
    with psycopg.connect(address) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("copy (select 1) to program 'true'")


@pytest.mark.parametrize(
    "command", ["PING", "KEYS *", "CONFIG GET *", "EVAL return(1) 0", "ACL WHOAMI", "SHUTDOWN"]
)
def test_valkey_answers_another_user_with_nothing_but_a_refusal(folder: Path, command: str) -> None:
    record = state.read(folder)
    assert record is not None
    at = record.ports.valkey

    def attempt() -> str:
        answers = set()
        for password in HABITS:
            with socket.create_connection(("127.0.0.1", at), timeout=5) as connection:
                connection.sendall(f"AUTH {password}\r\n{command}\r\n".encode())
                with connection.makefile("rb") as lines:
                    lines.readline()
                    answers.add(lines.readline().split()[0].decode())
        return " ".join(sorted(answers))

    assert as_nobody(attempt) == "-NOAUTH"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/rest/v1/monitoring_events"),
        ("GET", "/standin/v1/faults"),
        ("PUT", "/standin/v1/faults/kill"),
        ("POST", "/realtime/v1/api/broadcast"),
    ],
)
def test_the_stand_in_does_nothing_without_a_key(folder: Path, method: str, path: str) -> None:
    record = state.read(folder)
    assert record is not None
    url = f"{record.target.supabase_url}{path}"

    def attempt() -> str:
        asked = urllib.request.Request(url, method=method, data=b"{}" if method != "GET" else None)
        try:
            return f"open: {urllib.request.urlopen(asked, timeout=5).status}"
        except urllib.error.HTTPError as error:
            return str(error.code)

    assert as_nobody(attempt) in ("401", "403")


def test_passwords_come_out_where_they_are_asked_for_and_nowhere_else(folder: Path) -> None:
    of = {"MIGCTL_STATE_DIR": str(folder)}
    known = secrets(folder)
    for words in (
        ("stack", "up"),
        ("stack", "status"),
        ("stack", "logs", "-n", "1000"),
        ("schema", "plan"),
        ("config", "show"),
    ):
        ended = run(folder.parent, *words, more=of)
        assert ended.returncode in (0, 1), ended.stderr
        said = ended.stdout + ended.stderr
        assert said
        assert [name for name, secret in known.items() if secret in said] == [], words
    asked = run(folder.parent, "stack", "env", more=of).stdout
    address = re.search(r"export DATABASE_URL=(\S+)", asked)
    assert address is not None
    assert known["database_password"] in address[1]
    with psycopg.connect(address[1]) as connection:
        assert connection.execute("select current_user").fetchone() == ("postgres",)
    for log in (folder / "stack").rglob("*.log*"):
        text = log.read_text(errors="replace")
        assert [name for name, secret in known.items() if secret in text] == [], log
