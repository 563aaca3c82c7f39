"""EmbeddedStack: all parts or none, one owner a folder, and what it keeps."""

from __future__ import annotations

import json
import socket
import stat
import threading
import time
import urllib.request
from pathlib import Path

import httpx
import jwt
import psycopg
import pytest
import redis

from migctl.config import Target
from migctl.errors import Refused, Transient, Usage
from migctl.stack import EmbeddedStack, Ports
from migctl.stack.launcher import any_free_port
from migctl.target.tokens import mint


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with EmbeddedStack(tmp_path_factory.mktemp("stack") / "s") as running:
        yield running


def test_each_part_of_the_target_answers(stack: EmbeddedStack) -> None:
    target = stack.target
    with psycopg.connect(target.need("database_url")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert redis.Redis.from_url(target.need("redis_url")).ping()
    with urllib.request.urlopen(target.supabase_url + "/health") as answer:
        assert answer.status == 200


def status_of(target: Target, anon_key: str, token: str) -> int:
    headers = {"apikey": anon_key, "Authorization": f"Bearer {token}"}
    return httpx.get(f"{target.supabase_url}/rest/v1/", headers=headers).status_code


def test_after_a_rotation_old_keys_and_tokens_are_refused_and_a_restart_keeps_the_new_ones(
    tmp_path: Path,
) -> None:
    with EmbeddedStack(tmp_path / "s") as stack:
        old, old_token = stack.target, mint(stack.target.need("jwt_secret"), "authenticated", 60)
        well = status_of(old, old.need("anon_key"), old_token)
        assert well != 401
        new = stack.rotate_keys()
        assert new == stack.target
        new_token = mint(new.need("jwt_secret"), "authenticated", 60)
        assert status_of(new, old.need("anon_key"), new_token) == 401
        assert status_of(new, new.need("anon_key"), old_token) == 401
        assert status_of(new, new.need("anon_key"), new_token) == well
        assert (new.supabase_url, new.database_url) == (old.supabase_url, old.database_url)
        assert stat.S_IMODE((tmp_path / "s" / "keys.json").stat().st_mode) == 0o600
        stack.kill("standin")
        stack.start_part("standin")
        assert status_of(new, new.need("anon_key"), new_token) == well
    with EmbeddedStack(tmp_path / "s") as again:
        assert again.target.jwt_secret == new.jwt_secret
        assert again.target.service_role_key == new.service_role_key


def signed(target: Target) -> str:
    document = json.loads(target.signing_key or "")
    private = jwt.PyJWK({name: value for name, value in document.items() if name != "key_ops"}).key
    claims = {"role": "authenticated", "exp": int(time.time()) + 60}
    return jwt.encode(claims, private, "ES256", headers={"kid": document["kid"]})


def test_new_keys_are_rotated_and_a_secret_key_is_deleted_alone(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path / "s", keys="new") as stack:
        old, old_token = stack.target, signed(stack.target)
        well = status_of(old, old.need("anon_key"), old_token)
        assert well == 200
        secret = old.need("service_role_key")
        more = stack.add_secret_key()
        assert status_of(old, more, more) == status_of(old, secret, secret) == well
        assert stack.delete_secret_key(secret).service_role_key == more
        assert status_of(old, secret, secret) == 401
        assert status_of(old, more, more) == status_of(old, old.need("anon_key"), old_token) == well
        new = stack.rotate_keys()
        assert new.jwt_secret is None
        assert status_of(new, more, more) == status_of(new, old.need("anon_key"), signed(new)) == 401
        assert status_of(new, new.need("anon_key"), old_token) == 401
        assert status_of(new, new.need("anon_key"), signed(new)) == well
    with EmbeddedStack(tmp_path / "s") as again:
        assert again.target.signing_key == new.signing_key


def test_old_keys_stay_good_beside_new_ones_until_they_are_rotated(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path / "s") as stack:
        old = stack.target
        key, token = old.need("anon_key"), mint(old.need("jwt_secret"), "authenticated", 60)
        new = stack.show_keys("new")
        assert (new.jwt_secret, new.supabase_url) == (None, old.supabase_url)
        assert status_of(old, key, token) == status_of(new, new.need("anon_key"), signed(new)) == 200
        assert status_of(new, new.need("anon_key"), token) == 200
        assert stack.show_keys("old") == old
        stack.show_keys("new")
        stack.rotate_keys()
        assert status_of(old, key, token) == 401


def test_valkey_keeps_what_it_acknowledged(stack: EmbeddedStack) -> None:
    client = redis.Redis.from_url(stack.target.need("redis_url"), decode_responses=True)
    settings = client.config_get("append*", "maxmemory-policy")
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["maxmemory-policy"] == "noeviction"


def test_second_owner_of_a_folder_is_refused_with_the_first_ones_pid(stack: EmbeddedStack) -> None:
    with pytest.raises(Refused, match=r"pid \d+"):
        EmbeddedStack(stack.folder).start()


def test_two_stacks_stand_beside_each_other_with_keys_of_their_own(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    with EmbeddedStack(tmp_path / "other") as other:
        assert other.target.jwt_secret != stack.target.jwt_secret
        assert other.target.supabase_url != stack.target.supabase_url


def test_taken_port_leads_to_the_next_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = Ports(port, port, port).or_next_free()
    assert port not in (found.standin, found.postgres, found.valkey)
    assert len({found.standin, found.postgres, found.valkey}) == 3


def test_stack_needs_the_main_thread_because_children_die_with_their_thread(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedStack(tmp_path / "s").start()
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])


def test_folder_that_is_a_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    with pytest.raises(Usage, match=str(tmp_path / "s")):
        EmbeddedStack(tmp_path / "s").start()


def test_target_before_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="not started"):
        _ = EmbeddedStack(tmp_path / "s").target


def test_part_that_fails_leaves_no_other_part_running(tmp_path: Path) -> None:
    broken = EmbeddedStack(tmp_path / "s", ports=Ports(*(any_free_port() for _ in range(3))))
    (tmp_path / "s" / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "s" / "postgres" / "data" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(Transient, match="PostgreSQL"):
        broken.start()
    assert not [status for status in broken.status() if status.up]
    with pytest.raises(Transient, match="PostgreSQL"):  # and the folder is free again
        EmbeddedStack(tmp_path / "s").start()


def test_discard_leaves_nothing_on_disk(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path / "s")
    stack.start()
    stack.discard()
    assert list(tmp_path.iterdir()) == []
