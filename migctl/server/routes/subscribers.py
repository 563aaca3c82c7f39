"""`GET /admin/subscribers`: who is attached to this process, and how far behind each is."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from migctl.server.answers import answer
from migctl.status.subscribers import SubscribersStatus


def subscriber_routes(status: Callable[[], SubscribersStatus]) -> list[web.RouteDef]:
    """status: asked for each answer."""

    async def subscribers(_: web.Request) -> web.StreamResponse:
        return answer(200, status())

    return [web.get("/admin/subscribers", subscribers)]
