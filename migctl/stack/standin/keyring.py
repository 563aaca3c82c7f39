"""The keys of one project: API keys that are no JWTs, a shared secret where it still has one, and the keys that sign user tokens.

Which key a token is checked with is Realtime's rule: HS* by a key of that `kid`, else by the shared secret; RS* and ES* by the key
of that `kid` alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import jwt

Role = Literal["anon", "service_role"]
ROLES: tuple[Role, ...] = get_args(Role)
PREFIX = "sb_"
SECRET = "sb_secret_"

_SHARED = ("HS256", "HS384", "HS512")
_BY_TYPE = {"RSA": ("RS256", "RS384", "RS512"), "EC": ("ES256", "ES384", "ES512")}
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}


class NoKey(Exception):
    """There is no key for such a token. kid: the one that it names, where it must name one."""

    def __init__(self, kid: str | None) -> None:
        super().__init__(kid)
        self.kid = kid


class Signing(NamedTuple):
    """A key that signs user tokens, or did. private: None where only its public half is known."""

    kid: str
    kty: str
    algorithm: str
    public: Any
    private: Any | None
    shown: dict[str, Any]


class Keyring:
    """What the stand-in was started with.

    api_keys: role by key, `sb_...`. signing_keys: JWKs with a `kid`, ES256 or RS256; the first that is private signs, all verify.
    Raises ValueError for what is none.
    """

    def __init__(
        self,
        jwt_secret: str | None = None,
        api_keys: Mapping[str, str] | None = None,
        signing_keys: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self.jwt_secret = jwt_secret
        self._roles: dict[str, Role] = {}
        for key, role in (api_keys or {}).items():
            known = next((one for one in ROLES if one == role), None)
            if known is None or not key.startswith(PREFIX):
                raise ValueError(f"an API key is {PREFIX}..., and its role one of {', '.join(ROLES)}")
            self._roles[key] = known
        found = [_signing(dict(document)) for document in signing_keys]
        self._signing = {key.kid: key for key in found}
        self._signer = next((key for key in found if key.private is not None), None)

    @property
    def api_keys(self) -> tuple[str, ...]:
        return tuple(self._roles)

    def role_of(self, key: str) -> Role | None:
        """Whom an API key that is no JWT stands for."""
        return self._roles.get(key)

    def jwks(self) -> dict[str, Any]:
        """The public halves, as Auth shows them. A shared secret is never in it."""
        return {"keys": [key.shown for key in self._signing.values()]}

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A user token as Auth signs it. Raises NoKey where this project has nothing to sign with."""
        signer = self._signer
        if signer is not None and signer.private is not None:
            return jwt.encode(dict(claims), signer.private, signer.algorithm, headers={"kid": signer.kid})
        if self.jwt_secret is None:
            raise NoKey(None)
        return jwt.encode(dict(claims), self.jwt_secret, "HS256")

    def verifier(self, header: Mapping[str, Any]) -> tuple[Any, list[str]]:
        """The key for a token with this header, and what it may be signed by. Raises NoKey."""
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm in _SHARED:
            if self.jwt_secret is None:
                raise NoKey(None)
            return self.jwt_secret, list(_SHARED)
        for kty, algorithms in _BY_TYPE.items():
            if algorithm in algorithms:
                if not isinstance(kid, str):
                    raise NoKey(None)
                key = self._signing.get(kid)
                if key is None or key.kty != kty:
                    raise NoKey(kid)
                return key.public, [str(algorithm)]
        raise NoKey(None)


def _signing(document: dict[str, Any]) -> Signing:
    kty, kid = document.get("kty"), document.get("kid")
    if kty not in _PUBLIC or not isinstance(kid, str) or not kid:
        raise ValueError("a signing key is a JWK of type EC or RSA with a kid")
    algorithm = document.get("alg") or _BY_TYPE[kty][0]
    if algorithm not in _BY_TYPE[kty]:
        raise ValueError(f"a signing key of type {kty} does not sign by {algorithm}")
    public = {"kty": kty, **{name: document.get(name) for name in _PUBLIC[kty]}}
    try:
        public_key = jwt.PyJWK(public, algorithm).key
        private_key = jwt.PyJWK(document, algorithm).key if "d" in document else None
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"the signing key {kid}: {type(error).__name__}") from None
    shown = {**public, "kid": kid, "alg": algorithm, "use": "sig", "key_ops": ["verify"], "ext": True}
    return Signing(kid, kty, algorithm, public_key, private_key, shown)


def parse(jwt_secret: str | None, api_keys: str | None = None, signing_keys: str | None = None) -> Keyring:
    """From texts: api_keys a JSON object of roles by key, signing_keys a JSON array of JWKs. Raises ValueError for what is none."""
    roles = json.loads(api_keys) if api_keys else {}
    documents = json.loads(signing_keys) if signing_keys else []
    if not isinstance(roles, dict) or not isinstance(documents, list):
        raise ValueError("API keys are an object of roles by key, signing keys an array of JWKs")
    if not all(isinstance(document, dict) for document in documents):
        raise ValueError("a signing key is a JWK")
    return Keyring(jwt_secret or None, roles, documents)
