"""Gateway: tails the journal and hands each event to every subscriber's socket, framed once.

A subscriber gets one contiguous run of seq, from the position it resumed at or from head + 1: what it missed is read from the
journal at its own pace, and it joins the live edge at the moment the two meet. The live edge waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable
from typing import Any

from aiohttp import ClientConnectionResetError, WSMsgType, web

from migctl.clock import mono, now
from migctl.journal import Log
from migctl.status import GatewayStatus, TransportName, TransportState
from migctl.telemetry import get_logger
from migctl.transports import wire
from migctl.transports.websocket import frames, resume
from migctl.transports.websocket.session import Form, Session
from migctl.transports.websocket.sockets import Sockets
from migctl.transports.websocket.upstream import Away, Denied, Upstream, pipe

log = get_logger("gateway")

# It would warn with every subprotocol that a client offers, and a token may be one of them.
logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)

# What one write holds at most, beyond a single larger event; between two the event loop looks after everything else.
RUN_BYTES = 256 << 10
PING_EVERY_BEATS = 4


class Gateway:
    """The WebSocket transport. `handle` is the route of `/ws`; `run` delivers until cancelled.

    legacy_frame: what sockets without opt-in get, "envelope" or "data".
    max_queue_bytes: what may wait in one subscriber's queue before it is closed as slow (4408).
    upstream: the old service's socket; sockets without opt-in are passed through to it.
    heartbeat_s: how often v2 sockets get `sys.hb`; said in `sys.hello`.
    stall_s: how long a subscriber that catches up may take for the next run before it is closed as slow.
    """

    name: TransportName = "websocket"

    def __init__(
        self,
        journal: Log,
        *,
        legacy_frame: frames.LegacyFrame = "envelope",
        heartbeat_s: float = wire.GATEWAY_HEARTBEAT_S,
        max_queue_bytes: int = 8 << 20,
        stall_s: float = 10.0,
        grace_s: float = 5.0,
        upstream: str | None = None,
    ) -> None:
        self._journal = journal
        self._legacy_frame: frames.LegacyFrame = legacy_frame
        self._heartbeat_s = heartbeat_s
        self._stall_s = stall_s
        self._grace_s = grace_s
        self._upstream = Upstream(upstream) if upstream is not None else None
        self._epoch = journal.epoch
        self._delivered = journal.head  # the live edge: everybody in the two sets below has got this seq
        self._left: set[str] = set()
        self._live_v2: set[Session] = set()
        self._live_legacy: set[Session] = set()
        self._sockets = Sockets(max_queue_bytes=max_queue_bytes, grace_s=grace_s)
        self._running = False
        self._fallback: tuple[str, str, str] | None = None
        self._frames_written = 0

    # Delivering.

    async def run(self) -> None:
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                group.create_task(self._beat())
        finally:
            self._running = False

    async def _follow(self) -> None:
        async for batch in self._journal.follow(self._delivered):
            first = batch[0]
            if (
                first.epoch in self._left
            ):  # its v2 subscribers were closed, and what it ended with is behind the legacy ones
                continue
            self._look_at_epoch(first.epoch)
            if first.seq != self._delivered + 1:
                self._close_all(frames.OVERTAKEN, "retention overtook this reader", self._sockets.of("v2"))
            for run in frames.runs(batch, self._legacy_frame, max_bytes=RUN_BYTES):
                self._fan_out(run)
                # Written bytes leave when the loop turns; without this a long batch would look like slow subscribers.
                await asyncio.sleep(0)
            subscribers = len(self._live_v2) + len(self._live_legacy)
            if subscribers:
                log.info(
                    "frames sent",
                    epoch=first.epoch,
                    first=first.seq,
                    last=batch[-1].seq,
                    first_id=first.event.id,
                    subscribers=subscribers,
                )

    def _fan_out(self, run: frames.Run) -> None:
        self._delivered = run.last
        if self._live_v2:
            self._write(self._live_v2, run, run.v2)
        if self._live_legacy:
            self._write(self._live_legacy, run, run.legacy)
        if self._sockets.draining:
            self._sockets.tell_change()

    def _write(self, live: set[Session], run: frames.Run, form: Any) -> None:
        whole: bytes = form()
        first, last, count = run.first, run.last, run.last - run.first + 1
        gone: list[Session] = []
        for session in live:
            after = session.after
            if after < first:
                chunk = whole
            elif after >= last:
                continue
            else:
                chunk = form(after)
            if chunk and not session.write(chunk):
                gone.append(session)
        self._frames_written += count * (len(live) - len(gone))
        for session in gone:
            self._leave(session)

    async def _beat(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(self._heartbeat_s)
            beats += 1
            self._look_at_epoch(self._journal.epoch)
            self._tell(frames.heartbeat(epoch=self._journal.epoch, head=self._journal.head, now=now()))
            if beats % PING_EVERY_BEATS == 0:
                self._ping()

    def _look_at_epoch(self, epoch: str) -> None:
        """A new history has begun: who knows the old one must come again and be told; legacy sockets just go on."""
        if epoch == self._epoch:
            return
        self._left.add(self._epoch)
        self._epoch, self._delivered = epoch, 0
        self._close_all(frames.ROTATED, "epoch rotated", self._sockets.of("v2"))
        for session in self._live_legacy:
            session.after = 0

    def _ping(self) -> None:
        silent_since = mono() - wire.silence_s(PING_EVERY_BEATS * self._heartbeat_s)
        for session in tuple(self._sockets):
            if session.heard_at < silent_since:
                self._close(session, frames.SILENT, "no answer to pings")
            elif not session.write(frames.PING):
                self._leave(session)

    def _tell(self, frame: bytes) -> None:
        for session in self._sockets.of("v2"):
            if not session.write(frame):
                self._leave(session)

    def announce(self, from_: str, to: str, reason: str, *, spread_s: float | None = None) -> None:
        """Tell every v2 subscriber to change transports, and those who come while it lasts.

        spread_s: within which time they are to go, each at a moment of its own; None leaves that to them.
        """
        self._fallback = (from_, to, reason) if to == self.name else None
        log.info(
            "subscribers told to change transports",
            from_=from_,
            to=to,
            reason=reason,
            seq=self._delivered,
            subscribers=len(self._sockets),
        )
        self._tell(frames.fallback(from_=from_, to=to, reason=reason, spread_s=spread_s, now=now()))

    def count_v2(self) -> int:
        """Sockets that hear an announcement."""
        return len(self._sockets.of("v2"))

    def count_standby(self) -> int:
        """Subscribers that are on Realtime, and have a socket here only to be told where to go."""
        return sum(session.standby for session in self._sockets.of("v2"))

    # One socket.

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket to its end."""
        offered = resume.subprotocols_in(request.headers.get("Sec-WebSocket-Protocol", ""))
        v2 = resume.opts_in(request.query, offered)
        try:
            wish = resume.wish_in(request.query) if v2 else resume.Wish()
        except resume.BadRequest as error:
            raise _bad_request(error) from None
        if not v2 and self._upstream is not None:
            return await self._pass_through(request, self._upstream, offered)
        protocols = (frames.SUBPROTOCOL,) if v2 else ()
        form: Form = "v2" if v2 else "legacy"
        async with self._sockets.admitted(
            request, form, protocols, standby=wish.role == "standby"
        ) as admitted:
            socket, session, writer = admitted
            catching_up = None if session.closed else self._begin(session, wish, writer)
            try:
                await self._listen(socket, session)
            finally:
                self._leave(session)
                if catching_up is not None:
                    catching_up.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await catching_up
        return socket

    async def _pass_through(
        self, request: web.Request, upstream: Upstream, offered: list[str]
    ) -> web.StreamResponse:
        """Let the old service serve this socket."""
        if not web.WebSocketResponse().can_prepare(request).ok:
            raise web.HTTPBadRequest
        try:
            old = await upstream.open(request, offered)
        except Denied as denied:
            return web.Response(status=denied.status, body=denied.body)
        except Away:
            async with self._sockets.admitted(request, "piped", offered) as (socket, session, _):
                session.close(frames.DRAINING, "the old service is away", grace_s=self._grace_s)
                await self._listen(socket, session)
            return socket
        async with old:
            protocols = (old.subprotocol,) if old.subprotocol else ()
            async with self._sockets.admitted(
                request, "piped", protocols, max_client_bytes=wire.MAX_FRAME_BYTES
            ) as admitted:
                await pipe(*admitted, old)
        return admitted[0]

    def _begin(self, session: Session, wish: resume.Wish, writer: Any) -> asyncio.Task[None] | None:
        """Say hello and start delivery. Nothing is awaited here, so head and start are of one moment."""
        journal = self._journal
        self._look_at_epoch(journal.epoch)
        head = journal.head
        session.after = head
        log.info(
            "subscriber attached",
            peer=session.peer,
            form=session.form,
            standby=session.standby,
            position=wish.position,
        )
        if session.form == "legacy":
            self._live_legacy.add(session)
            return None
        start = resume.begin(wish.position, epoch=journal.epoch, head=head, tail=journal.tail)
        session.write(
            frames.hello(
                epoch=journal.epoch,
                head=head,
                tail=journal.tail,
                resume=start.resume,
                reason=start.reason,
                heartbeat_s=self._heartbeat_s,
                now=now(),
            )
        )
        if self._fallback is not None:
            from_, to, reason = self._fallback
            session.write(frames.fallback(from_=from_, to=to, reason=reason, now=now()))
        if session.standby:
            return None
        if start.after >= self._delivered:
            session.after = start.after
            self._join(session)
            return None
        return asyncio.create_task(self._catch_up(session, start.after, writer))

    def _join(self, session: Session) -> None:
        if session.write(frames.caught_up(seq=session.after, now=now())):
            self._live_v2.add(session)

    async def _catch_up(self, session: Session, after: int, writer: Any) -> None:
        try:
            await self._read_up(session, after, writer)
        except Exception:
            # Without this the socket would stay open and silent. The error itself comes out of `handle`.
            self._close(session, frames.INTERNAL, "an error of ours")
            raise

    async def _read_up(self, session: Session, after: int, writer: Any) -> None:
        journal, epoch = self._journal, self._epoch
        while after < self._delivered:
            page = await journal.read(after, max_bytes=RUN_BYTES)
            if session.closed:
                return None
            if epoch != self._epoch or (page and page[0].epoch != epoch):
                return self._close(session, frames.ROTATED, "epoch rotated")
            if not page or page[0].seq != after + 1:
                return self._close(session, frames.OVERTAKEN, "retention overtook this reader")
            run = frames.Run(page, self._legacy_frame)
            if not session.write(run.v2()):
                return None
            self._frames_written += len(page)
            after = run.last
            try:
                async with asyncio.timeout(self._stall_s):
                    await writer.drain()
            except TimeoutError:
                return self._close(session, frames.SLOW, "slow: resume from your position")
            except (ConnectionError, ClientConnectionResetError):
                return None
        # Nothing is awaited between the last comparison and joining: the missed part and the live one meet exactly.
        session.after = after
        return self._join(session)

    async def _listen(self, socket: web.WebSocketResponse, session: Session) -> None:
        """Read until the socket ends. What clients say is answered only where the protocol demands it."""
        while True:
            message = await socket.receive()
            session.heard_at = mono()
            if message.type is WSMsgType.PING:
                session.write(frames.pong(message.data))
            elif message.type is WSMsgType.CLOSE:
                session.answer_close(message.data or frames.NORMAL)
                return
            elif message.type in (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return

    # Closing.

    def _leave(self, session: Session) -> None:
        self._live_v2.discard(session)
        self._live_legacy.discard(session)

    def _close(self, session: Session, code: int, reason: str) -> None:
        session.close(code, reason, grace_s=self._grace_s)
        self._leave(session)

    def _close_all(self, code: int, reason: str, sessions: Iterable[Session]) -> None:
        for session in tuple(sessions):
            self._close(session, code, reason)

    async def drain(self, timeout_s: float) -> int:
        """Deliver what the journal has, close every socket with 1012, and return how many had not left by then."""
        self._sockets.draining = True
        try:
            async with asyncio.timeout(timeout_s):
                while self._running and self._sockets and self._delivered < self._journal.head:
                    await self._sockets.change()
                self._close_all(frames.DRAINING, "draining", self._sockets)
                while self._sockets:
                    await self._sockets.change()
        except TimeoutError:
            self._close_all(frames.DRAINING, "draining", self._sockets)
        left = tuple(self._sockets)
        for session in left:
            session.cut()
        return len(left)

    def subscribers(self) -> list[dict[str, Any]]:
        """Who is attached, one by one. closing: the code of a goodbye that is not answered yet."""
        return [
            {
                "peer": session.peer,
                "form": session.form,
                "standby": session.standby,
                "queued_bytes": session.queued_bytes,
                "closing": session.close_code,
            }
            for session in self._sockets
        ]

    def status(self) -> GatewayStatus:
        state: TransportState = "connected" if self._running else "connecting"
        reason = None if self._running else "not running yet"
        if self._sockets.draining:
            state, reason = "closed", "draining"
        return self._sockets.status(
            state,
            reason,
            live=len(self._live_v2) + len(self._live_legacy),
            delivered_seq=self._delivered,
            behind_events=self._journal.head - self._delivered,
            frames_written=self._frames_written,
            upstream=self._upstream.status() if self._upstream is not None else None,
        )


def _bad_request(error: resume.BadRequest) -> web.HTTPBadRequest:
    body = {
        "errors": [{"index": None, "id": None, "field": error.field, "code": "value", "reason": error.reason}]
    }
    return web.HTTPBadRequest(text=json.dumps(body), content_type="application/json")
