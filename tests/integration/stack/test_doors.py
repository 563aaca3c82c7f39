"""Loopback is open to every user of the machine: what is there lets in only who can read its keys, which nobody else can."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis

from migctl import stack as stacks
from migctl.errors import Refused
from migctl.stack import EmbeddedStack, state
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.postgres import Postgres
from tests.kit.other_user import as_nobody

pytestmark = pytest.mark.usefixtures("real_starts")

ROLES = ("supabase_admin", "postgres", "authenticator")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(tmp_path_factory.mktemp("stack") / "s") as running:
        yield running


def port(stack: EmbeddedStack, part: str) -> int:
    return next(status.port for status in stack.status() if status.part == part)


def enters(at: int, role: str, password: str | None) -> str:
    def attempt() -> str:
        with psycopg.connect(
            host="127.0.0.1", port=at, user=role, password=password, dbname="postgres", connect_timeout=5
        ) as connection:
            return str(connection.execute("select current_user").fetchone())

    return as_nobody(attempt)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("password", [None, "postgres", ""])
def test_another_user_of_the_machine_can_not_enter_the_database(
    stack: EmbeddedStack, role: str, password: str | None
) -> None:
    said = enters(port(stack, "postgres"), role, password)
    assert "OperationalError" in said
    assert "password" in said


def test_no_line_of_the_databases_rules_lets_anybody_in_without_a_password(stack: EmbeddedStack) -> None:
    with psycopg.connect(stack.admin_url) as connection:
        rules = connection.execute("select type, auth_method, error from pg_hba_file_rules").fetchall()
    assert rules
    assert {method for _, method, _ in rules} == {"scram-sha-256"}


@pytest.mark.parametrize("first", [b"", b"AUTH postgres\r\n", b"AUTH \r\n", b"HELLO 3\r\n"])
def test_another_user_of_the_machine_can_not_use_valkey(stack: EmbeddedStack, first: bytes) -> None:
    at = port(stack, "valkey")

    def attempt() -> str:
        with (
            socket.create_connection(("127.0.0.1", at), timeout=5) as connection,
            connection.makefile("rb") as said,
        ):
            connection.sendall(first + b"CONFIG GET requirepass\r\n")
            return " ".join(said.readline().decode() for _ in range(2 if first else 1))

    said = as_nobody(attempt)
    assert "-NOAUTH" in said.split("\r\n")[-2]


def test_another_user_of_the_machine_can_not_read_the_keys_nor_anything_beside_them(
    stack: EmbeddedStack,
) -> None:
    if os.geteuid() == 0:
        assert "PermissionError" in as_nobody((stack.folder / "keys.json").read_text)
        assert "PermissionError" in as_nobody((stack.folder / "valkey" / "valkey.conf").read_text)
        assert "PermissionError" in as_nobody(lambda: str(list(stack.folder.iterdir())))
    assert open_to_others(stack.folder) == []


def open_to_others(folder: Path) -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(folder)), oct(stat.S_IMODE(path.lstat().st_mode)))
        for path in (folder, *folder.rglob("*"))
        if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]


def test_no_secret_is_on_a_command_line(stack: EmbeddedStack) -> None:
    stack.show_keys("new")
    keys = Keys.kept(stack.folder / "keys.json")
    held = [keys.admin_password, keys.database_password, keys.valkey_password, *keys.credentials.api_keys]
    held += [str(keys.jwt_secret), *(json.loads(key)["d"] for key in keys.signing_keys)]
    assert len(set(held)) == 7
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        assert not [number for number, secret in enumerate(held) if secret in words]
    stack.show_keys("old")


def test_two_stacks_share_no_password(stack: EmbeddedStack, tmp_path: Path) -> None:
    other = Keys.kept(tmp_path / "keys.json")
    mine = Keys.kept(stack.folder / "keys.json")
    names = ("admin_password", "database_password", "valkey_password")
    passwords = {getattr(keys, name) for keys in (mine, other) for name in names}
    assert len(passwords) == 6


def of_before(folder: Path) -> Keys:
    """A stack as it was before its servers had passwords: the fixed ones, no mode that hides anything, and data that must stay."""
    stack = EmbeddedStack(folder)
    with stack:
        with psycopg.connect(stack.target.need("database_url")) as connection:
            connection.execute("create table public.kept as select 42 as answer")
        redis.Redis.from_url(stack.target.need("redis_url")).set("kept", "yes")
        with psycopg.connect(stack.admin_url, autocommit=True) as connection:
            for role in ROLES:
                connection.execute(f"alter role {role} password 'postgres'".encode())
    (folder / "postgres" / "bootstrapped").write_text("0 0")
    (folder / "valkey" / "valkey.conf").unlink()
    keys = Keys.kept(folder / "keys.json")
    before = {name: getattr(keys, name) for name in ("jwt_secret", "anon_key", "service_role_key")}
    (folder / "keys.json").write_text(json.dumps(before))
    for path in (folder, folder / "postgres", folder / "keys.json", folder / "valkey" / "valkey.log"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return keys


def test_stack_from_before_the_passwords_gets_them_and_keeps_data_and_keys(tmp_path: Path) -> None:
    before = of_before(tmp_path / "s")
    with EmbeddedStack(tmp_path / "s") as stack:
        assert stack.target.service_role_key == before.service_role_key
        for role in ROLES:
            assert "password" in enters(port(stack, "postgres"), role, "postgres")
        assert open_to_others(stack.folder) == []
        with psycopg.connect(stack.target.need("database_url")) as connection:
            assert connection.execute("select answer from public.kept").fetchone() == (42,)
        assert redis.Redis.from_url(stack.target.need("redis_url")).get("kept") == b"yes"


def test_keys_that_were_deleted_lock_nobody_out_but_who_had_the_old_ones(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path / "s") as stack:
        old = urlsplit(stack.target.need("database_url")).password
    (tmp_path / "s" / "keys.json").unlink()
    with EmbeddedStack(tmp_path / "s") as stack:
        with psycopg.connect(stack.target.need("database_url")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert "password" in enters(port(stack, "postgres"), "postgres", old)


def test_running_stack_from_before_the_passwords_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = tmp_path / ".migctl"
    try:
        target = stacks.up(folder)
        keys = json.loads((folder / "stack" / "keys.json").read_text())
        old = {name: keys[name] for name in ("jwt_secret", "anon_key", "service_role_key")}
        (folder / "stack" / "keys.json").write_text(json.dumps(old))
        with pytest.raises(Refused, match="every user of this machine") as refused:
            stacks.up(folder)
        assert "migctl stack down" in refused.value.do
        stacks.down(folder)
        again = stacks.up(folder)
        assert again.supabase_url == target.supabase_url
        assert again.database_url != target.database_url
        assert open_to_others(folder) == []
        assert state.read(folder) is not None
    finally:
        stacks.down(folder)


def test_server_of_its_own_has_a_password_that_nobody_was_told(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres", any_free_port())
    server.start()
    try:
        assert "password" in enters(server.port, "supabase_admin", "postgres")
        with psycopg.connect(server.admin_url()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        server.discard()
