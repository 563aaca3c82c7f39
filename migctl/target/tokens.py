"""Tokens: what our own channels join with, and what a token says of itself. Realtime and PostgREST ask for `role` and `exp`."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import NamedTuple

import jwt

from migctl import clock
from migctl.config import Target
from migctl.target.signing import Signer, signer_of

# What our own channels join with lives as long as the tokens of a hosted project do by default.
SENDER_TTL_S = 3600.0
# Renewed once this share of its life is over: an expired token closes the channel, and who gives tokens may be away for a while.
RENEW_AT_SHARE = 0.8
# Where the same comes again, because its giver is away, or the clock was set.
RENEW_LEAST_S = 1.0


class Claims(NamedTuple):
    """What a token says of itself. ends_at: None where it names no moment."""

    role: str | None
    ends_at: datetime | None


def mint(jwt_secret: str, role: str, ttl_s: float, *, now: datetime | None = None) -> str:
    """A token as `Signer.mint` makes it, with the project's JWT secret."""
    return Signer.of_secret(jwt_secret).mint(role, ttl_s, now=now).text


def sender_token(target: Target, *, now: datetime | None = None) -> str:
    """What our own channel joins with: a fresh service_role token, or the key itself where none can be signed here.

    A key of today is no token: the server takes the channel then for whom the socket's `apikey` is.
    """
    signer = signer_of(target)
    if signer is not None:
        return signer.mint("service_role", SENDER_TTL_S, now=now).text
    return target.need("service_role_key")


def renew_in_s(token: str) -> float:
    """Seconds until what a channel was joined with is to be replaced. A key, or a token that names no end, is as ours are."""
    claims = claims_of(token)
    left_s = SENDER_TTL_S
    if claims is not None and claims.ends_at is not None:
        left_s = (claims.ends_at - clock.now()).total_seconds()
    return max(RENEW_LEAST_S, RENEW_AT_SHARE * left_s)


def claims_of(token: str) -> Claims | None:
    """None for what is no JWT. The signature is not looked at: who gave the token is trusted, or has no say in what comes of it."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    role, ends = claims.get("role"), claims.get("exp")
    ends_at = None
    if isinstance(ends, (int, float)) and not isinstance(ends, bool):
        with contextlib.suppress(ValueError, OverflowError, OSError):
            ends_at = datetime.fromtimestamp(ends, UTC)
    return Claims(role if isinstance(role, str) else None, ends_at)
