"""Held tokens: those that a running `serve` goes by. The list may be read again, and each may be revoked.

What is revoked stays so over a restart, also where the list still has it: hashes in `revoked-tokens.json` of the state folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from migctl.config.files import make_private_folder, read_own, write_whole
from migctl.errors import Refused, Usage
from migctl.events.jsontext import loads
from migctl.server.access.tokens import PURPOSES, Token, Tokens

FILE = "revoked-tokens.json"


class HeldTokens:
    """Of one `serve`. listed: of MIGCTL_TOKENS. folder: keeps what is revoked; None: nothing does.

    Raises Usage for a file there that is none of ours.
    """

    def __init__(self, listed: Tokens = Tokens(), *, folder: Path | None = None) -> None:  # noqa: B008 - frozen
        self._path = folder / FILE if folder is not None else None
        self._revoked = self._read()
        self._own: tuple[Token, ...] = ()
        self._followers: list[Callable[[Sequence[str]], None]] = []
        self.listed = listed
        self.now = self._held()

    def follow(self, follower: Callable[[Sequence[str]], None]) -> None:
        """It is called with the names of tokens that open nothing any more."""
        self._followers.append(follower)

    def take(self, listed: Tokens) -> tuple[list[str], list[str]]:
        """Another list; what it adds, and what is gone with it, as `purpose:name`."""
        before = set(self.listed.known)
        self.listed = listed
        self._changed()
        after = set(listed.known)
        return _named(after - before), _named(before - after)

    def revoke(self, name: str, purpose: str | None = None) -> list[Token]:
        """Let nobody in by the tokens of this name, and of this purpose where it is given, from now on; those that it were.

        Raises Usage where none is so called, Refused where nobody could come in any more, or where it can't be kept.
        """
        if purpose is not None and purpose not in PURPOSES:
            raise Usage(f"{purpose}: no purpose of a token", do=f"one of {', '.join(PURPOSES)}")
        meant = [one for one in self.listed.known if one.name == name and purpose in (None, one.purpose)]
        gone = [one for one in meant if not self.is_revoked(one)]
        if not gone:
            known = ", ".join(_named(one for one in self.listed.known if not self.is_revoked(one))) or "none"
            raise Usage(
                f"no token is called {name}" + (f" with purpose {purpose}" if purpose else ""),
                do=f"there are: {known}",
            )
        revoked = self._revoked | {_key(one) for one in gone}
        self._keep(revoked)
        self._revoked = revoked
        self._changed()
        return gone

    def is_revoked(self, token: Token) -> bool:
        return _key(token) in self._revoked

    def __bool__(self) -> bool:
        return bool(self.now)

    @property
    def known(self) -> tuple[Token, ...]:
        """Those that hold now."""
        return self.now.known

    def match(self, presented: str) -> tuple[Token, ...]:
        """As `Tokens.match`, of those that hold now."""
        return self.now.match(presented)

    def own(self, token: Token) -> None:
        """One more that no list has, such as that of our witness."""
        self._own = (*self._own, token)
        self._changed()

    def _held(self) -> Tokens:
        known = (*(one for one in self.listed.known if not self.is_revoked(one)), *self._own)
        return Tokens(known, asks=bool(self.listed))

    def _changed(self) -> None:
        before, self.now = self.now, self._held()
        names = {one.name for one in before.known} - {one.name for one in self.now.known}
        if names:
            for follower in self._followers:
                follower(sorted(names))

    def _read(self) -> frozenset[str]:
        if self._path is None:
            return frozenset()
        try:
            found = loads(read_own(self._path))
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError):
            found = None
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise Usage(
                f"{self._path}: no list of revoked tokens",
                do="restore it, or delete it and revoke again what must not come in",
            )
        return frozenset(found)

    def _keep(self, revoked: frozenset[str]) -> None:
        if self._path is None:
            return
        try:
            make_private_folder(self._path.parent)
            write_whole(self._path, json.dumps(sorted(revoked)).encode())
        except OSError as error:
            raise Refused(
                f"{self._path}: can't be written: {error.strerror or error}; nothing was revoked",
                do="make room, and revoke again",
            ) from None


def _key(token: Token) -> str:
    return f"{token.purpose}:{token.digest}"


def _named(tokens: Iterable[Token]) -> list[str]:
    return sorted(f"{one.purpose}:{one.name}" for one in tokens)
