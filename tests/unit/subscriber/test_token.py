"""Token: when the access token of a reader is renewed, whatever it says of itself."""

from __future__ import annotations

import asyncio

import pytest

from migctl.errors import Transient
from migctl.subscriber.realtime.token import (
    ASSUMED_LIFE_S,
    TRY_AGAIN_LEAST_S,
    TRY_AGAIN_S,
    TRY_AGAIN_SHARE,
    Token,
    try_again_in_s,
)
from migctl.target import mint
from migctl.target.tokens import RENEW_AT_SHARE
from tests.kit import jwts

SECRET = "a secret of thirty-two characters or more"


async def _nobody() -> str:
    raise AssertionError("asked for another one")


async def _away() -> str:
    raise Transient("nobody is there", do="try again")


def test_the_less_is_left_of_a_token_the_sooner_it_is_asked_for_again() -> None:
    assert try_again_in_s(600) == TRY_AGAIN_S
    assert try_again_in_s(2) == TRY_AGAIN_SHARE * 2
    assert try_again_in_s(0.01) == TRY_AGAIN_LEAST_S
    assert try_again_in_s(0) == TRY_AGAIN_S  # there is nothing to lose any more


async def test_a_token_that_can_not_be_renewed_is_used_to_its_end() -> None:
    text = mint(SECRET, "authenticated", 5)
    token = Token(_away, text)
    await asyncio.sleep(token.renew_in_s)
    assert await token.get() == text
    assert token.renew_in_s > 0
    while token.left_s > 0:
        await asyncio.sleep(0.05)
    with pytest.raises(Transient):
        await token.get()


async def test_a_token_is_kept_for_a_share_of_the_life_that_it_names() -> None:
    text = mint(SECRET, "authenticated", 1000)
    token = Token(_nobody, text)
    assert RENEW_AT_SHARE * 995 < token.renew_in_s <= RENEW_AT_SHARE * 1000
    assert await token.get() == text


@pytest.mark.parametrize(
    "text",
    [
        "no token",
        jwts.with_payload(b"{}"),
        jwts.with_payload(b'{"exp":%b}' % (b"9" * 400)),
        jwts.with_payload(b'{"exp":NaN}'),
        jwts.with_payload(b'{"exp":1e999}'),
        jwts.with_payload(b'{"exp":true}'),
        jwts.with_payload(b'{"deep":%b' % (b"[" * 40_000)),
    ],
)
async def test_a_token_that_names_no_moment_is_kept_for_a_share_of_an_hour(text: str) -> None:
    token = Token(_nobody, text)
    assert RENEW_AT_SHARE * ASSUMED_LIFE_S - 5 < token.renew_in_s <= RENEW_AT_SHARE * ASSUMED_LIFE_S
    assert await token.get() == text
