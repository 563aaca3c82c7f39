"""Who says nothing, half of it, or never ends: dropped and counted, and everybody else is served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from migctl.config import Settings
from tests.kit.serve_process import serving_process
from tests.kit.served import Served, serving

GOOD = {"event_type": "a", "data": {"n": 1}}
HASTY = Settings.model_validate({"http": {"head_s": 0.2, "body_s": 0.2}})


@contextlib.asynccontextmanager
async def connected(served: Served, sent: bytes) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection(served.host, served.port)
    writer.write(sent)
    try:
        yield reader
    finally:
        writer.close()


async def _http(served: Served) -> dict[str, object]:
    status: dict[str, object] = (await served.http.get("/api/status")).json()["http"]
    return status


@pytest.mark.parametrize(
    "sent", [b"", b"POST /events HT", b"POST /events HTTP/1.1\r\nHost: localhost\r\nX: "]
)
async def test_half_a_head_is_dropped_and_counted(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path, settings=HASTY) as served, connected(served, sent) as reader:
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        assert (await _http(served))["dropped_connections"] == {"head": 1}


async def test_half_a_second_head_is_dropped_too(tmp_path: Path) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with serving(tmp_path, settings=HASTY) as served:
        reader, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(whole)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(whole[:20])
        assert b"HTTP/1.1 408 " in await reader.read()
        writer.close()


@pytest.mark.parametrize(
    "how", [b"Content-Length: 1000\r\n\r\n[", b"Transfer-Encoding: chunked\r\n\r\n5\r\n[  "]
)
async def test_half_a_body_is_408_and_counted(tmp_path: Path, how: bytes) -> None:
    head = b"POST /events HTTP/1.1\r\nHost: localhost\r\n"
    async with serving(tmp_path, settings=HASTY) as served, connected(served, head + how) as reader:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 408 ")
        assert (await _http(served))["slow_bodies"] == 1
        assert served.journal.head == 0


async def test_a_socket_that_is_quiet_is_no_slow_head(tmp_path: Path) -> None:
    async with serving(tmp_path, settings=HASTY) as served, connect(served.ws_url) as socket:
        async with connected(served, b"GET") as reader:
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        await served.http.post("/events", json=GOOD)
        assert await socket.recv()


async def test_large_bodies_beyond_the_memory_for_them_are_refused_and_all_others_taken(
    tmp_path: Path,
) -> None:
    head = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (16 << 20)
    async with serving(tmp_path) as served, contextlib.AsyncExitStack() as stack:
        # Nine of 16 MiB less a byte are more than 128 MiB together.
        readers = [
            await stack.enter_async_context(connected(served, head + b" " * ((16 << 20) - 1)))
            for _ in range(9)
        ]
        answers = [asyncio.ensure_future(reader.readuntil(b"\r\n\r\n")) for reader in readers]
        done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        assert {task.result().split(b"\r\n")[0] for task in done} == {b"HTTP/1.1 503 Service Unavailable"}
        assert int(str((await _http(served))["crowded_bodies"])) >= 1
        for task in answers:
            task.cancel()
        await asyncio.gather(*answers, return_exceptions=True)
    async with serving(tmp_path) as served:
        assert (await served.http.post("/events", json=GOOD)).status_code == 201


async def test_a_producer_gets_in_while_more_hold_half_requests_than_there_are_descriptors(
    tmp_path: Path,
) -> None:
    with serving_process(tmp_path, "--mode", "websocket") as serve:
        resource.prlimit(serve.process.pid, resource.RLIMIT_NOFILE, (256, 256))
        host, port = serve.url.removeprefix("http://").split(":")
        writers = []
        try:
            async with httpx.AsyncClient(base_url=serve.url, trust_env=False, timeout=30) as http:
                for number in range(600):
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection(host, int(port))
                        writers.append(writer)
                        writer.write(b"POST /events HTTP/1.1\r\nHost: localhost\r\nX-A: ")
                    if number % 50 == 49:
                        async with httpx.AsyncClient(
                            base_url=serve.url, trust_env=False, timeout=30
                        ) as other:
                            assert (await other.post("/events", json=GOOD)).status_code == 201
                status = (await http.get("/api/status")).json()
                assert status["http"]["dropped_connections"]["full"] >= 600 - 256
                assert status["journal"]["head"] == 12
        finally:
            for writer in writers:
                writer.close()
        assert "connections dropped" in serve.stop()
