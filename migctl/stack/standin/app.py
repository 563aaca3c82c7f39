"""The parts put together: one aiohttp application, its pools and background work."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import psycopg
from aiohttp import web

from migctl.stack.standin import gateway
from migctl.stack.standin.admin import Admin
from migctl.stack.standin.auth import Tokens
from migctl.stack.standin.database import DatabaseDown, Pool, PoolTimeout, fetch
from migctl.stack.standin.faults import Faults
from migctl.stack.standin.keyring import Keyring
from migctl.stack.standin.limits import Limits
from migctl.stack.standin.realtime.authorize import Authorizer
from migctl.stack.standin.realtime.changes import Changes
from migctl.stack.standin.realtime.client import Parts
from migctl.stack.standin.realtime.http import BroadcastApi
from migctl.stack.standin.realtime.hub import Hub
from migctl.stack.standin.realtime.messages import Messages
from migctl.stack.standin.realtime.presence import Presence
from migctl.stack.standin.realtime.socket import Realtime
from migctl.stack.standin.rest.catalog import Catalog
from migctl.stack.standin.rest.handlers import Rest
from migctl.stack.standin.users.accounts import Accounts
from migctl.stack.standin.users.handlers import Auth

WORK = web.AppKey("work", asyncio.Task[None])
"""The background work. It never ends by itself; where it does, that is an error of ours."""


def build(*, dsn: str, keyring: Keyring, limits: Limits) -> web.Application:
    """The application. dsn: of a role that may replicate and passes row level security, as `postgres` does on Supabase.

    REST logs in as `authenticator` and Auth as `supabase_auth_admin`, with the same password.
    """
    tokens = Tokens(keyring)
    app = web.Application(client_max_size=limits.max_body_bytes, middlewares=[gateway.middleware(tokens)])
    owner = Pool(dsn, size=limits.pool_size, timeout_s=limits.pool_timeout_s)
    clients = Pool(dsn, size=limits.pool_size, timeout_s=limits.pool_timeout_s, user="authenticator")
    keepers = Pool(dsn, size=limits.pool_size, timeout_s=limits.pool_timeout_s, user="supabase_auth_admin")
    auth = Auth(Accounts(keepers), tokens, limits, time.time)
    rest = Rest(clients, tokens, Catalog(time.monotonic), limits, time.time)

    authorizer = Authorizer(owner)
    hub = Hub(limits)
    faults = Faults()
    changes = Changes(owner, dsn, limits, faults)
    messages = Messages(owner, dsn, hub, limits)
    parts = Parts(tokens, limits, hub, messages, Presence(), authorizer, changes, faults)
    realtime = Realtime(parts)

    async def health(request: web.Request) -> web.Response:
        try:
            async with owner.connection() as conn:
                await fetch(conn, "select 1")
        except (DatabaseDown, PoolTimeout, psycopg.Error) as error:
            return web.json_response({"status": "database away", "reason": str(error)}, status=503)
        return web.json_response({"status": "ok"})

    async def close_sockets(app: web.Application) -> None:
        await realtime.close()

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        work = asyncio.create_task(_all(changes.run(), messages.run(), messages.keep_partitions()))
        app[WORK] = work
        yield
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        await owner.close()
        await clients.close()
        await keepers.close()

    app.router.add_get("/health", health)
    app.add_routes(rest.routes())
    app.add_routes(auth.routes())
    app.add_routes(realtime.routes())
    app.add_routes(Admin(tokens, faults).routes())
    app.add_routes(BroadcastApi(tokens, hub, authorizer, limits).routes())
    app.on_shutdown.append(close_sockets)
    app.cleanup_ctx.append(lifetime)
    return app


async def _all(*work: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for each in work:
            tasks.create_task(each)
