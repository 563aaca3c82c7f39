"""Signing: tokens made here, with a key that the project knows: its shared secret, or a signing key of the operator's.

A signing key is a private JWK as `supabase gen signing-key` writes it, imported into the project. The project finds its public half
by `kid`, which stands in each token's header (RFC 7515, 4.1.4; RFC 7517).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import jwt

from migctl import clock, redaction
from migctl.config import Target
from migctl.errors import Usage
from migctl.events.jsontext import loads
from migctl.target.minted import Minted, ends_of

VARIABLE: Final = "SUPABASE_SIGNING_KEY"

# Of a JWK: what nobody may see (RFC 7518, 6.2.2, 6.3.2, 6.4.1).
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "k")
_WHERE: Final = (
    "as `supabase gen signing-key` writes it, on one line or as a file named by SUPABASE_SIGNING_KEY_FILE"
)


def signer_of(target: Target) -> Signer | None:
    """The shared secret before a signing key; None where the target has neither. Raises Usage for a key that can't sign."""
    if target.jwt_secret:
        return Signer.of_secret(target.jwt_secret)
    return Signer.of_jwk(target.signing_key) if target.signing_key else None


def need_signer(target: Target) -> Signer:
    """As `signer_of`. Raises Usage where tokens can't be signed here."""
    signer = signer_of(target)
    if signer is None:
        raise Usage(
            f"tokens for {target.name} can't be signed here, and this needs some that end when it says",
            do=f"set {VARIABLE} to a JWK of `supabase gen signing-key`, imported into the project; or SUPABASE_JWT_SECRET",
        )
    return signer


class Signer:
    """Makes tokens with one key. name: of the setting that it is from."""

    def __init__(self, key: Any, algorithm: str, *, name: str, kid: str | None = None) -> None:
        self._key = key
        self._algorithm = algorithm
        self._headers = {"kid": kid} if kid is not None else None
        self.name = name

    @classmethod
    def of_secret(cls, jwt_secret: str) -> Signer:
        """HS256, with the project's JWT secret."""
        return cls(jwt_secret, "HS256", name="SUPABASE_JWT_SECRET")

    @classmethod
    def of_jwk(cls, text: str) -> Signer:
        """With a private JWK, ES256, RS256 or HS256. Of a list, the first that signs. Raises Usage, which quotes nothing of it."""
        jwk = _private_of(_document(text))
        for name in _PRIVATE:
            if isinstance(jwk.get(name), str):
                redaction.know(jwk[name])
        kid = jwk.get("kid")
        if not isinstance(kid, str) or not kid:
            raise Usage(
                f"{VARIABLE} has no kid: the project finds a key by it", do=f"give the whole JWK, {_WHERE}"
            )
        try:
            key = jwt.PyJWK(jwk)
            signer = cls(key, key.algorithm_name, name=VARIABLE, kid=kid)
            if signer._algorithm not in ("ES256", "RS256", "HS256"):
                raise Usage(
                    f"{VARIABLE} is a key for {signer._algorithm}, which no project takes",
                    do="make one with `supabase gen signing-key --algorithm ES256`",
                )
            signer.mint("anon", 1.0)
        except (jwt.PyJWTError, ValueError, TypeError) as error:  # its words may hold the key
            raise Usage(
                f"{VARIABLE} is no key that can sign ({type(error).__name__})",
                do=f"give a private JWK, {_WHERE}",
            ) from None
        return signer

    def mint(self, role: str, ttl_s: float, *, now: datetime | None = None) -> Minted:
        """A token for `role` (anon, authenticated, service_role) that ends `ttl_s` seconds from now.

        now: aware; default the wall clock. `exp` is a whole second, never later than asked.
        """
        issued = (now or clock.now()).timestamp()
        ends = int(issued + ttl_s)
        claims = {"iss": "migctl", "role": role, "iat": int(issued), "exp": ends}
        return Minted(
            jwt.encode(claims, self._key, algorithm=self._algorithm, headers=self._headers), ends_of(ends)
        )


def _document(text: str) -> object:
    try:
        return loads(text)
    except ValueError:
        raise Usage(f"{VARIABLE} is no JSON", do=f"give a private JWK, {_WHERE}") from None


def _private_of(found: object) -> dict[str, Any]:
    known = [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]
    private = [one for one in known if "d" in one or one.get("kty") == "oct"]
    if not private:
        raise Usage(f"{VARIABLE} holds no private key", do=f"give the JWK that has `d`, {_WHERE}")
    signs = [one for one in private if "sign" in (one.get("key_ops") or ())]
    return (signs or private)[0]
