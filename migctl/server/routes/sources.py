"""`GET /admin/sources`: who feeds this process, since when, and how much."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from migctl.server.answers import answer
from migctl.status.feeding import SourcesStatus


def source_routes(status: Callable[[], SourcesStatus]) -> list[web.RouteDef]:
    """status: asked for each answer."""

    async def sources(_: web.Request) -> web.StreamResponse:
        return answer(200, status())

    return [web.get("/admin/sources", sources)]
