"""Tokens of a running `serve`: who has one, and one taken back, from inside it and from outside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TypeVar

import msgspec

from migctl.runtime.change_log import ChangeLog
from migctl.serve_client import Answer
from migctl.serve_client.control import reached, understood
from migctl.serve_client.errors import NotUnderstood
from migctl.server.access.held import HeldTokens
from migctl.server.access.tokens import Token
from migctl.server.routes.tokens import REVOKE, TOKENS, RevokeToken, TokensRevoked, TokensView, TokenView
from migctl.transports.websocket import Gateway

HASH_DIGITS = 12
T = TypeVar("T")


class TokenDesk:
    """Of one `serve`. gateway: None in mode realtime."""

    def __init__(self, held: HeldTokens, gateway: Gateway | None, changes: ChangeLog) -> None:
        self._held = held
        self._gateway = gateway
        self._changes = changes

    def view(self) -> TokensView:
        return TokensView(tokens=[self._view(one) for one in self._held.listed.known])

    async def revoke(self, asked: RevokeToken) -> TokensRevoked:
        """Raises Usage where there is none, Refused where it can't be kept."""
        open_ = self._subscribers()
        gone = self._held.revoke(asked.name, asked.purpose)
        shown = [self._view(one) for one in gone]
        closed = 0 if any(one.name == asked.name for one in self._held.now.known) else open_[asked.name]
        unkept = None
        try:
            self._changes.add(
                by=asked.by, act="revoke", name=asked.name, before=[one.entry for one in gone], after=None, reason=asked.reason
            )  # fmt: skip
        except OSError as error:
            unkept = f"the audit can't be written: {error.strerror or error}"
        return TokensRevoked(revoked=shown, closed=closed, unkept=unkept)

    def _view(self, token: Token) -> TokenView:
        return TokenView(
            purpose=token.purpose,
            name=token.name,
            hash=token.digest[:HASH_DIGITS],
            revoked=self._held.is_revoked(token),
            subscribers=self._subscribers()[token.name],
        )

    def _subscribers(self) -> Counter[str | None]:
        clients = self._gateway.clients() if self._gateway is not None else []
        return Counter(one.token for one in clients if one.connected)


async def tokens_of(folder: Path) -> TokensView:
    """Of the `serve` of this state folder. Raises NotRunning, NotUnderstood."""
    async with reached(folder) as http:
        return _understood(await http.get(TOKENS), TokensView)


async def revoke_of(folder: Path, asked: RevokeToken) -> TokensRevoked:
    """Raises NotRunning, and what `TokenDesk.revoke` does."""
    async with reached(folder) as http:
        return _understood(await http.post(REVOKE, msgspec.json.encode(asked)), TokensRevoked)


def _understood(answer: Answer, shape: type[T]) -> T:
    lacking = NotUnderstood(
        "this serve is of a version whose tokens can't be asked for",
        do="start it again with this version of migctl",
    )
    return understood(answer, shape, lacking=lacking)
