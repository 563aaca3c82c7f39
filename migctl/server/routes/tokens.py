"""`/admin/tokens`: who has a token of a running `serve`, and how one is taken back at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from migctl.server.answers import answer
from migctl.server.routes.answering import answering

TOKENS = "/admin/tokens"
REVOKE = "/admin/tokens/revoke"


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """One of MIGCTL_TOKENS. hash: the first digits of its sha256. subscribers: sockets that are open with a token of this name."""

    purpose: str
    name: str
    hash: str
    revoked: bool
    subscribers: int


class TokensView(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, in the order of the list."""

    schema: str = "migctl.tokens/1"
    tokens: list[TokenView]


class RevokeToken(msgspec.Struct, kw_only=True):
    """Asks to take back the tokens of a name. purpose: those of this one alone; null is all. by: who asks, for the audit."""

    name: str
    by: str
    purpose: str | None = None
    reason: str = ""


class TokensRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """closed: sockets. unkept: why the audit does not know of it."""

    revoked: list[TokenView]
    closed: int
    unkept: str | None = None


def token_routes(
    view: Callable[[], TokensView], revoke: Callable[[RevokeToken], Awaitable[TokensRevoked]]
) -> list[web.RouteDef]:
    async def show(_: web.Request) -> web.StreamResponse:
        return answer(200, view())

    return [web.get(TOKENS, show), web.post(REVOKE, answering(RevokeToken, revoke))]
