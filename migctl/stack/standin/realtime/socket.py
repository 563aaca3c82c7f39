"""One WebSocket: the upgrade, the messages in their order, and frames written at once.

Frames are written to the transport without waiting: a client that does not read fills its own buffer, and is cut off when that
is full. Nobody waits for anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Coroutine
from typing import Any, Literal

import aiohttp
from aiohttp import web

from migctl.stack.standin.auth import BadToken
from migctl.stack.standin.faults import CLOSE_AFTER_S
from migctl.stack.standin.gateway import admitted
from migctl.stack.standin.realtime import config, frames, rules
from migctl.stack.standin.realtime.channel import Channel
from migctl.stack.standin.realtime.client import Joined, Parts
from migctl.stack.standin.realtime.frames import BadFrame, Message, Version
from migctl.stack.standin.realtime.rules import Denied
from migctl.telemetry import get_logger

_log = get_logger("standin.realtime")
_MAX_FRAME = 5_000_000
_GOODBYE_S = 1.0


class Realtime:
    """The route of the WebSocket, and all that are open."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._open: dict[web.WebSocketResponse, Socket] = {}
        self._closing: set[asyncio.Task[bool]] = set()
        parts.faults.strikes("clean-close", self._close_cleanly)
        parts.faults.strikes("channel-closed", self._close_channels)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/realtime/v1/websocket", self._upgrade)]

    async def close(self) -> None:
        """Ask all clients to come back later. Those that don't answer are not waited for."""
        goodbyes = [response.close(code=1012, message=b"service restart") for response in self._open]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await asyncio.gather(*goodbyes, return_exceptions=True)

    def _close_cleanly(self) -> None:
        for response, socket in self._open.items():
            if socket.subscriber:
                self._close_one(response)

    def _close_one(self, response: web.WebSocketResponse) -> None:
        task = asyncio.ensure_future(response.close(code=1000, message=b""))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _close_channels(self) -> None:
        for socket in list(self._open.values()):
            socket.strike()

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        parts = self._parts
        token = request.headers.get("x-api-key") or admitted(request).key
        role, bad = "", None
        try:
            role = parts.tokens.for_realtime(token, time.time()).role
        except BadToken as error:
            bad = error
        refusal = rules.refused_upgrade(bad, parts.hub.sockets, parts.limits)
        if refusal is not None:
            await asyncio.sleep(parts.limits.connect_error_s)
            return web.json_response({"error": refusal.error}, status=refusal.status)
        version: Version = "2.0.0" if request.query.get("vsn", "1.0.0").startswith("2.") else "1.0.0"
        response = web.WebSocketResponse(compress=False, max_msg_size=_MAX_FRAME)
        await response.prepare(request)
        if role != "service_role" and parts.faults.on("clean-close", time.monotonic()):
            await asyncio.sleep(CLOSE_AFTER_S)
            await response.close(code=1000, message=b"")
            return response
        transport = request.transport
        if transport is None:  # gone again already
            return response
        headers = json.dumps({k.lower(): v for k, v in request.headers.items() if k.lower().startswith("x-")})
        parts.hub.sockets += 1
        try:
            async with asyncio.TaskGroup() as tasks:
                socket = Socket(parts, transport, tasks, version=version, token=token, headers=headers)
                socket.subscriber = role != "service_role"
                self._open[response] = socket
                try:
                    await socket.run(response)
                finally:
                    socket.close()
        finally:
            self._open.pop(response, None)
            parts.hub.sockets -= 1
        return response


class Socket:
    """The channels of one connection. token: the JWT of its API key. subscriber: that was not the service key."""

    def __init__(
        self,
        parts: Parts,
        transport: asyncio.Transport,
        tasks: asyncio.TaskGroup,
        *,
        version: Version,
        token: str,
        headers: str,
    ) -> None:
        self.parts = parts
        self.version: Version = version
        self.token = token
        self.headers = headers
        self.subscriber = True
        self._transport = transport
        self._tasks = tasks
        self._spawned: set[asyncio.Task[None]] = set()
        self._channels: dict[str, Channel] = {}

    async def run(self, response: web.WebSocketResponse) -> None:
        """Until the client goes, or is silent for too long."""
        while True:
            try:
                received = await response.receive(timeout=self.parts.limits.socket_idle_s)
            except TimeoutError:
                await response.close(code=1000, message=b"")
                return
            if received.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                return
            try:
                await self._handle(frames.decode(received.data, self.version), response)
            except BadFrame as error:
                _log.warning("frame dropped", reason=str(error)[:200])

    def close(self) -> None:
        for channel in list(self._channels.values()):
            channel.close()
        self._channels.clear()
        for task in self._spawned:
            task.cancel()

    def strike(self) -> None:
        """The fault `channel-closed`."""
        for channel in list(self._channels.values()):
            channel.strike()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work that ends with the socket."""
        task = self._tasks.create_task(work)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)
        return task

    def write(self, frame: bytes) -> None:
        """Write a finished frame, or cut the client off when too much waits for it already."""
        if self._transport.is_closing():
            return
        self._transport.write(frame)
        waiting_bytes = self._transport.get_write_buffer_size()
        if rules.reads_too_slowly(waiting_bytes, self.parts.limits):
            _log.warning("slow client cut off", waiting_bytes=waiting_bytes)
            self._transport.abort()

    def reply(self, message: Message, status: Literal["ok", "error"], response: bytes) -> None:
        text = frames.reply(
            self.version, message.topic, status, response, ref=message.ref, join_ref=message.join_ref
        )
        self.write(frames.text_frame(text))

    def drop(self, channel: Joined) -> None:
        """Close a channel and let the client know."""
        channel.close()
        if self._channels.get(channel.topic) is channel:
            del self._channels[channel.topic]
        text = frames.message(
            self.version, channel.topic, "phx_close", b"{}", ref=channel.join_ref, join_ref=channel.join_ref
        )
        self.write(frames.text_frame(text))

    async def _handle(self, message: Message, response: web.WebSocketResponse) -> None:
        channel = self._channels.get(message.topic)
        match rules.fate(message, channel is not None, channel.join_ref if channel is not None else None):
            case "answer":
                self.reply(message, "ok", b"{}")
            case "join":
                if channel is not None:  # a second join replaces the first
                    self.drop(channel)
                await self._join(message, response)
            case "leave":
                self.reply(message, "ok", b"{}")
                if channel is not None:
                    self.drop(channel)
            case "unmatched":
                self.reply(message, "error", b'{"reason":"unmatched topic"}')
            case "handle" if channel is not None:
                await channel.handle(message)

    async def _join(self, message: Message, response: web.WebSocketResponse) -> None:
        asked = config.parse(frames.loads(message.payload))
        channel = Channel(self, message.topic, message.join_ref or message.ref, asked)
        joins, now = self.parts.hub.joins, time.monotonic()
        try:
            flooded = joins.triggered(now)
            refusal = rules.refused_join(
                channel.name, flooded=flooded, channels=len(self._channels), limits=self.parts.limits
            )
            if rules.counts_as_join(channel.name, flooded=flooded):
                joins.add(1, now)
            if refusal is not None:
                raise refusal
            answer = await channel.join()
        except Denied as denial:
            _log.info("join denied", topic=message.topic, reason=str(denial))
            channel.close()
            # Nothing else of this socket is answered meanwhile, as on the real server.
            await asyncio.sleep(self.parts.limits.join_error_s)
            self.reply(message, "error", frames.dumps({"reason": str(denial)}))
            if denial.closes:
                await response.close(code=1001)
            return
        self._channels[message.topic] = channel
        self.reply(message, "ok", answer)
        channel.joined()
