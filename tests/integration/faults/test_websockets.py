"""Toxics on WebSockets whose pings and pongs never stop, of client and server: what holds quiet connections must hold these too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, WebSocketException

from migctl.faults import TcpProxy, Toxic, tcp_proxy
from migctl.faults.toxics import STREAMS, Stream

# Many of them within each test, and no answer in time is no reason to close: only the toxic is.
PING_S = 0.02
DEADLINE_S = 20.0

both = pytest.mark.parametrize("stream", STREAMS)


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def proxied() -> AsyncIterator[TcpProxy]:
    async with (
        serve(_echo, "127.0.0.1", 0, ping_interval=PING_S, ping_timeout=None, close_timeout=0.1) as server,
        tcp_proxy(next(iter(server.sockets)).getsockname()[1]) as proxy,
    ):
        yield proxy


def opening(proxy: TcpProxy) -> connect:
    return connect(
        f"ws://127.0.0.1:{proxy.port}", proxy=None, ping_interval=PING_S, ping_timeout=None, close_timeout=0.1
    )


async def ask(connection: ClientConnection, text: str = "hello") -> None:
    await connection.send(text)
    async with asyncio.timeout(DEADLINE_S):
        assert await connection.recv() == text


async def lost_after_s(connection: ClientConnection) -> float:
    """Seconds until it is closed, from now. Nothing is received meanwhile."""
    began = time.monotonic()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(ConnectionClosed):
            raise AssertionError(f"received {await connection.recv()!r}")
    return time.monotonic() - began


async def stays(connection: ClientConnection, for_s: float) -> None:
    """It is open, and nothing comes."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection.recv(), for_s)


@both
async def test_a_timeout_closes_after_its_time_though_pings_go_on(stream: Stream) -> None:
    async with proxied() as proxy, opening(proxy) as before:
        await ask(before)
        proxy.add(Toxic("timeout", {"timeout": 400}, stream))
        taken_s = await lost_after_s(before)
        assert 0.35 <= taken_s < 2.0  # not put off by each ping
        proxy.remove(f"timeout_{stream}")
        async with opening(proxy) as after:
            await ask(after)


@both
async def test_a_black_hole_lets_no_ping_through_and_holds_until_it_is_removed(stream: Stream) -> None:
    async with proxied() as proxy, opening(proxy) as before:
        await ask(before)
        proxy.add(Toxic("timeout", {"timeout": 0}, stream))
        pong = await before.ping()
        await before.send("into the hole")
        await stays(before, 20 * PING_S)
        assert not pong.done()
        proxy.remove(f"timeout_{stream}")
        proxy.close_lost()
        assert await lost_after_s(before) < DEADLINE_S
        async with opening(proxy) as after:
            await ask(after)


@both
async def test_a_reset_comes_after_its_time_and_who_comes_when_it_is_gone_is_let_in(stream: Stream) -> None:
    async with proxied() as proxy, opening(proxy) as before:
        await ask(before)
        proxy.add(Toxic("reset_peer", {"timeout": 300}, stream))
        taken_s = await lost_after_s(before)
        assert 0.25 <= taken_s < 2.0
        with pytest.raises((OSError, WebSocketException)):
            async with opening(proxy):  # its handshake is what is reset
                pass
        proxy.remove(f"reset_peer_{stream}")
        async with opening(proxy) as after:
            await ask(after)
            await asyncio.wait_for(await after.ping(), DEADLINE_S)


@both
async def test_a_toxicity_of_1_catches_every_socket_whether_it_was_there_or_comes(stream: Stream) -> None:
    async with proxied() as proxy:
        before = [await opening(proxy) for _ in range(20)]
        for connection in before:
            await ask(connection)
        proxy.add(Toxic("timeout", {"timeout": 200}, stream))
        after = [asyncio.ensure_future(opening(proxy).__aenter__()) for _ in range(20)]
        assert max(await asyncio.gather(*map(lost_after_s, before))) < DEADLINE_S
        results = await asyncio.gather(*after, return_exceptions=True)
        assert [one for one in results if not isinstance(one, OSError | WebSocketException)] == []
        assert proxy.counts.open == 0


@both
@pytest.mark.parametrize(
    "kind", ["timeout", "reset_peer", "limit_data", "latency", "bandwidth", "slow_close"]
)
async def test_a_toxicity_of_0_leaves_every_socket_alone(kind: str, stream: Stream) -> None:
    async with proxied() as proxy, opening(proxy) as before:
        await ask(before)
        proxy.add(Toxic(kind, stream=stream, toxicity=0.0))  # type: ignore[arg-type]
        async with opening(proxy) as after:
            for connection in (before, after):
                for _ in range(5):
                    await ask(connection)
                    await asyncio.wait_for(await connection.ping(), DEADLINE_S)
        proxy.change(f"{kind}_{stream}", {}, 0.0)
        await ask(before)


@both
async def test_a_toxicity_that_falls_to_0_lets_those_go_on_that_lost_nothing(stream: Stream) -> None:
    async with proxied() as proxy, opening(proxy) as connection:
        await ask(connection)
        proxy.add(Toxic("latency", {"latency": 300}, stream))
        began = time.monotonic()
        await ask(connection)
        assert time.monotonic() - began >= 0.25
        proxy.change(f"latency_{stream}", {}, 0.0)
        await ask(connection)  # what was held flows on
        began = time.monotonic()
        await ask(connection)
        assert time.monotonic() - began < 0.25
