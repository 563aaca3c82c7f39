"""Tokens: who may do what. Only their hashes are known here, each with a purpose and a name.

`MIGCTL_TOKENS` (or the file of `MIGCTL_TOKENS_FILE`, where lines part them too) lists `purpose:name:sha256hex`. Nothing that is
said about a list quotes it: an entry in the wrong form may be the token itself.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from migctl.errors import Usage
from migctl.transports.websocket.frames import TOKEN_PREFIX

Purpose = Literal["ingest", "subscribe", "evaluate", "admin"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}(@[A-Za-z0-9._-]{1,64})?")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Token:
    """purpose: what it opens. name: who has it, for logs; WHO@WHICH of several of theirs. digest: sha256 of its text, in hex."""

    purpose: Purpose
    name: str
    digest: str

    @property
    def owner(self) -> str:
        """Who has it, whichever of theirs it is: their limits and their keys of requests outlive a token that is replaced."""
        return self.name.partition("@")[0]

    @property
    def entry(self) -> str:
        """What stands in MIGCTL_TOKENS."""
        return f"{self.purpose}:{self.name}:{self.digest}"


@dataclass(frozen=True, slots=True)
class Tokens:
    """All tokens of one `serve`; false where there are none, and nobody is asked for one.

    asks: one is asked for although none is known: all were revoked.
    """

    known: tuple[Token, ...] = ()
    asks: bool = False

    def __bool__(self) -> bool:
        return bool(self.known) or self.asks

    def match(self, presented: str) -> tuple[Token, ...]:
        """The entries that this text is the token of: none where it is unknown, several where it has several purposes.

        Takes as long for a wrong token as for a right one.
        """
        digest = digest_of(presented)
        return tuple([token for token in self.known if hmac.compare_digest(token.digest, digest)])


def parse_tokens(text: str | None) -> Tokens:
    """Read the list. None: there are no tokens. Raises Usage that names the entry by number, and for a list without any."""
    if text is None:
        return Tokens()
    lines = [line.partition("#")[0] for line in text.splitlines()]
    entries = [entry.strip() for line in lines for entry in line.split(",")]
    known = tuple(_entry(number, entry) for number, entry in enumerate(filter(None, entries), start=1))
    if not known:
        raise _wrong("MIGCTL_TOKENS has no token in it")
    return Tokens(known)


def _entry(number: int, entry: str) -> Token:
    parts = entry.split(":")
    if len(parts) != 3:
        raise _wrong(f"MIGCTL_TOKENS: entry {number} is not purpose:name:sha256hex")
    purpose = next((one for one in PURPOSES if one == parts[0]), None)
    if purpose is None:
        raise _wrong(f"MIGCTL_TOKENS: entry {number}: the purpose is none of {', '.join(PURPOSES)}")
    check_name(parts[1], f"MIGCTL_TOKENS: entry {number}: the name")
    digest = parts[2].lower()
    if _DIGEST.fullmatch(digest) is None:
        raise _wrong(f"MIGCTL_TOKENS: entry {number}: the hash is not 64 hexadecimal digits")
    return Token(purpose, parts[1], digest)


def check_name(name: str, what: str) -> None:
    """Raises Usage where a token can't be called so."""
    if _NAME.fullmatch(name) is None:
        raise _wrong(
            f"{what} must be 1 to 64 letters, digits, dots, hyphens or underscores, and as many after an @"
        )


def mint_token(purpose: Purpose, name: str) -> tuple[str, Token]:
    """A new token: its text, which is kept nowhere, and its entry. Raises Usage for a name that can't be one."""
    check_name(name, "--name")
    text = f"migctl_{purpose}_{secrets.token_urlsafe(32)}"
    return text, Token(purpose, name, digest_of(text))


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def presented_in(authorization: str | None, subprotocols: Sequence[str]) -> str | None:
    """The token that a request brings: `Authorization: Bearer TOKEN`, or the subprotocol `migctl.token.TOKEN`. None: none."""
    if authorization is not None:
        scheme, _, text = authorization.strip().partition(" ")
        return text.strip() if scheme.lower() == "bearer" and text.strip() else None
    for offered in subprotocols:
        if offered.startswith(TOKEN_PREFIX):
            return offered.removeprefix(TOKEN_PREFIX)
    return None


def _wrong(what: str) -> Usage:
    return Usage(what, do="`migctl token mint --purpose PURPOSE --name NAME` prints an entry")
