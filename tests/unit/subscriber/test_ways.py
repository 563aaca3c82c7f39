"""How long ways are waited for that can't be attached: within the first readiness, or without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

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
from tests.kit.entries import event
from tests.kit.releases import release
from tests.kit.served import serving

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


async def test_ready_names_where_it_began_also_where_events_came_before_it_was_ready(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        await served.journal.append([event() for _ in range(4)])
        epoch = served.journal.epoch
        for both in (False, True):
            server, flow = ServeClient(served.url), Flow()
            flow.start(Position(epoch, 1))
            flow.offer([release(2, epoch), release(3, epoch)])
            parts = (server, Address(server.ws_url, None), flow)
            readiness: Readiness[Position] = Readiness(60.0)
            readiness.begin(clock.mono())
            assigned = Assigned(Answer("websocket"))
            project = Project(f"http://127.0.0.1:{any_free_port()}", "anon", "public", "broadcast")
            of_both = Assignment(transport="websocket", epoch=epoch, access_token="token")
            ways: Composed = (
                BothWays(*parts, readiness, Wishes(), assigned, of_both, project, None)
                if both
                else GatewayOnly(*parts, readiness, Wishes(), assigned, better=lambda _: False)
            )
            running = asyncio.ensure_future(ways.run())
            try:
                async with asyncio.timeout(60):
                    assert await readiness.wait() == Position(epoch, 1)
            finally:
                running.cancel()
                await asyncio.wait({running})
                await server.aclose()
