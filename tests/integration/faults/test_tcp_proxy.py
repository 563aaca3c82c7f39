"""The proxy that faults are made with: each does what its name says, or drills prove nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from migctl.faults import ProxyProcess, TcpProxy, proxy_process, tcp_proxy

DELAY_S = 0.05
CLOCK_S = 0.001  # the loop of the proxy's process counts milliseconds


@asynccontextmanager
async def server() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answers each line with itself, and notes what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(line)
            writer.write(line)
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 26)
    try:
        yield listener.sockets[0].getsockname()[1], heard
    finally:
        listener.close()


@asynccontextmanager
async def proxied(
    delay_s: float = 0.0,
) -> AsyncIterator[tuple[TcpProxy, list[bytes]]]:
    async with server() as (port, heard), tcp_proxy(port, delay_s=delay_s) as proxy:
        yield proxy, heard


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 26))

    async def ask(self, line: bytes) -> bytes:
        self.writer.write(line)
        async with asyncio.timeout(10):
            return await self.reader.readline()


async def test_a_delay_costs_a_round_trip_and_no_bandwidth() -> None:
    async with proxied(DELAY_S) as (proxy, _):
        client = await Client.to(proxy.port)
        await client.ask(b"the first one pays for the connection\n")
        began = time.monotonic()
        assert await client.ask(b"hello\n") == b"hello\n"
        assert time.monotonic() - began >= 2 * DELAY_S
        # In chunks of 64 KiB one after the other this would be 16 s.
        text = b"x" * (10 << 20) + b"\n"
        began = time.monotonic()
        assert await client.ask(text) == text
        assert time.monotonic() - began < 8


async def test_order_is_kept_when_the_delay_shrinks_on_the_way() -> None:
    async with proxied(0.3) as (proxy, heard):
        client = await Client.to(proxy.port)
        client.writer.write(b"slow\n")
        await asyncio.wait_for(client.writer.drain(), 1)
        while proxy.counts.bytes_up == 0:
            await asyncio.sleep(0.001)
        proxy.delay_s = 0.0
        assert await client.ask(b"quick\n") == b"slow\n"
        assert await client.reader.readline() == b"quick\n"
        assert heard == [b"slow\n", b"quick\n"]


async def test_who_is_refused_gets_a_reset_and_the_healed_let_in() -> None:
    async with proxied() as (proxy, heard):
        proxy.refuse()
        with pytest.raises(OSError):
            client = await Client.to(proxy.port)
            assert await client.ask(b"no\n") == b""
            raise ConnectionResetError
        proxy.heal()
        assert await (await Client.to(proxy.port)).ask(b"yes\n") == b"yes\n"
        assert heard == [b"yes\n"]


async def test_a_reset_cuts_what_is_open_and_nothing_that_comes() -> None:
    async with proxied() as (proxy, _):
        before = await Client.to(proxy.port)
        await before.ask(b"one\n")
        proxy.cut_all()
        with pytest.raises(ConnectionResetError):
            await before.ask(b"two\n")
        assert await (await Client.to(proxy.port)).ask(b"three\n") == b"three\n"


async def test_what_a_black_hole_took_from_a_connection_never_comes_back() -> None:
    async with proxied() as (proxy, heard):
        client, quiet = await Client.to(proxy.port), await Client.to(proxy.port)
        await client.ask(b"before\n")
        await quiet.ask(b"quiet\n")
        proxy.swallow()
        client.writer.write(b"gone\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.readline(), 0.2)
        proxy.heal()
        client.writer.write(b"gone too\n")
        assert await quiet.ask(b"said nothing in the meantime\n")
        assert await (await Client.to(proxy.port)).ask(b"new\n") == b"new\n"
        assert heard == [b"before\n", b"quiet\n", b"said nothing in the meantime\n", b"new\n"]


async def test_an_answer_that_is_lost_has_been_asked_for() -> None:
    async with proxied() as (proxy, heard):
        proxy.lose_answers_to(b"POST")
        assert await (await Client.to(proxy.port)).ask(b"GET\n") == b"GET\n"
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                await (await Client.to(proxy.port)).ask(b"POST\n")
        proxy.heal()
        assert await (await Client.to(proxy.port)).ask(b"POST\n") == b"POST\n"
        assert heard == [b"GET\n", b"POST\n", b"POST\n", b"POST\n"]
        assert proxy.counts.cuts == 2


async def test_a_cut_comes_in_the_middle_of_an_answer_and_once() -> None:
    async with proxied() as (proxy, _):
        proxy.cut_after(7)
        client = await Client.to(proxy.port)
        assert await client.ask(b"four\n") == b"four\n"
        assert await client.ask(b"five\n") == b"fi"
        assert await (await Client.to(proxy.port)).ask(b"whole again\n") == b"whole again\n"


async def test_the_end_of_a_stream_comes_after_what_was_sent_before_it() -> None:
    async with proxied(DELAY_S) as (proxy, heard):
        client = await Client.to(proxy.port)
        client.writer.write(b"last words\n")
        client.writer.write_eof()
        assert await client.reader.read() == b"last words\n"
        assert heard == [b"last words\n"]


@pytest.fixture
def process() -> Iterator[ProxyProcess]:
    with proxy_process(9, delay_s=DELAY_S) as proxy:  # nobody listens on the discard port
        yield proxy


def test_the_process_keeps_its_delay_and_obeys(process: ProxyProcess) -> None:
    assert min(process.ping(5)) >= 2 * DELAY_S - 2 * CLOCK_S
    process.do("delay", 0.0)
    assert min(process.ping(5)) < 2 * DELAY_S
    assert process.do("count").connections == 0
