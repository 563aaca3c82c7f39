"""Keys of one embedded stack: the API keys of a project, what signs its user tokens, and the passwords of its servers.

A project has keys of one kind or of both, and one kind is shown: `old` are two JWTs and the secret that signs them and users'
tokens; `new` are a publishable key, secret keys that can be deleted one by one, and a key of its own that signs users' tokens.

Made once per stack folder and kept (0600), so that a client's key outlives a restart. Loopback is open to every user of the
machine: who can't read this file can't enter.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from migctl import clock
from migctl.config.files import read_own
from migctl.errors import Usage
from migctl.events.jsontext import loads
from migctl.stack.launcher import not_writable, write_private

Kind = Literal["old", "new"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_YEARS = 10
_PASSWORDS = ("admin_password", "database_password", "valkey_password")
_OLD = ("jwt_secret", "anon_key", "service_role_key")
_NONE: dict[str, Any] = dict.fromkeys(_OLD)


class Credentials(NamedTuple):
    """What the stand-in goes by. api_keys: role by key `sb_...`. signing_keys: JWKs; the first signs users' tokens."""

    jwt_secret: str | None
    api_keys: Mapping[str, str] = {}
    signing_keys: tuple[str, ...] = ()


class Shown(NamedTuple):
    """What a client of the project is given: keys of one kind, and what signs tokens of `authenticated`."""

    anon_key: str | None
    service_role_key: str | None
    jwt_secret: str | None = None
    signing_key: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What a project's API and database settings show. No key is in its repr.

    jwt_secret, anon_key, service_role_key: all, or none of them in a project that has new keys alone.
    signing_keys: private JWKs as `supabase gen signing-key` writes them.
    admin_password: of the database's superuser. database_password: of `postgres` and of the roles that the APIs log in as.
    """

    admin_password: str
    database_password: str
    valkey_password: str
    kind: Kind = "old"
    jwt_secret: str | None = None
    anon_key: str | None = None
    service_role_key: str | None = None
    publishable_key: str | None = None
    secret_keys: tuple[str, ...] = ()
    signing_keys: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Keys(...)"

    @classmethod
    def fresh(cls, now: datetime, kind: Kind = "old") -> Keys:
        """Random keys of one kind, those with an end good for ten years from `now`, and random passwords."""
        return cls(random_password(), random_password(), random_password()).showing(kind, now)

    def showing(self, kind: Kind, now: datetime) -> Keys:
        """The same, with keys of this kind shown: those that are there, or else random ones beside the others."""
        if kind == "old" and self.jwt_secret is None:
            return replace(self, kind=kind, **_old(now))
        if kind == "new" and not self.signing_keys:
            return replace(self, kind=kind, **_new())
        return replace(self, kind=kind)

    def rotated(self, now: datetime) -> Keys:
        """Other random keys of the kind that is shown, and none of the other kind; the servers keep their passwords."""
        bare = Keys(self.admin_password, self.database_password, self.valkey_password)
        return bare.showing(self.kind, now)

    def with_secret_key(self) -> Keys:
        """One secret key more; the first stays the one that is shown."""
        return replace(self, secret_keys=(*self.secret_keys, _api_key("secret")))

    def without_secret_key(self, key: str) -> Keys:
        """This one deleted. Raises Usage where there is no such key, or no other."""
        left = tuple(one for one in self.secret_keys if one != key)
        if not left or len(left) == len(self.secret_keys):
            raise Usage(
                "a secret key that is deleted is one of several",
                do="make another one first, and name one that the stack has",
            )
        return replace(self, secret_keys=left)

    @property
    def shown(self) -> Shown:
        if self.kind == "old":
            return Shown(self.anon_key, self.service_role_key, jwt_secret=self.jwt_secret)
        return Shown(
            self.publishable_key,
            next(iter(self.secret_keys), None),
            signing_key=next(iter(self.signing_keys), None),
        )

    @property
    def credentials(self) -> Credentials:
        """All that there is, of both kinds."""
        roles = dict.fromkeys(self.secret_keys, "service_role")
        if self.publishable_key is not None:
            roles[self.publishable_key] = "anon"
        return Credentials(self.jwt_secret, roles, self.signing_keys)

    def keep(self, path: Path) -> None:
        """Put them into `path`, whole or not at all. Raises Usage where that can't be written."""
        document = asdict(self) | {"signing_keys": [json.loads(key) for key in self.signing_keys]}
        there = {
            name: value for name, value in document.items() if value and (name, value) != ("kind", "old")
        }
        write_private(path, json.dumps(there, indent=2))

    @classmethod
    def kept(cls, path: Path, kind: Kind | None = None) -> Keys:
        """The keys in `path`; they are made, and written there, where they are missing.

        kind: those that are shown from now on; None: as before, and old ones at first. A file from before the servers had
        passwords keeps its keys, and gets some. Raises Usage for a file that is no keys file.
        """
        known = _read(path)
        now = clock.now()
        keys = replace(cls.fresh(now), **(_NONE | known)) if known else cls.fresh(now, kind or "old")
        keys = keys.showing(kind or keys.kind, now)
        if any(known.get(name) != getattr(keys, name) for name in (*_PASSWORDS, "kind")):
            keys.keep(path)
        return keys


