"""An upstream that sends as fast as it can: everybody else is served meanwhile, and the tap says how far behind it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.kit.conditions import until
from tests.kit.raw_server import frame
from tests.kit.serve_process import serving_process

FRAMES = 40_000
FRAME = frame(b'{"type":"cache_metrics","data":{"used":1},"timestamp":"2025-10-23 15:11:01"}')


PONGS = 2_000_000


async def _pongs(socket: ServerConnection) -> None:
    """Then one event."""
    for _ in range(PONGS // 10_000):
        socket.transport.write(b"\x8a\0" * 10_000)
        while socket.transport.get_write_buffer_size() > 1 << 20:
            await asyncio.sleep(0.001)
    socket.transport.write(FRAME)
    await socket.wait_closed()


async def _fragments(socket: ServerConnection) -> None:
    """Messages of nothing, in twenty thousand frames each, for as long as they are taken."""
    with contextlib.suppress(OSError):
        while not socket.transport.is_closing():
            socket.transport.write(b"\1\0" + b"\0\0" * 20_000 + b"\x80\0")
            while socket.transport.get_write_buffer_size() > 1 << 20:
                await asyncio.sleep(0.001)


async def _send(socket: ServerConnection) -> None:
    for _ in range(FRAMES // 100):
        socket.transport.write(FRAME * 100)
        while socket.transport.get_write_buffer_size() > 1 << 20:
            await asyncio.sleep(0.001)
    await socket.wait_closed()


@contextlib.asynccontextmanager
async def flooding(send: Callable[[ServerConnection], Awaitable[None]] = _send) -> AsyncIterator[str]:
    async with serve(send, "127.0.0.1", 0, ping_interval=None) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"


async def test_everybody_is_served_while_an_upstream_floods_and_none_of_it_is_lost(tmp_path: Path) -> None:
    async with flooding() as url, contextlib.AsyncExitStack() as stack:
        serving = serving_process(tmp_path, "--mode", "websocket", "--source", url)
        serve_ = await asyncio.to_thread(stack.enter_context, serving)
        async with httpx.AsyncClient(base_url=serve_.url, trust_env=False, timeout=60) as http:
            behind = unread = meanwhile = posted = 0

            async def all_taken() -> bool:
                nonlocal behind, unread, meanwhile, posted
                answer = await http.post("/events", json={"event_type": "a", "data": {}})
                posted += answer.status_code == 201
                status = (await http.get("/api/status")).json()
                source = status["source"]
                behind += source["behind_s"] > 0
                unread += source["unread_bytes"] > 0
                meanwhile += source["accepted"] < FRAMES
                return bool(source["accepted"] == FRAMES)

            await until(all_taken)
            source = (await http.get("/api/status")).json()["source"]
            assert source["outages"]["count"] == 0
            assert (source["behind_s"], source["unread_bytes"]) == (0, 0)
            assert meanwhile >= 5
            assert posted >= meanwhile
            assert source["rests"] > 0
            assert behind + unread > 0
            metrics = (await http.get("/metrics")).text
            assert "migctl_source_behind_seconds" in metrics


@pytest.mark.slow
async def test_everybody_is_served_while_an_upstream_sends_frames_of_no_bytes(tmp_path: Path) -> None:
    async with flooding(_pongs) as url, contextlib.AsyncExitStack() as stack:
        serving = serving_process(tmp_path, "--mode", "websocket", "--source", url)
        serve_ = await asyncio.to_thread(stack.enter_context, serving)
        async with httpx.AsyncClient(base_url=serve_.url, trust_env=False, timeout=60) as http:
            posted = 0

            async def all_taken() -> bool:
                nonlocal posted
                posted += (
                    await http.post("/events", json={"event_type": "a", "data": {}})
                ).status_code == 201
                return bool((await http.get("/api/status")).json()["source"]["accepted"])

            await until(all_taken)
            assert posted >= 20


async def test_an_upstream_that_sends_in_fragments_ends_its_own_socket_and_not_serve(tmp_path: Path) -> None:
    async with flooding(_fragments) as url, contextlib.AsyncExitStack() as stack:
        serving = serving_process(tmp_path, "--mode", "websocket", "--source", url)
        serve_ = await asyncio.to_thread(stack.enter_context, serving)
        async with httpx.AsyncClient(base_url=serve_.url, trust_env=False, timeout=60) as http:

            async def has_lost_its_socket() -> bool:
                assert serve_.process.poll() is None
                return bool((await http.get("/api/status")).json()["source"]["outages"]["count"])

            await until(has_lost_its_socket)
            assert (await http.post("/events", json={"event_type": "a", "data": {}})).status_code == 201
