"""How long ways are waited for that can't be attached: within the first readiness, or without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from migctl import clock
from migctl.errors import Transient
from migctl.events import Position
from migctl.stack.launcher import any_free_port
from migctl.subscriber.both import BothWays
from migctl.subscriber.core.assigned import Answer, Assigned
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.reader import Readiness
from migctl.subscriber.gateway.client import Address
from migctl.subscriber.gateway.serve_client import Assignment, Project, ServeClient
from migctl.subscriber.ways import Composed, GatewayOnly, Wishes

HERE = Position("a", 1)
Make = Callable[[Readiness[Position]], Composed]


def _nobody_there() -> tuple[ServeClient, Address, Flow]:
    server, flow = ServeClient(f"http://127.0.0.1:{any_free_port()}"), Flow()
    flow.start(HERE)
    return server, Address(server.ws_url, None), flow


def gateway_only(readiness: Readiness[Position]) -> Composed:
    return GatewayOnly(
        *_nobody_there(), readiness, Wishes(), Assigned(Answer("realtime")), better=lambda _: False
    )


def both_ways(
    readiness: Readiness[Position], own_token: Callable[[], Awaitable[str]] | None = None
) -> Composed:
    project = Project(f"http://127.0.0.1:{any_free_port()}", "anon", "public", "broadcast")
    assignment = Assignment(transport="realtime", epoch="a", access_token="token")
    return BothWays(
        *_nobody_there(), readiness, Wishes(), Assigned(Answer("realtime")), assignment, project, own_token
    )


@pytest.mark.parametrize("make", [gateway_only, both_ways])
async def test_what_was_never_ready_ends_once_it_waited_enough(make: Make) -> None:
    readiness: Readiness[Position] = Readiness(0.0)
    readiness.begin(clock.mono())
    with pytest.RaisesGroup(Transient):
        await make(readiness).run()


@pytest.mark.parametrize("make", [gateway_only, both_ways])
async def test_ways_that_are_changed_in_a_later_outage_wait_without_end(make: Make) -> None:
    readiness: Readiness[Position] = Readiness(0.0)
    readiness.begin(clock.mono())
    readiness.reach(HERE)
    running = asyncio.ensure_future(make(readiness).run())
    ended, _ = await asyncio.wait({running}, timeout=0.3)
    running.cancel()
    await asyncio.wait({running})
    assert not ended


async def test_tokens_of_ones_own_are_renewed_while_the_server_is_away() -> None:
    asked = asyncio.Event()

    async def own_token() -> str:
        asked.set()
        return "token"

    readiness: Readiness[Position] = Readiness(60.0)
    readiness.begin(clock.mono())
    running = asyncio.ensure_future(both_ways(readiness, own_token).run())
    try:
        async with asyncio.timeout(20):
            await asked.wait()
    finally:
        running.cancel()
        await asyncio.wait({running})
