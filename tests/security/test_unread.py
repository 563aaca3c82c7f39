"""Clients that ask and never read the answer: they are let go, and who reads is served."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

import httpx
import pytest
from aiohttp import web

from migctl import server
from migctl.server.access.gate import GATE, Gate, passing

MIB = 1 << 20


@pytest.mark.parametrize("unread_s", [3.0, 3600.0])
async def test_answer_that_nobody_reads_ends_with_its_time(unread_s: float) -> None:
    """Of one that is a whole hour long the connection stays: it is this bound that ends it, and nothing else."""

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=bytes(16 * MIB))

    dropped: Counter[str] = Counter()
    gate = Gate(dropped, unread_s=unread_s)
    app = web.Application(middlewares=list(passing(gate)))
    app[GATE] = gate
    app.router.add_get("/large", large)
    async with server.listening(app, "127.0.0.1", 0, shutdown_s=0.1) as listener:
        silent = [socket.socket() for _ in range(5)]
        for one in silent:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.setblocking(False)
            await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", listener.port))
            await asyncio.get_running_loop().sock_sendall(one, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        async with httpx.AsyncClient(base_url=listener.url, trust_env=False) as http:
            for _ in range(3):
                assert len((await http.get("/large", timeout=60)).content) == 16 * MIB
            async with asyncio.timeout(60):
                while unread_s < 60 and dropped["unread"] < len(silent):
                    await asyncio.sleep(0.01)
            assert len((await http.get("/large", timeout=60)).content) == 16 * MIB
        assert dropped == ({"unread": len(silent)} if unread_s < 60 else {})
        for one in silent:
            one.close()
