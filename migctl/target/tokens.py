"""Tokens: JWTs minted with the project's secret. Realtime and PostgREST ask for `role` and `exp`."""

from __future__ import annotations

from datetime import datetime

import jwt

from migctl import clock
from migctl.config import Target

SENDER_TTL_S = 3600.0
# Renewed well before it ends: an expired token closes the channel.
RENEW_AT_SHARE = 0.8


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
