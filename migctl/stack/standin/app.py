"""The parts put together: one aiohttp application, its pools and background work."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import psycopg
from aiohttp import web

from migctl.stack.standin import gateway
from migctl.stack.standin.auth import Tokens
from migctl.stack.standin.database import DatabaseDown, Pool, PoolTimeout, fetch
from migctl.stack.standin.limits import Limits
from migctl.stack.standin.rest.catalog import Catalog
from migctl.stack.standin.rest.handlers import Rest


def build(*, dsn: str, secret: str, limits: Limits) -> web.Application:
    """The application. dsn: of a role that may replicate and passes row level security, as `postgres` does on Supabase.

    REST logs in as `authenticator`, with the same password.
    """
    tokens = Tokens(secret)
    app = web.Application(client_max_size=limits.max_body_bytes, middlewares=[gateway.middleware(tokens)])
    owner = Pool(dsn, size=limits.pool_size, timeout_s=limits.pool_timeout_s)
    clients = Pool(dsn, size=limits.pool_size, timeout_s=limits.pool_timeout_s, user="authenticator")
    rest = Rest(clients, tokens, Catalog(time.monotonic), limits, time.time)

    async def health(request: web.Request) -> web.Response:
        try:
            async with owner.connection() as conn:
                await fetch(conn, "select 1")
        except (DatabaseDown, PoolTimeout, psycopg.Error) as error:
            return web.json_response({"status": "database away", "reason": str(error)}, status=503)
        return web.json_response({"status": "ok"})

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        yield
        await owner.close()
        await clients.close()

    app.router.add_get("/health", health)
    app.add_routes(rest.routes())
    app.cleanup_ctx.append(lifetime)
    return app
