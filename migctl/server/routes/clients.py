"""`GET /admin/clients`: every subscriber that this process has or had, for whoever decides whether the WebSocket may go."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from migctl.server.answers import answer
from migctl.status.clients import ClientsStatus

CLIENTS = "/admin/clients"


def client_routes(status: Callable[[], ClientsStatus]) -> list[web.RouteDef]:
    """status: asked for each answer."""

    async def clients(_: web.Request) -> web.StreamResponse:
        return answer(200, status())

    return [web.get(CLIENTS, clients)]
