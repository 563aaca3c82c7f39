"""Who is asking: API keys at the gateway, and JWTs as PostgREST and as Realtime check them. Pure: the time is passed in.

A key `sb_...` is no JWT, and nothing behind the gateway knows it: the gateway puts a token of its own in its place, good for a day.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any, Literal

import jwt

from migctl.stack.standin.keyring import Keyring, NoKey, Role

_CACHE_ENTRIES = 1024
# What the gateway puts in the place of a key: a public connection without a user token ends after a day.
_GATEWAY_S = 86400
_AGAIN_S = 60
# PostgREST forgives this much clock skew, so an expired token is good there for half a minute more. Realtime forgives nothing.
REST_SKEW_S = 30

Flaw = Literal["malformed", "signature", "signer", "expired", "not_yet", "claims"]


class BadToken(Exception):
    """A JWT that is not accepted. `expired_s` is how long ago it expired, where that is the flaw; `kid` a key that nobody knows."""

    def __init__(self, flaw: Flaw, *, parts: int = 3, expired_s: int = 0, kid: str | None = None) -> None:
        super().__init__(flaw)
        self.flaw: Flaw = flaw
        self.parts = parts
        self.expired_s = expired_s
        self.kid = kid


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom PostgreSQL sees: the role, and the claims as JSON text. Equal identities see the same rows."""

    role: str
    claims: str
    sub: str
    exp: float | None


class Tokens:
    """Checks tokens by the keys of one project. Signatures that held are remembered, times are checked each time."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self._known: dict[str, dict[str, Any]] = {}
        self._gateway = secrets.token_hex(32)
        self._gateway_kid = secrets.token_hex(8)
        self._given: dict[Role, tuple[float, str]] = {}

    def is_api_key(self, key: str) -> bool:
        """True for a JWT that is an API key: a token of ours for `anon` or `service_role`. Its time is not checked."""
        try:
            return self._claims(key).get("role") in ("anon", "service_role")
        except BadToken:
            return False

    def for_key(self, key: str, now: float) -> str | None:
        """The token that the gateway puts in the place of a key `sb_...`; None for a key that this project does not have."""
        role = self.keyring.role_of(key)
        if role is None:
            return None
        given = self._given.get(role)
        if given is None or not 0 <= now - given[0] < _AGAIN_S:
            claims = {"iss": "supabase", "role": role, "iat": int(now), "exp": int(now) + _GATEWAY_S}
            token = jwt.encode(claims, self._gateway, "HS256", headers={"kid": self._gateway_kid})
            given = self._given[role] = (now, token)
        return given[1]

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
            key, algorithms = self._verifier(jwt.get_unverified_header(token))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                options={
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except NoKey as error:
            raise BadToken("signer", kid=error.kid) from None
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.InvalidKeyError):
            raise BadToken("signature") from None
        except (jwt.InvalidTokenError, RecursionError):
            raise BadToken("malformed") from None
        if len(self._known) >= _CACHE_ENTRIES:
            self._known.clear()
        self._known[token] = claims
        return claims

    def _verifier(self, header: dict[str, Any]) -> tuple[Any, list[str]]:
        if header.get("kid") == self._gateway_kid:
            return self._gateway, ["HS256"]
        return self.keyring.verifier(header)


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


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header, or None where there is none."""
    if not header:
        return None
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
