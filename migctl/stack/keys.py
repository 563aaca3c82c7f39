"""Keys of one embedded stack: a JWT secret of its own, the API keys signed with it, and the passwords of its servers.

Made once per stack folder and kept (0600), so that a client's key outlives a restart. Loopback is open to every user of the
machine: who can't read this file can't enter.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path

from migctl import clock
from migctl.config.files import read_own
from migctl.errors import Usage
from migctl.stack.launcher import not_writable, write_private

_YEARS = 10


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What a project's API and database settings show. No key is in its repr.

    admin_password: of the database's superuser. database_password: of `postgres` and of `authenticator`, which REST logs in as.
    """

    jwt_secret: str
    anon_key: str
    service_role_key: str
    admin_password: str
    database_password: str
    valkey_password: str

    def __repr__(self) -> str:
        return "Keys(...)"

    @classmethod
    def fresh(cls, now: datetime) -> Keys:
        """A random secret, keys that are good for ten years from `now`, and random passwords."""
        return cls(*_signed(now), *(random_password() for _ in range(3)))

    def rotated(self, now: datetime) -> Keys:
        """Another random secret, and keys signed with it; the servers keep their passwords."""
        secret, anon_key, service_role_key = _signed(now)
        return replace(self, jwt_secret=secret, anon_key=anon_key, service_role_key=service_role_key)

    def keep(self, path: Path) -> None:
        """Put them into `path`, whole or not at all. Raises Usage where that can't be written."""
        write_private(path, json.dumps(asdict(self), indent=2))

    @classmethod
    def kept(cls, path: Path) -> Keys:
        """The keys in `path`; made, and written there, where they are missing.

        A file from before the servers had passwords keeps its keys, and gets some. Raises Usage for a file that is no keys file.
        """
        known = _read(path)
        keys = cls(**{**asdict(cls.fresh(clock.now())), **known})
        if len(known) < len(fields(cls)):
            keys.keep(path)
        return keys


def have_passwords(path: Path) -> bool:
    """Whether the keys in `path` hold passwords for the servers, as those of a stack from before don't."""
    return len(_read(path)) == len(fields(Keys))


def random_password() -> str:
    """Letters, digits, `-` and `_`: as it is in addresses, files and SQL."""
    return secrets.token_urlsafe(24)


def _read(path: Path) -> dict[str, str]:
    """What the file says of the fields of Keys: all of them, none where it is missing, or those from before the passwords."""
    try:
        text = read_own(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise not_writable(path, error) from None
    try:
        found = json.loads(text)
        known = {name: str(found[name]) for name in ("jwt_secret", "anon_key", "service_role_key")}
        passwords = ("admin_password", "database_password", "valkey_password")
        return {**known, **{name: str(found[name]) for name in passwords if found.get(name)}}
    except (ValueError, KeyError, TypeError):
        raise Usage(
            f"{path}: these are no keys of a stack",
            do="delete the file; `migctl stack up` makes new keys",
        ) from None


def _signed(now: datetime) -> tuple[str, str, str]:
    """A random secret, and the keys of `anon` and `service_role` that it signs."""
    secret = secrets.token_urlsafe(32)
    return secret, sign(secret, "anon", now), sign(secret, "service_role", now)


def sign(secret: str, role: str, now: datetime) -> str:
    """A JWT for `role` as a project's API keys are: HS256, long-lived."""
    import jwt

    claims = {"iss": "supabase", "role": role, "iat": now, "exp": now + timedelta(days=365 * _YEARS)}
    return jwt.encode(claims, secret, algorithm="HS256")
