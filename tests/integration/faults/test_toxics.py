"""Toxics on real sockets: who is there gets them as who comes, and they go again."""

from __future__ import annotations

import asyncio
import time

import pytest

from migctl.faults import Toxic, proxy_process
from tests.integration.faults.test_tcp_proxy import Client, proxied, server
from tests.kit.conditions import until


async def vanishes(client: Client) -> bool:
    """Whether what is sent now is not answered; the connection stays."""
    client.writer.write(b"anybody?\n")
    try:
        return await asyncio.wait_for(client.reader.readline(), 0.3) is None
    except TimeoutError:
        return True


async def test_a_latency_holds_for_the_connections_that_are_open_and_goes_again() -> None:
    async with proxied() as (proxy, _):
        client = await Client.to(proxy.port)
        await client.ask(b"one\n")
        for stream in ("upstream", "downstream"):
            proxy.add(Toxic("latency", {"latency": 100}, stream))  # type: ignore[arg-type]
        began = time.monotonic()
        await client.ask(b"two\n")
        assert time.monotonic() - began >= 0.2
        proxy.remove("latency_upstream")
        proxy.remove("latency_downstream")
        assert proxy.toxics == []
        began = time.monotonic()
        await client.ask(b"three\n")
        assert time.monotonic() - began < 0.2


async def test_a_full_toxicity_catches_every_connection_and_none_catches_none() -> None:
    async with proxied() as (proxy, _):
        before = [await Client.to(proxy.port) for _ in range(20)]
        for client in before:
            await client.ask(b"there\n")
        proxy.add(Toxic("timeout", toxicity=0.0, name="nobody"))
        for client in [*before, await Client.to(proxy.port)]:
            assert await client.ask(b"still there\n") == b"still there\n"
        proxy.change("nobody", {}, 1.0)
        everyone = [*before, *[await Client.to(proxy.port) for _ in range(20)]]
        assert all(await asyncio.gather(*map(vanishes, everyone)))


async def test_a_half_toxicity_is_drawn_for_each_connection() -> None:
    async with proxied() as (proxy, _):
        before = [await Client.to(proxy.port) for _ in range(40)]
        for client in before:
            await client.ask(b"there\n")
        proxy.add(Toxic("timeout", toxicity=0.5))
        caught = sum(await asyncio.gather(*map(vanishes, before)))
        assert 0 < caught < 40  # else a coin fell 40 times on the same side


async def test_a_timeout_closes_what_is_open_and_what_comes() -> None:
    async with proxied() as (proxy, heard):
        before = await Client.to(proxy.port)
        await before.ask(b"one\n")
        proxy.add(Toxic("timeout", {"timeout": 100}))
        assert await before.ask(b"two\n") == b""
        assert await (await Client.to(proxy.port)).ask(b"three\n") == b""
        assert heard == [b"one\n", b"two\n", b"three\n"]
        await until(lambda: proxy.counts.open == 0)


async def test_a_reset_reaches_who_is_open_and_says_nothing_and_whose_answer_it_was() -> None:
    async with proxied() as (proxy, heard):
        quiet = await Client.to(proxy.port)
        await quiet.ask(b"one\n")
        proxy.add(Toxic("reset_peer"))
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(quiet.reader.readline(), 10)
        # A new one is reset by its first answer: what it asked for has been done.
        with pytest.raises(ConnectionResetError):
            await (await Client.to(proxy.port)).ask(b"two\n")
        proxy.remove("reset_peer_downstream")
        assert await (await Client.to(proxy.port)).ask(b"three\n") == b"three\n"
        assert heard == [b"one\n", b"two\n", b"three\n"]


async def test_a_bandwidth_slows_and_gives_back_what_it_held() -> None:
    async with proxied() as (proxy, _):
        client = await Client.to(proxy.port)
        proxy.add(Toxic("bandwidth", {"rate": 100}))
        text = b"x" * 50_000 + b"\n"
        began = time.monotonic()
        assert await client.ask(text) == text
        assert time.monotonic() - began >= 0.5
        proxy.change("bandwidth_downstream", {"rate": 0})
        waiting = asyncio.ensure_future(client.ask(b"x" * 5_000_000 + b"\n"))
        await until(lambda: proxy.counts.bytes_up > 1_000_000)
        proxy.remove("bandwidth_downstream")
        assert len(await waiting) == 5_000_001


async def test_a_limit_closes_in_the_middle_of_each_connection() -> None:
    async with proxied() as (proxy, _):
        proxy.add(Toxic("limit_data", {"bytes": 7}))
        for _ in range(2):
            client = await Client.to(proxy.port)
            assert await client.ask(b"four\n") == b"four\n"
            assert await client.ask(b"five\n") == b"fi"


async def test_slices_come_whole_and_in_order() -> None:
    async with proxied() as (proxy, _):
        proxy.add(Toxic("slicer", {"average_size": 100, "size_variation": 50, "delay": 10}, "upstream"))
        proxy.add(Toxic("slicer", {"average_size": 7, "size_variation": 3}))
        text = bytes(33 + at % 90 for at in range(20_000)) + b"\n"
        assert await (await Client.to(proxy.port)).ask(text) == text


@pytest.mark.parametrize("resets", [False, True])
async def test_the_server_learns_late_of_a_slow_close(resets: bool) -> None:
    async with proxied() as (proxy, _):
        proxy.add(Toxic("slow_close", {"delay": 300}, "upstream"))
        client = await Client.to(proxy.port)
        await client.ask(b"one\n")
        began = time.monotonic()
        if resets:
            client.writer.transport.abort()
        else:
            client.writer.close()
        await until(lambda: proxy.counts.open == 0)
        assert time.monotonic() - began >= 0.3


async def test_who_is_not_enabled_refuses_cuts_and_keeps_its_port() -> None:
    async with proxied() as (proxy, _):
        client = await Client.to(proxy.port)
        await client.ask(b"one\n")
        port = proxy.port
        await proxy.enable(False)
        assert not proxy.enabled
        with pytest.raises(ConnectionResetError):
            await client.ask(b"two\n")
        with pytest.raises(ConnectionRefusedError):
            await Client.to(port)
        with pytest.raises(OSError):  # it is nobody else's
            await asyncio.start_server(lambda *_: None, "127.0.0.1", port, reuse_address=False)
        await proxy.enable()
        assert proxy.port == port
        assert await (await Client.to(port)).ask(b"three\n") == b"three\n"


async def test_the_process_arms_toxics_by_name_from_any_thread() -> None:
    async with server() as (port, _):
        with proxy_process(port) as proxy:
            client = await Client.to(proxy.port)
            await client.ask(b"one\n")
            await asyncio.gather(
                *(
                    asyncio.to_thread(proxy.add, Toxic("latency", {"latency": 20}, name=f"slow-{number}"))
                    for number in range(10)
                )
            )
            began = time.monotonic()
            await client.ask(b"two\n")
            assert time.monotonic() - began >= 0.2
            with pytest.raises(ValueError, match="there is a toxic 'slow-1' already"):
                proxy.add(Toxic("latency", name="slow-1"))
            with pytest.raises(ValueError, match="there is no toxic 'slow-10'"):
                proxy.remove("slow-10")
            with pytest.raises(ValueError, match="the words are"):
                proxy.do("explode")  # type: ignore[arg-type]
            for number in range(10):
                proxy.remove(f"slow-{number}")
            assert proxy.enable(False).open == 0
            with pytest.raises(ConnectionRefusedError):
                await Client.to(proxy.port)
            proxy.enable()
            assert await (await Client.to(proxy.port)).ask(b"three\n") == b"three\n"
