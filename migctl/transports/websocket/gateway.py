"""Gateway: tails the journal and hands each event to every subscriber's socket, framed once.

A subscriber gets one contiguous run of seq, from the position it resumed at or from head + 1: what it missed is read from the
journal at its own pace (`catching_up`), and it joins the live edge (`live`) at the moment the two meet. The live edge waits for
nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Collection

from aiohttp import WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from migctl.clock import mono, now
from migctl.config.settings import GatewaySection, LegacySection
from migctl.events import Position
from migctl.journal import Log
from migctl.status import GatewayStatus, TransportName, TransportStatus
from migctl.status.clients import ClientStatus
from migctl.status.subscribers import SubscribersStatus
from migctl.telemetry import get_logger
from migctl.telemetry.minutely import Minutely
from migctl.transports import wire
from migctl.transports.websocket import frames, resume
from migctl.transports.websocket.assigning import Assigning, Flags
from migctl.transports.websocket.attached import attached
from migctl.transports.websocket.catching_up import RUN_BYTES, CatchingUp
from migctl.transports.websocket.front import Front
from migctl.transports.websocket.leavers import Leavers
from migctl.transports.websocket.live import Live
from migctl.transports.websocket.passing import pass_through
from migctl.transports.websocket.session import Form, Session
from migctl.transports.websocket.sockets import Sockets

log = get_logger("gateway")

# It would warn with every subprotocol that a client offers, and a token may be one of them.
logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)

PING_EVERY_BEATS = 4
_ASK = wire.ASK.decode()


class Gateway:
    """The WebSocket transport. `handle` is the route of `/ws`; `run` delivers until cancelled.

    legacy_frame: what sockets without opt-in get, "envelope" or "data".
    max_queue_bytes: what may wait in one subscriber's queue before it is closed as slow (4408).
    front: sockets without opt-in are passed through to the old service, as it says.
    heartbeat_s: how often v2 sockets get `sys.hb`; said in `sys.hello`.
    stall_s: how long a subscriber that catches up may take for the next run before it is closed as slow.
    flags: say who has which transport; None tells nobody. joins_per_s: how many are told to go to Realtime.
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
        front: Front | None = None,
        flags: Flags | None = None,
        joins_per_s: float = 50.0,
    ) -> None:
        self._journal = journal
        self._legacy_frame: frames.LegacyFrame = legacy_frame
        self._heartbeat_s = heartbeat_s
        self._grace_s = grace_s
        self._front = front
        if front is not None:
            front.grace_s = grace_s
        self._live = Live(journal.epoch, journal.head, grace_s=grace_s)
        self.trail = self._live.trail  # count: of the sockets at the live edge
        self._catching_up = CatchingUp(journal, self._live, legacy_frame=legacy_frame, stall_s=stall_s)
        self._sockets = Sockets(max_queue_bytes=max_queue_bytes, grace_s=grace_s)
        self._assigning = (
            Assigning(
                flags,
                lambda: self._sockets.of("v2"),
                joins_per_s=joins_per_s,
                away=lambda: self._fallback is not None or self._breaker_open(),
                lost=self._live.leave,
            )
            if flags is not None
            else None
        )
        self._breaker_open: Callable[[], bool] = lambda: False
        self._running = False
        self.switched_off = False
        self._fallback: tuple[str, str, str] | None = None
        self._minutely = Minutely()

    # Delivering.

    def follow(self, of: GatewaySection, *, joins_per_s: float, legacy: LegacySection | None = None) -> None:
        """By these from now on, sockets that are open too. How often they get a heartbeat they were told: that stays."""
        if self._front is not None and legacy is not None:
            self._front.grace_s = of.grace_s
            self._front.follow(legacy)
        self._grace_s = self._live.grace_s = of.grace_s
        self._catching_up.stall_s = of.stall_s
        self._sockets.follow(max_queue_bytes=of.max_queue_bytes, grace_s=of.grace_s)
        if self._assigning is not None:
            self._assigning.joins_per_s = joins_per_s

    async def run(self) -> None:
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="gateway live edge")
                group.create_task(self._beat(), name="gateway heartbeat")
                if self._assigning is not None:
                    group.create_task(self._assigning.run(), name="gateway assignments")
        finally:
            self._running = False
            self._summarise(self._minutely.rest())

    async def _follow(self) -> None:
        live = self._live
        async for batch in self._journal.follow(live.delivered):
            first = batch[0]
            if live.has_left(first.epoch):
                continue
            began = mono()
            self._enter(first.epoch)
            if first.seq != live.delivered + 1:
                live.close_all(frames.OVERTAKEN, "retention overtook this reader", self._sockets.of("v2"))
            for run in frames.runs(batch, self._legacy_frame, max_bytes=RUN_BYTES):
                live.fan_out(run)
                if self._front is not None:
                    self._front.carry(run)
                if self._sockets.draining:
                    self._sockets.wake()
                # Written bytes leave when the loop turns; without this a long batch would look like slow subscribers.
                await asyncio.sleep(0)
            if live:
                ended = mono()
                self._summarise(self._minutely.carried(ended, took_s=ended - began, events=len(batch)))
                log.debug(
                    "frames sent",
                    epoch=first.epoch,
                    first=first.seq,
                    last=batch[-1].seq,
                    first_id=first.event.id,
                    subscribers=len(live),
                )

    def _summarise(self, line: dict[str, float] | None) -> None:
        live = self._live
        if line is not None:
            log.info("frames sent", epoch=live.epoch, seq=live.delivered, subscribers=len(live), **line)

    async def _beat(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(self._heartbeat_s)
            beats += 1
            self._send_all(self._heartbeat())
            if beats % PING_EVERY_BEATS == 0:
                self._live.ping(self._sockets, mono(), ping_every_s=PING_EVERY_BEATS * self._heartbeat_s)
            self._summarise(self._minutely.due(mono()))

    def _enter(self, epoch: str) -> None:
        """Where a new history has begun: who knows the old one must come again and hear of it."""
        if self._live.enter(epoch):
            self._live.close_all(frames.ROTATED, "epoch rotated", self._sockets.of("v2"))

    def _send_all(self, frame: bytes) -> None:
        for session in self._sockets.of("v2"):
            if not session.write(frame):
                self._live.leave(session)

    def announce(self, from_: str, to: str, reason: str, *, spread_s: float | None = None) -> None:
        """Send every v2 subscriber to another transport, and those who come while it lasts. spread_s: within which time they are
        to go, each at a moment of its own; None leaves that to them."""
        self._fallback = (from_, to, reason) if to == self.name else None
        log.info(
            "subscribers sent to another transport",
            from_=from_,
            to=to,
            reason=reason,
            seq=self._live.delivered,
            subscribers=len(self._sockets),
        )
        self._send_all(frames.fallback(from_=from_, to=to, reason=reason, spread_s=spread_s, now=now()))
        if self._assigning is not None and self._fallback is None:
            self._assigning.returning(spread_s or 0.0)

    def dismiss(self, tokens: Collection[str]) -> None:
        """Close the sockets that came with a token of one of these names, which opens nothing any more."""
        self._live.close_all(
            frames.UNAUTHENTICATED, "the token was revoked", self._sockets.with_token(tokens)
        )

    def withhold_while(self, breaker_open: Callable[[], bool]) -> None:
        """Tell nobody to go to Realtime while this holds, or while its subscribers are here."""
        self._breaker_open = breaker_open

    def count_v2(self) -> int:
        """Sockets that hear an announcement."""
        return len(self._sockets.of("v2"))

    def count_on_realtime(self) -> int:
        """Subscribers that receive what is broadcast: also those that were sent there and still have events from here."""
        return sum(one.is_on_realtime for one in self._sockets.of("v2"))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket to its end."""
        offered = resume.subprotocols_in(request.headers.getall("Sec-WebSocket-Protocol", ()))
        v2 = resume.opts_in(request.query, offered)
        try:
            wish = resume.wish_in(request.query) if v2 else resume.NO_WISH
        except resume.BadRequest as error:
            raise _bad_request(error) from None
        if not v2 and self._front is not None:
            return await pass_through(
                request,
                offered,
                self._front,
                self._sockets,
                position=self._position,
                check_open=self._check_open,
            )
        protocols = (frames.SUBPROTOCOL,) if v2 else ()
        form: Form = "v2" if v2 else "legacy"
        async with self._sockets.admitted(request, form, protocols, wish=wish) as admitted:
            socket, session, writer = admitted
            self._check_open(session)
            catching_up = None if session.closed else self._begin(session, wish, writer)
            try:
                await self._listen(socket, session)
            finally:
                self._live.leave(session)
                if self._assigning is not None:
                    self._assigning.leave(session)
                if catching_up is not None:
                    catching_up.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await catching_up
        return socket

    def _position(self) -> Position:
        return Position(self._journal.epoch, self._journal.head)

    def _begin(
        self, session: Session, wish: resume.Wish, writer: AbstractStreamWriter
    ) -> asyncio.Task[None] | None:
        """Say hello and start delivery. Nothing is awaited here, so head and start are of one moment."""
        journal, live = self._journal, self._live
        self._enter(journal.epoch)
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
            live.join(session)
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
                assigns=self._assigning is not None and session.user is not None,
            )
        )
        if self._fallback is not None:
            from_, to, reason = self._fallback
            session.write(frames.fallback(from_=from_, to=to, reason=reason, now=now()))
        if self._assigning is not None:
            self._assigning.greet(session)
        if session.standby:
            return None
        if start.after >= live.delivered:
            session.after = start.after
            self._catching_up.join(session)
            return None
        return asyncio.create_task(self._catching_up.run(session, start.after, writer), name="catching up")

    async def _listen(self, socket: web.WebSocketResponse, session: Session) -> None:
        """Read until the socket ends. What clients say is answered only where the protocol demands it."""
        while True:
            message = await socket.receive()
            session.heard_at = mono()
            if message.type is WSMsgType.PING:
                session.write(frames.pong(message.data))
            elif message.type is WSMsgType.TEXT and session.form == "v2" and message.data == _ASK:
                self._live.answer(session, self._heartbeat)
            elif message.type is WSMsgType.CLOSE:
                session.answer_close(message.data or frames.NORMAL)
                return
            elif message.type in (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return

    def _heartbeat(self) -> bytes:
        self._enter(self._journal.epoch)
        return frames.heartbeat(epoch=self._journal.epoch, head=self._journal.head, now=now())

    # Ending.

    async def drain(self, timeout_s: float) -> int:
        """Deliver what the journal has, close every socket with 1012, and return how many had not left by then."""
        self._sockets.draining = True
        try:
            async with asyncio.timeout(timeout_s):
                while self._running and self._sockets and self._live.delivered < self._journal.head:
                    await self._sockets.change()
                self._live.close_all(frames.DRAINING, "draining", self._sockets)
                while self._sockets:
                    await self._sockets.change()
        except TimeoutError:
            self._live.close_all(frames.DRAINING, "draining", self._sockets)
        left = tuple(self._sockets)
        for session in left:
            session.cut()
        return len(left)

    def subscribers(self) -> SubscribersStatus:
        """Who is attached, one by one, and how far behind."""
        return attached(self._sockets, self._live, self._journal, at=mono(), moment=now())

    def switch_off(self) -> None:
        """The rollout is completed: who is here is sent to Realtime and closed, and `switched_off` says that nobody else may come.

        The journal is followed all the same, so that `switch_on` is at once.
        """
        self.switched_off = True
        self._send_all(
            frames.fallback(from_=self.name, to="realtime", reason=frames.SWITCHED_OFF_REASON, now=now())
        )
        self._fallback = None
        self._live.close_all(frames.SWITCHED_OFF, frames.SWITCHED_OFF_REASON, self._sockets)

    def _check_open(self, session: Session) -> None:
        """It may have been switched off while this one was being greeted."""
        if self.switched_off:
            session.close(frames.SWITCHED_OFF, frames.SWITCHED_OFF_REASON, grace_s=self._grace_s)

    def switch_on(self) -> None:
        """It is fed, and may be subscribed to, again."""
        self.switched_off = False

    def clients(self) -> list[ClientStatus]:
        """Who is attached, and who was, as far as that is remembered."""
        return self._sockets.clients(self._live.position)

    def remember(self, leavers: Leavers) -> None:
        """Who left before this start. Before anybody is served."""
        self._sockets.left = leavers

    def state(self) -> TransportStatus:
        if self._sockets.draining:
            return TransportStatus(state="closed", reason="draining")
        if not self._running:
            return TransportStatus(state="connecting", reason="not running yet")
        return TransportStatus(state="connected", reason=None)

    def status(self) -> GatewayStatus:
        of, front = self.state(), self._front
        return self._sockets.status(
            of.state,
            of.reason,
            live=len(self._live),
            delivered_seq=self._live.delivered,
            behind_events=self._journal.head - self._live.delivered,
            frames_written=self._live.frames_written + (front.frames_written if front is not None else 0),
            upstream=front.status() if front is not None else None,
            assigning=self._assigning,
        )


def _bad_request(error: resume.BadRequest) -> web.HTTPBadRequest:
    errors = [{"index": None, "id": None, "field": error.field, "code": "value", "reason": error.reason}]
    return web.HTTPBadRequest(text=json.dumps({"errors": errors}), content_type="application/json")
