"""The target: the one Supabase project, embedded or hosted, that a command works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from migctl import redaction
from migctl.config import api_keys, database
from migctl.config.project_url import project_url
from migctl.config.secrets import secret
from migctl.errors import Usage

if TYPE_CHECKING:
    from migctl.config.settings import Settings

Need = Literal["anon_key", "service_role_key", "jwt_secret", "database_url", "redis_url"]

# Where a part has two, the first is of today's projects, and wins.
_NAMES: dict[Need, tuple[str, ...]] = {
    "anon_key": ("SUPABASE_PUBLISHABLE_KEY", "SUPABASE_ANON_KEY"),
    "service_role_key": ("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"),
    "jwt_secret": ("SUPABASE_JWT_SECRET",),
    "database_url": ("DATABASE_URL",),
    "redis_url": ("REDIS_URL",),
}


_OTHERS: Mapping[str, str] = {
    "supabase_url": "SUPABASE_URL",
    "jwt_secret": "SUPABASE_JWT_SECRET",
    "signing_key": "SUPABASE_SIGNING_KEY",
    "user_email": "SUPABASE_USER_EMAIL",
    "user_password": "SUPABASE_USER_PASSWORD",
    "access_token": "MIGCTL_ACCESS_TOKEN",
    "database_url": "DATABASE_URL",
    "redis_url": "REDIS_URL",
}


_REPLACEABLE = (
    "anon_key",
    "service_role_key",
    "jwt_secret",
    "signing_key",
    "user_email",
    "user_password",
    "access_token",
)
_CONNECTS = frozenset(("SUPABASE_URL", "DATABASE_URL", "REDIS_URL"))


@dataclass(slots=True)
class Target:
    """Addresses and keys of one project. A part that is not known is None; `need` says how to give it.

    Keys may be replaced while it is used: who asks the project reads them each time, and never keeps them.

    anon_key: what clients send, publishable or a JWT of role anon; service_role_key: what servers send, secret or a JWT of role
    service_role. Of those that make or get tokens of users (`migctl.target.authenticated` says in which order they count):
    jwt_secret: HS256; signing_key: a private JWK, as JSON; user_email, user_password: of a user of Supabase Auth; access_token: one
    that was handed over.
    """

    supabase_url: str
    anon_key: str | None = None
    service_role_key: str | None = None
    jwt_secret: str | None = None
    database_url: str | None = None
    redis_url: str | None = None
    embedded: bool = False
    signing_key: str | None = None
    user_email: str | None = None
    user_password: str | None = None
    access_token: str | None = None

    def __post_init__(self) -> None:
        keys = (self.anon_key, self.service_role_key, self.jwt_secret, self.signing_key)
        for key in (*keys, self.user_password, self.access_token):
            redaction.know(key)
        for address in (self.database_url, self.redis_url):
            redaction.know_address(address)

    def take(self, other: Target) -> tuple[str, ...]:
        """The other's keys from now on; the variables of those that changed. What connections are made with once stays."""
        changed = tuple(part for part in _REPLACEABLE if getattr(self, part) != getattr(other, part))
        before, after = self.variables(), other.variables()
        for part in changed:
            setattr(self, part, getattr(other, part))
        self.__post_init__()
        return tuple(
            sorted(name for name in {*before, *after} - _CONNECTS if before.get(name) != after.get(name))
        )

    def need(self, name: Need) -> str:
        """A part that this command can't do without. Raises Usage that names the variable."""
        value: str | None = getattr(self, name)
        if not value:
            variable, *older = _NAMES[name]
            missing = "".join(f"{old} is not set, and neither is " for old in older)
            raise Usage(
                f"{missing}{variable}{'' if older else ' is not set'}, and the target is {self.supabase_url}",
                do=f"export {variable}=... (or {variable}_FILE)",
            )
        return value

    def variables(self) -> dict[str, str]:
        """What the environment of a process says for it to work on this target; what is not known is left out."""
        names = {
            "anon_key": _NAMES["anon_key"][_is_of_before(self.anon_key)],
            "service_role_key": _NAMES["service_role_key"][_is_of_before(self.service_role_key)],
            **_OTHERS,
        }
        return {names[part]: value for part in names if (value := getattr(self, part))}

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
    url = project_url(settings.supabase.url)
    database_url = secret("DATABASE_URL", environ)
    if database_url is not None:
        database_url = database.mended(database_url)
        found = database.parameters(database_url)
        for key in ("password", "sslpassword"):
            redaction.know(found.get(key), but=(found.get("user"), found.get("dbname")))
    return Target(
        supabase_url=url,
        anon_key=_key("anon_key", "client", environ),
        service_role_key=_key("service_role_key", "server", environ),
        jwt_secret=secret("SUPABASE_JWT_SECRET", environ),
        database_url=database_url,
        redis_url=secret("REDIS_URL", environ),
        signing_key=secret("SUPABASE_SIGNING_KEY", environ),
        user_email=secret("SUPABASE_USER_EMAIL", environ),
        user_password=secret("SUPABASE_USER_PASSWORD", environ),
        access_token=secret("MIGCTL_ACCESS_TOKEN", environ),
    )


def _is_of_before(key: str | None) -> bool:
    return key is not None and api_keys.is_token(key)


def _key(name: Need, kind: api_keys.Kind, environ: Mapping[str, str] | None) -> str | None:
    """Raises Usage for a key of the other kind: a server's key would be handed to every dashboard."""
    for variable in _NAMES[name]:
        found = secret(variable, environ)
        if found is None:
            continue
        if api_keys.kind_of(found) not in (kind, None):
            other = "servers (secret, service_role)" if kind == "client" else "clients (publishable, anon)"
            raise Usage(
                f"{variable} holds a key for {other}",
                do="the two keys were taken for each other: copy the right one from the project's settings, API Keys",
            )
        return found
    return None
