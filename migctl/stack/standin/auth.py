"""Who is asking: API keys at the gateway, and JWTs as PostgREST and as Realtime check them. Pure: the time is passed in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import jwt

_ALGORITHMS = ["HS256", "HS384", "HS512"]
_CACHE_ENTRIES = 1024
# PostgREST forgives this much clock skew, so an expired token is good there for half a minute more. Realtime forgives nothing.
REST_SKEW_S = 30

Flaw = Literal["malformed", "signature", "expired", "not_yet", "claims"]


class BadToken(Exception):
    """A JWT that is not accepted. `expired_s` is how long ago it expired, where that is the flaw."""

    def __init__(self, flaw: Flaw, *, parts: int = 3, expired_s: int = 0) -> None:
        super().__init__(flaw)
        self.flaw: Flaw = flaw
        self.parts = parts
        self.expired_s = expired_s


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom PostgreSQL sees: the role, and the claims as JSON text. Equal identities see the same rows."""

    role: str
    claims: str
    sub: str
    exp: float | None
    anonymous: bool = False


class Tokens:
    """Checks tokens signed with one secret. Signatures that held are remembered, times are checked each time."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._known: dict[str, dict[str, Any]] = {}

    def is_api_key(self, key: str) -> bool:
        """True for a key that the gateway hands out: a token of ours for `anon` or `service_role`. Its time is not checked."""
        try:
            return self._claims(key).get("role") in ("anon", "service_role")
        except BadToken:
            return False

    def for_rest(self, token: str, now: float) -> Identity:
        """The identity that PostgREST gives this token; without a role it is `anon`. Raises BadToken."""
        claims = self._claims(token)
        exp = _number(claims, "exp")
        if exp is not None and now - REST_SKEW_S > exp:
            raise BadToken("expired", expired_s=int(now - exp))
        for name in ("nbf", "iat"):
            start = _number(claims, name)
            if start is not None and start > now + REST_SKEW_S:
                raise BadToken("not_yet")
        return _identity({**claims, "role": claims.get("role", "anon")}, exp)

    def for_realtime(self, token: str, now: float) -> Identity:
        """The identity that Realtime gives this token: `role` and `exp` are required. Raises BadToken."""
        claims = self._claims(token)
        exp = _number(claims, "exp")
        if exp is not None and exp <= now:
            raise BadToken("expired", expired_s=int(now) - int(exp))
        if exp is None or not isinstance(claims.get("role"), str):
            raise BadToken("claims")
        return _identity(claims, exp)

    def _claims(self, token: str) -> dict[str, Any]:
        known = self._known.get(token)
        if known is not None:
            return known
        parts = token.count(".") + 1
        if parts != 3:
            raise BadToken("malformed", parts=parts)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=_ALGORITHMS,
                options={
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.InvalidKeyError):
            raise BadToken("signature") from None
        except jwt.InvalidTokenError:
            raise BadToken("malformed") from None
        if len(self._known) >= _CACHE_ENTRIES:
            self._known.clear()
        self._known[token] = claims
        return claims


def _identity(claims: dict[str, Any], exp: float | None) -> Identity:
    sub = claims.get("sub")
    text = json.dumps(claims, separators=(",", ":"), ensure_ascii=False)
    return Identity(role=str(claims["role"]), claims=text, sub=sub if isinstance(sub, str) else "", exp=exp)


def _number(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadToken("claims")
    return value


ANON = Identity(role="anon", claims='{"role":"anon"}', sub="", exp=None, anonymous=True)


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header, or None where there is none."""
    if not header:
        return None
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
