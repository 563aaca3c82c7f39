"""Keys of a stack: random, kept, private, and good for the roles they name."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from migctl.errors import Usage
from migctl.stack.keys import Keys, Kind, have_passwords, kind_in, signing_key
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


@pytest.mark.parametrize("kind", ["old", "new"])
def test_keys_of_a_kind_are_kept_and_none_of_the_other_is_made(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / "keys.json"
    keys = Keys.fresh(NOW, kind)
    keys.keep(path)
    assert Keys.kept(path) == keys
    assert kind_in(path) == kind
    assert (keys.jwt_secret is None) == (keys.shown.jwt_secret is None) == (kind == "new")
    assert (keys.publishable_key is None) == (keys.shown.signing_key is None) == (kind == "old")


def test_no_file_shows_no_kind(tmp_path: Path) -> None:
    assert kind_in(tmp_path / "keys.json") is None


def test_new_keys_have_the_form_of_a_projects() -> None:
    keys = Keys.fresh(NOW, "new")
    assert keys.shown.anon_key is not None
    assert keys.shown.anon_key.startswith("sb_publishable_")
    assert keys.shown.service_role_key is not None
    assert keys.shown.service_role_key.startswith("sb_secret_")
    assert keys.shown.signing_key is not None
    document = json.loads(keys.shown.signing_key)
    assert set(document) == {"kty", "kid", "use", "key_ops", "alg", "ext", "d", "crv", "x", "y"}
    assert (document["alg"], document["crv"], document["key_ops"]) == ("ES256", "P-256", ["sign", "verify"])
    assert jwt.PyJWK(document).algorithm_name == "ES256"
    assert signing_key() != signing_key()


def test_keys_of_the_other_kind_are_made_beside_and_stay_when_the_first_are_shown_again() -> None:
    old = Keys.fresh(NOW)
    both = old.showing("new", NOW)
    assert both.credentials.jwt_secret == old.jwt_secret
    assert set(both.credentials.api_keys.values()) == {"anon", "service_role"}
    assert both.shown.jwt_secret is None
    assert both.showing("new", NOW) == both
    assert replace(both, kind="old") == both.showing("old", NOW)
    assert both.showing("old", NOW).shown == old.shown


def test_rotated_new_keys_leave_nothing_of_before() -> None:
    before = Keys.fresh(NOW).showing("new", NOW)
    after = before.rotated(NOW)
    assert after.kind == "new"
    assert after.credentials.jwt_secret is None
    assert not set(after.credentials.api_keys) & set(before.credentials.api_keys)
    assert not set(after.signing_keys) & set(before.signing_keys)
    assert after.admin_password == before.admin_password


def test_secret_keys_are_deleted_one_by_one_and_never_the_last() -> None:
    one = Keys.fresh(NOW, "new")
    (first,) = one.secret_keys
    two = one.with_secret_key()
    assert two.shown.service_role_key == first
    left = two.without_secret_key(first)
    assert left.secret_keys == (two.secret_keys[1],)
    assert first not in left.credentials.api_keys
    for keys, key in ((left, left.secret_keys[0]), (two, "sb_secret_none")):
        with pytest.raises(Usage):
            keys.without_secret_key(key)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "null", '{"jwt_secret": "x"}'),
        '{"kind": "new"}',
        '{"kind": "newer", "jwt_secret": "s", "anon_key": "a", "service_role_key": "r"}',
        '{"kind": "new", "publishable_key": "p", "secret_keys": ["s"], "signing_keys": ["text"]}',
    ],
)
def test_broken_keys_file_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(Usage, match=r"keys\.json"):
        Keys.kept(tmp_path / "keys.json")


def test_no_key_is_in_the_repr() -> None:
    keys = Keys.fresh(NOW)
    assert str(keys.jwt_secret) not in repr(keys)
    assert str(keys.service_role_key) not in repr(keys)
    assert keys.admin_password not in repr(keys)
    assert repr(Keys.fresh(NOW, "new")) == repr(keys)


def test_a_file_replaced_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_private(tmp_path / "a", "one")
    write_private(tmp_path / "a", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "two"
