"""Passing: one socket of the old protocol through to the old service and back, as it is, and the journal's events where it feeds.

Text stays text and binary stays binary; the code that one side closes with is the code that the other side sees. A slow dashboard
holds up its own connection to the old service, as it always did.

| the old service | the journal feeds | the socket |
|---|---|---|
| is away, or breaks off, or goes down | no | is closed with 1012, or the code that it was given |
| the same, or has no such socket any more | yes | stays; the old service is tried again, and greets again |
| refuses this client (401, 403) | either | has that answer; one that is open is closed with 1012, and has it when it comes again |
| closes it with a code of its own | either | is closed with that code |
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from hashlib import blake2b

from aiohttp import ClientConnectionResetError, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from migctl.clock import mono
from migctl.errors import Transient
from migctl.events import Position
from migctl.resilience import Backoff, Retry
from migctl.telemetry import get_logger
from migctl.transports import wire
from migctl.transports.dialing import hang_up
from migctl.transports.websocket import frames
from migctl.transports.websocket.front import Fed, Front
from migctl.transports.websocket.session import Session
from migctl.transports.websocket.sockets import Sockets
from migctl.transports.websocket.upstream import CLOSE_WITHIN_S, Away, Denied

# Close codes of a service that goes down or fails; any other is a word to this client.
GOES_DOWN = frozenset((frames.GOING_AWAY, frames.INTERNAL, frames.DRAINING, 1013, 1014))
SETTLED_S = 1.0
BACKOFF = Backoff(first_s=0.25, most_s=5.0)

log = get_logger("gateway")


async def pass_through(
    request: web.Request,
    offered: list[str],
    front: Front,
    sockets: Sockets,
    *,
    position: Callable[[], Position],
    check_open: Callable[[Session], None],
) -> web.StreamResponse:
    """Serve one socket to its end. position: where the journal is. check_open: closes a session that may not be served any more."""
    if not web.WebSocketResponse().can_prepare(request).ok:
        raise web.HTTPBadRequest
    async with contextlib.AsyncExitStack() as stack:
        leg = None
        try:
            leg = await front.upstream.open(request, offered)
            await stack.enter_async_context(leg)
        except Denied as denied:
            if not denied.of_client:
                front.gone()
            if denied.of_client or not front.journal_feeds:
                return web.Response(status=denied.status, body=denied.body)
            front.upstream.failed(str(denied))
        except Away:
            front.gone()
        if leg is None:
            protocols = [one for one in offered if not one.startswith(frames.TOKEN_PREFIX)]
        else:
            protocols = [leg.subprotocol] if leg.subprotocol else []
        admitted = sockets.admitted(request, "piped", protocols, max_client_bytes=wire.MAX_FRAME_BYTES)
        socket, session, writer = await stack.enter_async_context(admitted)
        check_open(session)
        fed = front.join(session, position())
        try:
            await Passage(request, offered, front, fed, socket, writer).run(leg)
        finally:
            front.leave(fed)
    return socket


class Passage:
    """Of one socket, from its opening to its end."""

    def __init__(
        self,
        request: web.Request,
        offered: list[str],
        front: Front,
        fed: Fed,
        socket: web.WebSocketResponse,
        writer: AbstractStreamWriter,
    ) -> None:
        self._request = request
        self._offered = offered
        self._front = front
        self._fed = fed
        self._session = fed.session
        self._socket = socket
        self._writer = writer
        self._who = _who(request)
        self._leg: ClientConnection | None = None
        self._has_asked = False

    async def run(self, leg: ClientConnection | None) -> None:
        """Pass messages both ways until one side ends it, then end the other with the same code. leg: None while it is away."""
        code, reason = frames.GOING_AWAY, ""
        if leg is None and not self._may_go_on():
            self._close_away()
        self._use(leg)
        down = asyncio.create_task(self._down(), name="from the old service")
        try:
            code, reason = await self._up()
        finally:
            down.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await down
            if self._leg is not None:
                # Whatever ends this: the old service must not write to nobody.
                await hang_up(self._leg, code, reason, within_s=2 * CLOSE_WITHIN_S)

    def _use(self, leg: ClientConnection | None) -> None:
        self._leg, self._fed.is_up, self._has_asked = leg, leg is not None, False

    def _may_go_on(self) -> bool:
        """Whether it stays while the old service is away."""
        return self._front.journal_feeds and not self._session.closed

    def _close_away(self) -> None:
        self._session.close(frames.DRAINING, "the old service is away", grace_s=self._front.grace_s)

    # From the client.

    async def _up(self) -> tuple[int, str]:
        """Until it ends; return what to send the old service."""
        session = self._session
        while True:
            message = await self._socket.receive()
            session.heard_at = mono()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                if not await self._send(message.data):
                    return frames.GOING_AWAY, ""
            elif message.type is WSMsgType.PING:
                session.write(frames.pong(message.data))
            elif message.type is WSMsgType.CLOSE:
                if session.close_code is not None:  # it answers what we said
                    return frames.GOING_AWAY, ""
                code = frames.answer_to(message.data or frames.NO_STATUS)
                session.answer_close(code)
                return (frames.NORMAL if code == frames.NO_STATUS else code), message.extra or ""
            elif message.type in (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return frames.GOING_AWAY, ""

    async def _send(self, message: str | bytes) -> bool:
        """To the old service; False where it takes nothing, and the socket is closed. While it is away nobody answers."""
        leg, self._has_asked = self._leg, True
        if leg is None:
            return True
        within_s = self._front.upstream.pass_within_s
        try:
            async with asyncio.timeout(within_s):
                await leg.send(message)
        except ConnectionClosed:
            pass  # the other way finds it too
        except TimeoutError:
            log.warning("the old service takes nothing", peer=self._session.peer, within_s=within_s)
            if self._may_go_on():
                leg.transport.abort()
                return True
            self._session.close(frames.DRAINING, "the old service takes nothing")
            return False
        return True

    # From the old service.

    async def _down(self) -> None:
        try:
            await self._bring()
        except Exception:
            # Without this the socket would stay open and silent. The error itself comes out of `run`.
            self._session.close(frames.INTERNAL, "an error of ours")
            raise

    async def _bring(self) -> None:
        """Until the client is gone, or closed with the code that the old service closes with."""
        if self._leg is None and (greeting := self._front.greeting(self._who)) is not None:
            self._session.write(greeting)
        while not self._session.closed:
            if self._leg is not None and not await self._carry(self._leg):
                return
            self._use(await self._reopened())
            if self._leg is not None:
                # What it sent before it knew this socket again, and the tap had after, is not on its way here.
                asyncio.get_running_loop().call_later(SETTLED_S, self._front.settle, self._fed)

    async def _carry(self, leg: ClientConnection) -> bool:
        """Until it ends; True where the socket goes on without."""
        try:
            is_first = True
            while True:
                message = await leg.recv()
                text = message.encode() if isinstance(message, str) else message
                frame = frames.framed(text) if isinstance(message, str) else frames.binary(text)
                contents = self._front.contents(text)
                if is_first and not contents and not self._has_asked:
                    self._front.greeted(self._who, frame)
                is_first = False
                if contents and not self._front.passes(self._fed, contents):
                    continue
                if not self._session.write(frame):
                    return False
                await self._writer.drain()
        except ConnectionClosed as closed:
            goodbye = closed.rcvd
            goes_down = goodbye is None or goodbye.code in GOES_DOWN
            if goes_down:
                self._front.gone()
            if goes_down and self._may_go_on():
                log.info("the old service has gone; the socket stays", peer=self._session.peer)
                self._leg = None
                self._front.lost(self._fed)
                return True
            if goodbye is None:
                self._session.close(frames.DRAINING, "the old service is away")
            else:
                self._session.close(goodbye.code, goodbye.reason)
        except (ConnectionError, ClientConnectionResetError):
            pass  # the client is gone: the other way sees it too
        return False

    async def _reopened(self) -> ClientConnection | None:
        """Once the old service takes it again; None where the socket is closed by then."""
        retry = Retry(BACKOFF)
        while not self._session.closed:
            retry.failed(Transient("the old service is away", do="nothing: it is tried again"))
            await retry.wait()
            if not self._may_go_on():
                self._close_away()
                return None
            try:
                return await self._front.upstream.open(self._request, self._offered)
            except Denied as denied:
                if denied.of_client:
                    self._close_away()
                    return None
                self._front.upstream.failed(str(denied))
            except Away:
                continue
        return None


def _who(request: web.Request) -> bytes:
    """By what the old service tells clients apart: one has no other's greeting."""
    parts = (
        request.raw_path.partition("?")[2],
        *(request.headers.get(name, "") for name in ("Cookie", "Authorization")),
    )
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).digest()
