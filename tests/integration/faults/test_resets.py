"""Connections that are reset the moment they are there, in a busy loop under uvloop: an outage, and no mistake of ours."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import uvloop

from migctl.config import Target
from migctl.errors import Transient
from migctl.faults import proxy_process
from migctl.stack.keys import Keys
from migctl.subscriber.gateway.serve_client import ServeClient
from migctl.subscriber.realtime.tables import Tables
from migctl.subscriber.realtime.token import Token
from migctl.target.rest import Rest
from migctl.transports.realtime.endpoint import Endpoint
from tests.kit.receiving import token_of

ATTEMPTS = 300


async def attempts(ask: Callable[[], Awaitable[object]]) -> Counter[str]:
    """What many at once, of a loop that has much else to do, come to."""
    found: Counter[str] = Counter()

    async def busy() -> None:
        while True:
            end = time.monotonic() + 0.003
            while time.monotonic() < end:
                pass
            await asyncio.sleep(0)

    async def one() -> None:
        for _ in range(ATTEMPTS // 50):
            try:
                await ask()
            except Transient as error:
                found["reset" if "connection was reset" in error.what else "transient"] += 1

    burning = asyncio.ensure_future(busy())
    try:
        await asyncio.gather(*(one() for _ in range(50)))
    finally:
        burning.cancel()
    return found


def test_a_connection_that_is_reset_at_once_is_transient_for_everyone(keys: Keys) -> None:
    async def all_of(target: Target) -> list[Counter[str]]:
        rest = Rest(target, "public")
        tables = Tables(target.supabase_url, target.need("anon_key"), "public", Token(token_of(target)))
        server = ServeClient(target.supabase_url)
        endpoint = Endpoint(target)
        try:
            return [
                await attempts(lambda: rest.get("read", "monitoring_events?limit=1")),
                await attempts(tables.heads),
                await attempts(server.assignment),
                await attempts(lambda: endpoint.post("topic", "events", b"{}")),
            ]
        finally:
            await rest.aclose()
            await tables.aclose()
            await server.aclose()
            await endpoint.aclose()

    with proxy_process(9) as proxy:
        proxy.do("refuse")
        target = Target(
            supabase_url=proxy.url,
            anon_key=keys.anon_key,
            service_role_key=keys.service_role_key,
            jwt_secret=keys.jwt_secret,
        )
        found = uvloop.run(all_of(target))
    assert [sum(counts.values()) for counts in found] == [ATTEMPTS] * 4
    # The rare case is met here at all: otherwise this test would prove nothing.
    assert sum(counts["reset"] for counts in found) > 0
