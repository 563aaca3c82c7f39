"""Meddling: a proxy before a real server that answers some requests itself, wrongly, as proxies, portals and old servers do."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

HTML = "<!doctype html><title>Please sign in</title>"
_OF_THE_HOP = {
    "connection",
    "transfer-encoding",
    "content-length",
    "content-encoding",
    "keep-alive",
    "upgrade",
}


@dataclass
class Wrong:
    """An answer. status 0: none, for ever; status 1: the connection is reset."""

    status: int = 200
    body: str = HTML
    content_type: str = "text/html"


@dataclass
class Meddler:
    """wrong: by the beginning of a path. frames: sent after the hello of each socket, once. asked: how often, by path."""

    upstream: str
    url: str = ""
    wrong: dict[str, Wrong] = field(default_factory=dict)
    frames: list[str | bytes] = field(default_factory=list)
    hello: str | None = None
    asked: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        for path, wrong in self.wrong.items():
            if request.path.startswith(path):
                return await self._wrong(request, wrong)
        async with aiohttp.ClientSession(auto_decompress=True) as session:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._socket(request, session)
            headers = {
                key: value
                for key, value in request.headers.items()
                if key.lower() not in _OF_THE_HOP | {"host"}
            }
            url = f"{self.upstream}{request.path_qs}"
            async with session.request(
                request.method, url, headers=headers, data=await request.read()
            ) as found:
                kept = {key: value for key, value in found.headers.items() if key.lower() not in _OF_THE_HOP}
                return web.Response(status=found.status, body=await found.read(), headers=kept)

    async def _wrong(self, request: web.Request, wrong: Wrong) -> web.StreamResponse:
        if wrong.status == 0:
            await self.over.wait()
        if wrong.status < 100:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=max(wrong.status, 200), text=wrong.body, content_type=wrong.content_type)

    async def _socket(self, request: web.Request, session: aiohttp.ClientSession) -> web.StreamResponse:
        protocols = [
            one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if one.strip()
        ]
        async with session.ws_connect(
            f"{self.upstream}{request.path_qs}", protocols=protocols, max_msg_size=0
        ) as above:
            below = web.WebSocketResponse(
                protocols=[above.protocol] if above.protocol else [], max_msg_size=0
            )
            await below.prepare(request)

            async def up() -> None:
                async for message in below:
                    await above.send_str(message.data)

            going = asyncio.create_task(up())
            try:
                greeted = False
                async for message in above:
                    await below.send_str(
                        self.hello if self.hello is not None and not greeted else message.data
                    )
                    if not greeted:
                        for frame in self.frames:
                            await (
                                below.send_str(frame) if isinstance(frame, str) else below.send_bytes(frame)
                            )
                    greeted = True
            finally:
                going.cancel()
                with contextlib.suppress(ConnectionError):
                    await below.close(code=above.close_code or 1001)
        return below


@contextlib.asynccontextmanager
async def meddling(upstream: str) -> AsyncIterator[Meddler]:
    """In front of the server at this address."""
    meddler = Meddler(upstream)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", meddler.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    meddler.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield meddler
    finally:
        meddler.over.set()
        await runner.cleanup()
