"""The target: the one Supabase project, embedded or hosted, that a command works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from migctl.config.settings import Settings, secret
from migctl.errors import Usage

Need = Literal["anon_key", "service_role_key", "jwt_secret", "database_url", "redis_url"]

_NAMES: dict[Need, str] = {
    "anon_key": "SUPABASE_ANON_KEY",
    "service_role_key": "SUPABASE_SERVICE_ROLE_KEY",
    "jwt_secret": "SUPABASE_JWT_SECRET",
    "database_url": "DATABASE_URL",
    "redis_url": "REDIS_URL",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Addresses and keys of one project. A part that is not known is None; `need` says how to give it."""

    supabase_url: str
    anon_key: str | None = None
    service_role_key: str | None = None
    jwt_secret: str | None = None
    database_url: str | None = None
    redis_url: str | None = None
    embedded: bool = False

    def need(self, name: Need) -> str:
        """A part that this command can't do without. Raises Usage that names the variable."""
        value: str | None = getattr(self, name)
        if not value:
            variable = _NAMES[name]
            raise Usage(
                f"{variable} is not set, and the target is {self.supabase_url}",
                do=f"export {variable}=... (or {variable}_FILE)",
            )
        return value

    @property
    def name(self) -> str:
        """What a message calls it: no secret in it."""
        if self.embedded:
            return f"the embedded stack at {self.supabase_url}"
        return self.supabase_url

    @property
    def database_name(self) -> str:
        """The database without user and password, for messages."""
        if not self.database_url:
            return "no database"
        parts = urlsplit(self.database_url)
        return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"

    def __repr__(self) -> str:  # keys never reach a log by accident
        return f"Target({self.name})"


def from_environment(settings: Settings, environ: Mapping[str, str] | None = None) -> Target | None:
    """The hosted target that the environment names, or None: then the embedded stack is meant."""
    if not settings.supabase.url:
        return None
    url = settings.supabase.url.rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise Usage(
            f"SUPABASE_URL: expected https://PROJECT.supabase.co, got {url!r}",
            do="set the address of the project",
        )
    return Target(
        supabase_url=url,
        anon_key=secret("SUPABASE_ANON_KEY", environ),
        service_role_key=secret("SUPABASE_SERVICE_ROLE_KEY", environ),
        jwt_secret=secret("SUPABASE_JWT_SECRET", environ),
        database_url=secret("DATABASE_URL", environ),
        redis_url=secret("REDIS_URL", environ),
    )
