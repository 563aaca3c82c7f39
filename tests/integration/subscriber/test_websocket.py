"""The WebSocket subscriber against a real gateway: restarts, a slow consumer, what can't be resumed, and strangers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve

from migctl import server
from migctl.config import Settings
from migctl.errors import Systemic, Transient, Usage
from migctl.events import Event, Position
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.launcher import any_free_port
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.release import Discontinuity
from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
from migctl.transports.websocket import Gateway
from tests.kit.conditions import until
from tests.kit.receiving import receiving
from tests.kit.served import event
from tests.kit.statuses import status_of


def events(count: int, data: bytes = b'{"n": 0.50}') -> list[Event]:
    return [event(data) for _ in range(count)]


@contextlib.asynccontextmanager
async def gateway_on(journal: SqliteJournal, port: int) -> AsyncIterator[str]:
    """A gateway over a journal that outlives it. Ends without draining: its sockets are cut."""
    gateway = Gateway(journal, heartbeat_s=0.2)
    app = server.build(
        journal=journal,
        gateway=gateway,
        settings=Settings(),
        status=lambda http: status_of(journal, gateway, http),
    )
    running = asyncio.create_task(gateway.run())
    try:
        async with server.listening(app, "127.0.0.1", port, shutdown_s=0.01) as listener:
            yield listener.ws_url
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_fresh_reader_gets_what_comes_after_its_hello_and_nothing_before(
    journal: SqliteJournal,
) -> None:
    before, after = events(3), events(40)
    await journal.append(before)
    async with (
        gateway_on(journal, any_free_port()) as url,
        WebsocketSubscriber(url) as subscriber,
        receiving(subscriber) as received,
    ):
        assert await subscriber.ready() == Position(journal.epoch, 3)
        await journal.append(after)
        await received.count(40)
        assert await subscriber.ask_head() == Position(journal.epoch, 43)
    assert received.ids == [one.id for one in after]
    first = received.releases[0]
    assert (first.data, first.via, first.seq, first.transport) == (b'{"n": 0.50}', "live", 4, "websocket")


async def test_gateway_that_goes_and_comes_again_costs_nothing_and_repeats_nothing(
    journal: SqliteJournal,
) -> None:
    port, sent = any_free_port(), []

    async def publish(count: int) -> None:
        batch = events(count)
        sent.extend(one.id for one in batch)
        await journal.append(batch)

    async with contextlib.AsyncExitStack() as stack:
        subscriber = WebsocketSubscriber(f"ws://127.0.0.1:{port}/ws")
        await stack.enter_async_context(subscriber)
        received = None
        for _ in range(3):
            async with gateway_on(journal, port):
                if received is None:
                    received = await stack.enter_async_context(receiving(subscriber))
                await until(lambda: subscriber.idle)
                await publish(60)
                await received.count(len(sent) - 30)
            await publish(25)
        async with gateway_on(journal, port):
            assert received is not None
            await received.count(len(sent))
    assert received.ids == sent
    assert {release.via for release in received.releases} == {"live", "resume"}
    assert subscriber.reconnects == 3
    assert received.gaps == []


async def test_reader_that_starts_at_a_position_gets_everything_after_it(journal: SqliteJournal) -> None:
    all_events = events(500)
    await journal.append(all_events)
    async with (
        gateway_on(journal, any_free_port()) as url,
        WebsocketSubscriber(url, position=Position(journal.epoch, 123)) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(377)
    assert received.ids == [one.id for one in all_events[123:]]
    assert {release.via for release in received.releases} == {"resume"}


async def test_slow_consumer_costs_bounded_memory_and_no_event(journal: SqliteJournal) -> None:
    bound = 1 << 18
    merge = Merge(max_buffer_bytes=bound)
    async with (
        gateway_on(journal, any_free_port()) as url,
        WebsocketSubscriber(url, merge=merge) as subscriber,
    ):
        await subscriber.ready()
        all_events = events(600, b'{"filler": "%b"}' % (b"x" * 20_000))
        for start in range(0, 600, 100):
            await journal.append(all_events[start : start + 100])
        await until(lambda: merge.bytes > bound - 30_000)
        assert merge.bytes <= bound
        async with receiving(subscriber) as received:
            await received.count(600)
    assert received.ids == [one.id for one in all_events]


async def test_position_of_another_epoch_is_a_discontinuity_and_all_that_is_kept_follows(
    journal: SqliteJournal,
) -> None:
    kept = events(5)
    await journal.append(kept)
    async with (
        gateway_on(journal, any_free_port()) as url,
        WebsocketSubscriber(url, position=Position("another", 9)) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(5)
    assert received.gaps == [
        Discontinuity(Position("another", 9), Position(journal.epoch, 0), "epoch", None, None)
    ]
    assert received.ids == [one.id for one in kept]


async def test_position_ahead_of_the_journal_is_a_discontinuity_and_goes_on_live(
    journal: SqliteJournal,
) -> None:
    await journal.append(events(5))
    async with (
        gateway_on(journal, any_free_port()) as url,
        WebsocketSubscriber(url, position=Position(journal.epoch, 9)) as subscriber,
        receiving(subscriber) as received,
    ):
        await until(lambda: received.gaps)
        await journal.append(events(3))
        await received.count(3)
    assert [gap.reason for gap in received.gaps] == ["ahead"]
    assert received.seqs == [6, 7, 8]


async def test_gateway_that_is_not_there_yet_is_waited_for(journal: SqliteJournal) -> None:
    port = any_free_port()
    async with WebsocketSubscriber(f"ws://127.0.0.1:{port}/ws") as subscriber:
        ready = asyncio.ensure_future(subscriber.ready())
        done, _ = await asyncio.wait({ready}, timeout=0.3)
        assert not done
        async with gateway_on(journal, port):
            assert await ready == Position(journal.epoch, 0)


async def test_gateway_that_never_comes_is_named(journal: SqliteJournal) -> None:
    port = any_free_port()
    async with WebsocketSubscriber(f"ws://127.0.0.1:{port}/ws", wait_s=0.2) as subscriber:
        with pytest.raises(Transient, match=f"127.0.0.1:{port}/ws.*Connect call failed|refused"):
            await subscriber.ready()


async def test_socket_that_goes_silent_is_left_and_resumed(journal: SqliteJournal) -> None:
    """A gateway whose process is stopped keeps its sockets open and says nothing. How long that may last, its hello said."""
    port = any_free_port()
    silent = asyncio.Event()

    async def mute(socket: ServerConnection) -> None:
        where = {"epoch": journal.epoch, "head": 0, "tail": 1, "resume": "fresh", "reason": None}
        data = {"v": 2, **where, "heartbeat_s": 0.1}
        await socket.send(json.dumps({"type": "sys.hello", "data": data, "timestamp": "t"}))
        await silent.wait()

    subscriber = WebsocketSubscriber(f"ws://127.0.0.1:{port}/ws")
    async with subscriber, serve(mute, "127.0.0.1", port) as mute_server:
        await subscriber.ready()
        mute_server.close(close_connections=False)
        async with gateway_on(journal, port), receiving(subscriber) as received:
            await journal.append(events(2))
            await received.count(2, within_s=5.0)  # 12.5 s for who does not listen to the hello
        silent.set()
    assert received.seqs == [1, 2]


async def test_socket_of_the_old_service_is_told_apart_from_a_gateway() -> None:
    async def old_service(socket: ServerConnection) -> None:
        await socket.send('{"type":"initial_stats","stats":{},"timestamp":"2025-10-23 15:11:01 AEDT"}')
        await socket.wait_closed()

    async with serve(old_service, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        async with WebsocketSubscriber(f"ws://127.0.0.1:{port}/ws") as subscriber:
            with pytest.raises(Usage, match="does not speak v2"):
                await subscriber.ready()


@pytest.mark.parametrize(
    ("status", "kind"), [(410, Systemic), (401, Systemic), (403, Systemic), (404, Usage), (200, Usage)]
)
async def test_refused_upgrade_is_told_by_what_it_means(status: int, kind: type[Exception]) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, text="because")

    app = web.Application()
    app.router.add_get("/ws", refuse)
    async with (
        server.listening(app, "127.0.0.1", 0, shutdown_s=0.01) as listener,
        WebsocketSubscriber(listener.ws_url) as subscriber,
    ):
        with pytest.raises(kind):
            await subscriber.ready()


@pytest.mark.parametrize("url", ["http://127.0.0.1/ws", "127.0.0.1:8080", "ws://", "ws://h:99999/ws"])
async def test_address_that_is_none_is_a_usage_error(url: str) -> None:
    with pytest.raises(Usage, match="no address of a WebSocket"):
        WebsocketSubscriber(url)
