"""Keys of one embedded stack: a JWT secret of its own, and the API keys signed with it.

Made once per stack folder and kept (0600), so that a client's key outlives a restart.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from migctl import clock
from migctl.errors import Usage
from migctl.stack.launcher import not_writable

_YEARS = 10


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What a project's API settings show. No key is in its repr."""

    jwt_secret: str
    anon_key: str
    service_role_key: str

    def __repr__(self) -> str:
        return "Keys(...)"

    @classmethod
    def fresh(cls, now: datetime) -> Keys:
        """A random secret, and keys that are good for ten years from `now`."""
        secret = secrets.token_urlsafe(32)
        return cls(secret, sign(secret, "anon", now), sign(secret, "service_role", now))

    @classmethod
    def kept(cls, path: Path) -> Keys:
        """The keys in `path`; made, and written there, where it is missing. Raises Usage for a file that is no keys file."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            keys = cls.fresh(clock.now())
            write_private(path, json.dumps(asdict(keys), indent=2))
            return keys
        except OSError as error:
            raise not_writable(path, error) from None
        try:
            found = json.loads(text)
            return cls(**{name: str(found[name]) for name in ("jwt_secret", "anon_key", "service_role_key")})
        except (ValueError, KeyError, TypeError):
            raise Usage(
                f"{path}: these are no keys of a stack",
                do="delete the file; `migctl stack up` makes new keys",
            ) from None


def sign(secret: str, role: str, now: datetime) -> str:
    """A JWT for `role` as a project's API keys are: HS256, long-lived."""
    import jwt

    claims = {"iss": "supabase", "role": role, "iat": now, "exp": now + timedelta(days=365 * _YEARS)}
    return jwt.encode(claims, secret, algorithm="HS256")


def write_private(path: Path, text: str) -> None:
    """Put `text` into `path` whole or not at all, readable by the owner only."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise not_writable(path, error) from None
