"""Authenticated: who makes the tokens of subscribers. One order for every command:

| first that is set                                   | how                                                                        |
|-----------------------------------------------------|----------------------------------------------------------------------------|
| `SUPABASE_JWT_SECRET`                               | signed here with the secret that older projects share, HS256               |
| `SUPABASE_SIGNING_KEY`                              | signed here with a key that was imported into the project, ES256 or RS256  |
| `SUPABASE_USER_EMAIL`, `SUPABASE_USER_PASSWORD`     | a user of Supabase Auth signs in                                           |
| `realtime.token_command`                            | a program prints them                                                      |
| `MIGCTL_ACCESS_TOKEN`                               | one that was handed over, until it ends                                    |
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from migctl import clock
from migctl.config import Target
from migctl.config.roles import AUTHENTICATED
from migctl.errors import Transient, Usage
from migctl.target.auth_user import AuthUser
from migctl.target.minted import Minted
from migctl.target.renewed import usable
from migctl.target.signing import Signer, signer_of
from migctl.target.token_command import token_command_of

if TYPE_CHECKING:
    from migctl.config import Settings

TOKEN_TTL_S = 3600.0

_WAYS = (
    "set SUPABASE_JWT_SECRET (older projects), SUPABASE_SIGNING_KEY (a JWK of `supabase gen signing-key`, imported into the "
    "project), SUPABASE_USER_EMAIL and SUPABASE_USER_PASSWORD (a user of Supabase Auth), realtime.token_command (a program that "
    "prints tokens), or MIGCTL_ACCESS_TOKEN"
)


class Nobody(Usage):
    """Nothing is set that makes tokens."""


class Authenticated(Protocol):
    """Gives tokens of role authenticated."""

    @property
    def name(self) -> str:
        """Of the setting that was taken."""

    async def token(self, ttl_s: float = TOKEN_TTL_S, *, now: datetime | None = None) -> Minted:
        """A token that is good for a while. ttl_s: for how long, in seconds, where it is made here; now: from then on.

        Raises Transient or Systemic where there is none now.
        """


class Signed:
    """Signs them here."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.name = signer.name

    async def token(self, ttl_s: float = TOKEN_TTL_S, *, now: datetime | None = None) -> Minted:
        return self._signer.mint(AUTHENTICATED, ttl_s, now=now)


class Handed:
    """Has one, and never another. Raises Usage for one that nobody can use."""

    name = "MIGCTL_ACCESS_TOKEN"

    def __init__(self, text: str) -> None:
        found = usable(text)
        if isinstance(found, str):
            raise Usage(
                f"{self.name} is {found}", do="set a fresh access token of a user, or another way: " + _WAYS
            )
        self._minted = found

    async def token(self, ttl_s: float = TOKEN_TTL_S, *, now: datetime | None = None) -> Minted:
        if self._minted.ends_at <= clock.now():
            raise Transient(f"{self.name} has ended at {_moment(self._minted.ends_at)}", do="set a fresh one")
        return self._minted


class Current:
    """As the target and the settings say now: a target may get other keys while it is used."""

    def __init__(self, target: Target, settings: Settings, first: Authenticated) -> None:
        self._target = target
        self._settings = settings
        self._made, self._by = first, _parts(target)

    @property
    def name(self) -> str:
        return self._now().name

    async def token(self, ttl_s: float = TOKEN_TTL_S, *, now: datetime | None = None) -> Minted:
        return await self._now().token(ttl_s, now=now)

    def _now(self) -> Authenticated:
        """The last one goes on where the target says nothing that can be used."""
        if (by := _parts(self._target)) != self._by:
            self._by = by
            self._made = authenticated_of(self._target, self._settings) or self._made
        return self._made


def _parts(target: Target) -> tuple[str | None, ...]:
    of = target
    return (of.anon_key, of.jwt_secret, of.signing_key, of.user_email, of.user_password, of.access_token)


def authenticated_of(target: Target, settings: Settings | None = None) -> Authenticated | None:
    """None where no way is set. settings: may have a token command. Raises Usage for a way that can't be used."""
    signer = signer_of(target)
    if signer is not None:
        return Signed(signer)
    if target.user_email or target.user_password:
        for name, value in (("EMAIL", target.user_email), ("PASSWORD", target.user_password)):
            if not value:
                raise Usage(
                    f"SUPABASE_USER_{name} is not set, and its other half is",
                    do="set both, or unset both",
                )
        target.need("anon_key")
        return AuthUser(target)
    command = token_command_of(settings) if settings is not None else None
    if command is not None:
        return command
    return Handed(target.access_token) if target.access_token else None


def need_authenticated(target: Target, settings: Settings | None = None) -> Authenticated:
    """As `authenticated_of`. Raises Usage that names all the ways where none is set."""
    found = authenticated_of(target, settings)
    if found is None:
        raise Nobody(f"nothing here can make a token of role {AUTHENTICATED} for {target.name}", do=_WAYS)
    return found


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
