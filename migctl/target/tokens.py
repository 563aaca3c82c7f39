"""Tokens: JWTs minted with the project's secret, and what one says of itself. Realtime and PostgREST ask for `role` and `exp`."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import NamedTuple

import jwt

from migctl import clock
from migctl.config import Target

# What our own channels join with lives as long as the tokens of a hosted project do by default.
SENDER_TTL_S = 3600.0
# Renewed once this share of its life is over: an expired token closes the channel, and who gives tokens may be away for a while.
RENEW_AT_SHARE = 0.8


class Claims(NamedTuple):
    """What a token says of itself. ends_at: None where it names no moment."""

    role: str | None
    ends_at: datetime | None


def mint(jwt_secret: str, role: str, ttl_s: float, *, now: datetime | None = None) -> str:
    """A token for `role` (anon, authenticated, service_role) that ends `ttl_s` seconds from now.

    now: aware; default the wall clock. `exp` is a whole second, never later than asked.
    """
    issued = (now or clock.now()).timestamp()
    claims = {"iss": "migctl", "role": role, "iat": int(issued), "exp": int(issued + ttl_s)}
    return jwt.encode(claims, jwt_secret, algorithm="HS256")


def sender_token(target: Target, *, now: datetime | None = None) -> str:
    """What our own channel joins with: a fresh service_role token, or the service key itself where the secret is not known."""
    if target.jwt_secret:
        return mint(target.jwt_secret, "service_role", SENDER_TTL_S, now=now)
    return target.need("service_role_key")


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
