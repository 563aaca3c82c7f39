"""Keys of a stack: random, kept, private, and good for the roles they name."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from migctl.errors import Usage
from migctl.stack.keys import Keys, have_passwords
from migctl.stack.launcher import write_private

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(("name", "role"), [("anon_key", "anon"), ("service_role_key", "service_role")])
def test_key_is_signed_with_the_secret_for_its_role_and_lasts_for_years(name: str, role: str) -> None:
    keys = Keys.fresh(NOW)
    claims = jwt.decode(
        getattr(keys, name),
        keys.jwt_secret,
        algorithms=["HS256"],
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["role"] == role
    assert claims["exp"] - NOW.timestamp() > 9 * 365 * 86400


def test_rotated_keys_are_others_and_the_servers_keep_their_passwords(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    before = Keys.kept(path)
    after = before.rotated(NOW)
    changed = {name for name in asdict(after) if getattr(after, name) != getattr(before, name)}
    assert changed == {"jwt_secret", "anon_key", "service_role_key"}
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(before.anon_key, after.jwt_secret, algorithms=["HS256"])
    after.keep(path)
    assert Keys.kept(path) == after
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["keys.json"]


def test_two_stacks_share_no_secret() -> None:
    assert Keys.fresh(NOW).jwt_secret != Keys.fresh(NOW).jwt_secret


def test_keys_stay_the_same_over_a_restart(tmp_path: Path) -> None:
    assert Keys.kept(tmp_path / "keys.json") == Keys.kept(tmp_path / "keys.json")


def test_keys_file_is_readable_by_the_owner_only(tmp_path: Path) -> None:
    Keys.kept(tmp_path / "keys.json")
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_keys_from_before_the_passwords_stay_and_get_some_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old = {"jwt_secret": "s", "anon_key": "a", "service_role_key": "r"}
    path.write_text(json.dumps(old))
    assert not have_passwords(path)
    keys = Keys.kept(path)
    assert {name: getattr(keys, name) for name in old} == old
    assert len({keys.admin_password, keys.database_password, keys.valkey_password, ""}) == 4
    assert have_passwords(path)
    assert Keys.kept(path) == keys


def test_no_keys_are_no_passwords(tmp_path: Path) -> None:
    assert not have_passwords(tmp_path / "keys.json")


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"jwt_secret": "x"}'])
def test_broken_keys_file_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(Usage, match=r"keys\.json"):
        Keys.kept(tmp_path / "keys.json")


def test_no_key_is_in_the_repr() -> None:
    keys = Keys.fresh(NOW)
    assert keys.jwt_secret not in repr(keys)
    assert keys.service_role_key not in repr(keys)
    assert keys.admin_password not in repr(keys)


def test_a_file_replaced_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_private(tmp_path / "a", "one")
    write_private(tmp_path / "a", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "two"
