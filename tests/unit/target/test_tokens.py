"""Tokens."""

from __future__ import annotations

import jwt

from migctl.config import Target
from migctl.target import mint
from migctl.target.tokens import sender_token
from tests.kit.entries import START

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
