"""The target: the one Supabase project, embedded or hosted, that a command works on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from migctl import redaction
from migctl.config import database
from migctl.config.secrets import secret
from migctl.errors import Usage

if TYPE_CHECKING:
    from migctl.config.settings import Settings

_PROJECT_URL = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[\x21-\x7e]*)?")

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

    def __post_init__(self) -> None:
        for key in (self.anon_key, self.service_role_key, self.jwt_secret):
            redaction.know(key)
        for address in (self.database_url, self.redis_url):
            redaction.know_address(address)

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
        return database.name_of(self.database_url)

    def __repr__(self) -> str:  # keys never reach a log by accident
        return f"Target({self.name})"


def from_environment(settings: Settings, environ: Mapping[str, str] | None = None) -> Target | None:
    """The hosted target that the environment names, or None: then the embedded stack is meant."""
    if not settings.supabase.url:
        return None
    url = settings.supabase.url.rstrip("/")
    if "@" in url:  # not quoted: what is before it is a password
        raise Usage(
            "SUPABASE_URL: expected https://PROJECT.supabase.co, got an address with a user",
            do="set the address alone; the keys have variables of their own",
        )
    if _PROJECT_URL.fullmatch(url) is None:
        raise Usage(
            f"SUPABASE_URL: expected https://PROJECT.supabase.co, got {url!r}",
            do="set the address of the project",
        )
    database_url = secret("DATABASE_URL", environ)
    if database_url is not None:
        found = database.parameters(database_url)
        for key in ("password", "sslpassword"):
            redaction.know(found.get(key), but=(found.get("user"), found.get("dbname")))
    return Target(
        supabase_url=url,
        anon_key=secret("SUPABASE_ANON_KEY", environ),
        service_role_key=secret("SUPABASE_SERVICE_ROLE_KEY", environ),
        jwt_secret=secret("SUPABASE_JWT_SECRET", environ),
        database_url=database_url,
        redis_url=secret("REDIS_URL", environ),
    )
