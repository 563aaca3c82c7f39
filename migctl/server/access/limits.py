"""Limits: how many requests about flags a token may make a second. Who needs no token, on loopback without any, is not counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from migctl.clock import mono
from migctl.server.access.allowance import Allowances, retry_after
from migctl.server.access.guard import TOKEN
from migctl.server.access.rules import is_limited
from migctl.server.answers import refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def limits(allowances: Allowances) -> Middleware:
    """Stands behind the guard, which says whose token it is. What comes over the control socket has none."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        token = request.get(TOKEN)
        if token is not None and is_limited(request.path):
            wait_s = allowances.take(token.name, 1, mono())
            if wait_s:
                reason = f"more than {allowances.per_second:g} requests a second by {token.name!r}"
                return refusal(429, "rate", reason, headers={"Retry-After": retry_after(wait_s)})
        return await handler(request)

    return check
