"""Token: when the access token of a reader is renewed, whatever it says of itself."""

from __future__ import annotations

import pytest

from migctl import clock
from migctl.errors import Transient
from migctl.subscriber.realtime.token import ASSUMED_LIFE_S, TRY_AGAIN_S, Token
from migctl.target import mint
from migctl.target.tokens import RENEW_AT_SHARE
from tests.kit import jwts

SECRET = "a secret of thirty-two characters or more"


async def _nobody() -> str:
    raise AssertionError("asked for another one")


async def _away() -> str:
    raise Transient("nobody is there", do="try again")


async def test_a_token_that_can_not_be_renewed_is_used_to_its_end_and_asked_for_ever_sooner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = mint(SECRET, "authenticated", 1000)
    token = Token(_away, text)
    ends_at = clock.mono() + token.renew_in_s / RENEW_AT_SHARE
    waits = []
    for left_s in (1.9, 0.8, 0.2):
        monkeypatch.setattr(clock, "mono", lambda left_s=left_s: ends_at - left_s)
        assert await token.get() == text
        waits.append(token.renew_in_s)
    assert 0.3 < waits[0] < 0.5
    assert waits[0] > waits[1] > waits[2] == pytest.approx(0.1)
    monkeypatch.setattr(clock, "mono", lambda: ends_at + 0.1)
    with pytest.raises(Transient):
        await token.get()


async def test_a_long_token_that_can_not_be_renewed_is_asked_for_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = clock.mono()
    token = Token(_away, mint(SECRET, "authenticated", 3600))
    monkeypatch.setattr(clock, "mono", lambda: at + 3000)
    await token.get()
    assert token.renew_in_s == TRY_AGAIN_S


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