def have_passwords(path: Path) -> bool:
    """Whether the keys in `path` hold passwords for the servers, as those of a stack from before don't."""
    known = _read(path)
    return all(known.get(name) for name in _PASSWORDS)


def kind_in(path: Path) -> Kind | None:
    """Which kind the keys in `path` show; None where there are none."""
    kind: Kind | None = _read(path).get("kind")
    return kind


def random_password() -> str:
    """Letters, digits, `-` and `_`: as it is in addresses, files and SQL."""
    return secrets.token_urlsafe(24)


def _read(path: Path) -> dict[str, Any]:
    """What the file says of the fields of Keys; nothing where it is missing."""
    try:
        text = read_own(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise not_writable(path, error) from None
    try:
        return _fields(loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Usage(
            f"{path}: these are no keys of a stack",
            do="delete the file; `migctl stack up` makes new keys",
        ) from None


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    """Those of a file of any age: the oldest has neither passwords nor a kind."""
    kind = found.get("kind", "old")
    if kind not in KINDS:
        raise ValueError(kind)
    known: dict[str, Any] = {"kind": kind}
    if kind == "old" or found.get("jwt_secret"):
        known |= {name: str(found[name]) for name in _OLD}
    if kind == "new" or found.get("signing_keys"):
        known |= {
            "publishable_key": str(found["publishable_key"]),
            "secret_keys": tuple(str(key) for key in found["secret_keys"]),
            "signing_keys": tuple(json.dumps(dict(key)) for key in found["signing_keys"]),
        }
    return known | {name: str(found[name]) for name in _PASSWORDS if found.get(name)}


def _old(now: datetime) -> dict[str, Any]:
    """A random secret, and the keys of `anon` and `service_role` that it signs."""
    secret = secrets.token_urlsafe(32)
    signed = (secret, sign(secret, "anon", now), sign(secret, "service_role", now))
    return dict(zip(_OLD, signed, strict=True))


def _new() -> dict[str, Any]:
    return {
        "publishable_key": _api_key("publishable"),
        "secret_keys": (_api_key("secret"),),
        "signing_keys": (signing_key(),),
    }


def _api_key(kind: str) -> str:
    """Of the form that a project's have."""
    return f"sb_{kind}_{secrets.token_urlsafe(16)}_{secrets.token_urlsafe(6)}"


def signing_key() -> str:
    """A private JWK for ES256, as `supabase gen signing-key` writes it."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from jwt.algorithms import ECAlgorithm

    made = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    document = {
        "kty": "EC",
        "kid": str(uuid.uuid4()),
        "use": "sig",
        "key_ops": ["sign", "verify"],
        "alg": "ES256",
        "ext": True,
        **{name: made[name] for name in ("d", "crv", "x", "y")},
    }
    return json.dumps(document)


def sign(secret: str, role: str, now: datetime) -> str:
    """A JWT for `role` as a project's API keys are: HS256, long-lived."""
    import jwt

    claims = {"iss": "supabase", "role": role, "iat": now, "exp": now + timedelta(days=365 * _YEARS)}
    return jwt.encode(claims, secret, algorithm="HS256")
