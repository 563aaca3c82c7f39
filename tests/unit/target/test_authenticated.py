"""Who makes the tokens of subscribers: one order for every command."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import jwt
import pytest

from migctl import clock
from migctl.config import Settings, Target
from migctl.errors import Transient, Usage
from migctl.target.authenticated import authenticated_of, need_authenticated
from tests.unit.target.test_signing import SECRET, es256

COMMAND = Settings.model_validate({"realtime": {"token_command": "print-one"}})


def handed(seconds: float, role: str = "authenticated") -> str:
    return jwt.encode({"role": role, "exp": (clock.now() + timedelta(seconds=seconds)).timestamp()}, SECRET)


def test_the_first_way_that_is_set_is_taken() -> None:
    ways = {
        "SUPABASE_JWT_SECRET": {"jwt_secret": SECRET},
        "SUPABASE_SIGNING_KEY": {"signing_key": json.dumps(es256())},
        "SUPABASE_USER_EMAIL": {"user_email": "a@b.c", "user_password": "p4ssw0rd"},
        "realtime.token_command": {},
        "MIGCTL_ACCESS_TOKEN": {"access_token": handed(60)},
    }
    left = dict(ways)
    for name in ways:
        given = {key: value for way in left.values() for key, value in way.items()}
        settings = COMMAND if "realtime.token_command" in left else None
        assert need_authenticated(Target("http://x", anon_key="k", **given), settings).name == name
        del left[name]
    assert authenticated_of(Target("http://x", anon_key="k")) is None


def test_without_any_all_ways_are_named() -> None:
    with pytest.raises(Usage) as refused:
        need_authenticated(Target("http://x"), Settings())
    for way in (
        "JWT_SECRET",
        "SIGNING_KEY",
        "USER_EMAIL",
        "USER_PASSWORD",
        "realtime.token_command",
        "ACCESS_TOKEN",
    ):
        assert way in refused.value.do


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"user_email": "a@b.c"}, "SUPABASE_USER_PASSWORD"),
        ({"user_password": "p4ssw0rd"}, "SUPABASE_USER_EMAIL"),
        ({"user_email": "a@b.c", "user_password": "p4ssw0rd", "anon_key": None}, "SUPABASE_PUBLISHABLE_KEY"),
    ],
    ids=["no password", "no email", "no key"],
)  # fmt: skip
def test_half_a_user_is_refused_by_the_other_half(given: dict[str, str | None], missing: str) -> None:
    with pytest.raises(Usage, match=missing):
        authenticated_of(Target("http://x", **{"anon_key": "k", **given}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["no token", handed(-5), handed(60, "anon")], ids=["no JWT", "ended", "another role"]
)
def test_a_token_that_nobody_can_use_is_refused_at_the_door(text: str) -> None:
    with pytest.raises(Usage, match="MIGCTL_ACCESS_TOKEN"):
        authenticated_of(Target("http://x", access_token=text))


def test_a_token_that_was_handed_over_is_given_until_it_ends() -> None:
    text = handed(1.2)
    one = need_authenticated(Target("http://x", access_token=text))
    minted = asyncio.run(one.token())
    assert minted.text == text
    while clock.now() < minted.ends_at:
        pass
    with pytest.raises(Transient, match="has ended"):
        asyncio.run(one.token())
