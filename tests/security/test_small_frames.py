"""Clients that send frames of no bytes, as fast as they can: everybody else is served meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.kit.serve_process import ServeProcess, serving_process

CLIENTS = 4
# An empty fragment costs next to nothing.
FRAMES = {"ping": 500_000, "text": 500_000, "fragment": 8_000_000}
KINDS = {"ping": b"\x89\x80\0\0\0\0", "text": b"\x81\x80\0\0\0\0", "fragment": b"\0\x80\0\0\0\0"}
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"

pytestmark = pytest.mark.slow


async def flood(serve: ServeProcess, query: str, kind: str) -> None:
    """Send them all, and return once a goodbye is answered, which is after them."""
    where = httpx.URL(serve.url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    writer.write(
        f"GET /ws{query} HTTP/1.1\r\nHost: 127.0.0.1:{where.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")

    async def swallow() -> None:
        while await reader.read(1 << 20):
            pass

    reading = asyncio.create_task(swallow())
    if kind == "fragment":
        writer.write(b"\x01\x80\0\0\0\0")
    for _ in range(FRAMES[kind] // 10_000):
        writer.write(KINDS[kind] * 10_000)
        await writer.drain()
    writer.write((b"\x80\x80\0\0\0\0" if kind == "fragment" else b"") + CLOSE)
    await reading
    writer.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("query", ["", "?v=2"])
async def test_everybody_is_served_while_clients_flood(tmp_path: Path, query: str, kind: str) -> None:
    with serving_process(tmp_path, "--mode", "websocket") as serve:
        async with httpx.AsyncClient(base_url=serve.url, trust_env=False, timeout=120) as http:
            floods = asyncio.gather(*(flood(serve, query, kind) for _ in range(CLIENTS)))
            served = 0
            while not floods.done():
                answer = await http.post("/events", json={"event_type": "a", "data": {}})
                assert answer.status_code == 201
                served += 1
            await floods
        assert served >= 20
