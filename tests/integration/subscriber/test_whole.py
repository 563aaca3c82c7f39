"""The whole subscriber, with a gateway and a stand-in that die and come back while events go on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import migctl
from migctl import clock
from migctl.config import Target
from migctl.events import Position
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.standin_process import StandinProcess
from tests.kit.conditions import until
from tests.kit.deployed import deployed
from tests.kit.entries import event
from tests.kit.receiving import Received, receiving

QUICK: dict[str, Any] = {"gone_s": 0.5, "hold_s": 0.6, "spread_s": 0.1}


@contextlib.asynccontextmanager
async def events_going_on(journal: SqliteJournal) -> AsyncIterator[None]:
    """A hundred a second, for the length of the block."""

    async def publish() -> None:
        while True:
            await journal.append([event()])
            await asyncio.sleep(0.01)

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def whole(received: Received, journal: SqliteJournal, after: int = 0) -> None:
    """Wait for the head; then everything after `after` was released, in order, each id once."""
    await received.count(journal.head - after)
    entries = await journal.read(after, limit=100_000)
    assert received.seqs == list(range(after + 1, journal.head + 1))
    assert received.ids == [entry.event.id for entry in entries]
    assert received.gaps == []


async def test_assigned_realtime_falls_back_to_the_gateway_when_the_target_is_killed_and_returns(
    process: StandinProcess, target: Target, journal: SqliteJournal
) -> None:
    async with (
        deployed(journal, target, assigned="realtime") as server,
        migctl.Subscriber(server.url, heartbeat_s=5.0, **QUICK) as subscriber,
        receiving(subscriber) as received,
    ):
        assert await subscriber.ready() == Position(journal.epoch, 0)
        async with events_going_on(journal):
            await received.count(50)
            assert {release.transport for release in received.releases} == {"realtime"}
            process.send(signal.SIGKILL)
            await asyncio.to_thread(process.wait, 5.0)
            killed_at = clock.mono()
            before = journal.head
            await until(lambda: received.seqs[-1] > before)
            assert clock.mono() - killed_at < 5.0
            assert subscriber.attached == {"websocket"}
            process.begin()
            await asyncio.to_thread(process.wait_ready)
            await until(lambda: subscriber.attached == {"websocket", "realtime"})
            await until(lambda: subscriber.attached == {"realtime"})
            count = len(received.releases)
            await received.count(count + 30)
            assert received.releases[-1].transport == "realtime"
        await whole(received, journal)


async def test_assigned_websocket_is_bridged_over_realtime_and_the_tables_and_returns(
    process: StandinProcess, target: Target, journal: SqliteJournal
) -> None:
    await journal.append([event() for _ in range(20)])
    async with (
        deployed(journal, target, assigned="websocket") as server,
        migctl.Subscriber(server.url, **QUICK) as subscriber,
        receiving(subscriber) as received,
    ):
        assert await subscriber.ready() == Position(journal.epoch, 20)
        async with events_going_on(journal):
            await received.count(50)
            assert {release.transport for release in received.releases} == {"websocket"}
            await server.stop_gateway()
            before = journal.head
            await until(lambda: received.seqs[-1] > before + 20)
            assert subscriber.attached == {"realtime"}
            missed = [release for release in received.releases if release.via == "table"]
            assert missed, "what came while nothing was attached is in the tables only"
            await server.start_gateway()
            await until(lambda: subscriber.attached == {"websocket"})
            count = len(received.releases)
            await received.count(count + 30)
            assert received.releases[-1].transport == "websocket"
        await whole(received, journal, after=20)
