"""Tokens."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest

from migctl.config import Target
from migctl.target import mint
from migctl.target.tokens import Claims, claims_of, sender_token
from tests.kit.entries import START
from tests.kit.jwts import with_payload

SECRET = "a secret of thirty-two characters or more"


def test_token_names_its_role_and_ends_when_asked() -> None:
    claims = jwt.decode(
        mint(SECRET, "authenticated", 60, now=START),
        SECRET,
        ["HS256"],
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["role"] == "authenticated"
    assert claims["exp"] == int(START.timestamp()) + 60


def test_sender_uses_the_service_key_where_the_secret_is_not_known() -> None:
    assert sender_token(Target("http://x", service_role_key="the key")) == "the key"
    minted = sender_token(Target("http://x", service_role_key="the key", jwt_secret=SECRET))
    assert jwt.decode(minted, SECRET, ["HS256"])["role"] == "service_role"


def test_a_token_says_its_role_and_its_end() -> None:
    minted = mint(SECRET, "authenticated", 60, now=START)
    assert claims_of(minted) == Claims("authenticated", START + timedelta(seconds=60))


@pytest.mark.parametrize(
    "payload",
    [
        b"{}", b'{"role":null,"exp":null}', b'{"role":["authenticated"],"exp":"soon"}', b'{"exp":true}', b'{"exp":1e999}',
        b'{"exp":NaN}', b'{"exp":-1e300}', b'{"exp":%b}' % (b"9" * 400),
    ],
)  # fmt: skip
def test_a_role_that_is_no_word_and_an_end_that_is_no_moment_are_not_said(payload: bytes) -> None:
    assert claims_of(with_payload(payload)) == Claims(None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        "no token",
        with_payload(b"[]"),
        with_payload(b"{"),
        with_payload(b"\xff"),
        with_payload(b"[" * 40_000),
    ],
)
def test_what_is_no_token_says_nothing(text: str) -> None:
    assert claims_of(text) is None
