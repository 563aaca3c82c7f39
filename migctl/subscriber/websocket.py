"""WebsocketSubscriber: the stream over our gateway. After a loss it resumes at its position, so nothing is missed or comes twice.

What the gateway no longer has is a `Discontinuity`, and the stream goes on at the first seq that it still has.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)

from migctl import clock
from migctl.errors import MigctlError, Systemic, Transient, Usage
from migctl.events import Position
from migctl.resilience import Backoff
from migctl.subscriber.flow import Batch, Flow
from migctl.subscriber.frames import Hello, read_frame, read_heartbeat, read_hello
from migctl.subscriber.merge import Merge
from migctl.subscriber.pages import Arrived
from migctl.subscriber.release import Discontinuity, Release, Via
from migctl.telemetry import get_logger
from migctl.transports.realtime.rest import is_loopback

HEARTBEAT_S = 5.0
MISSED_HEARTBEATS = 2.5
OPEN_S = 5.0
CLOSE_S = 1.0
MAX_FRAME_BYTES = 16 << 20
RECONNECT = Backoff(0.1, 2.0)

CLOSED_UNAUTHORIZED = 4401

log = get_logger("subscriber")


class WebsocketSubscriber:
    """Use as a context manager; iterate for releases (and discontinuities) in seq order, each id once an epoch.

    url: of the gateway's `/ws`. token: for a gateway that asks for one.
    position: go on after it; None starts at the head, as it is when the socket opens.
    wait_s: how long the gateway may be away before the first readiness; later outages are waited for without end.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        position: Position | None = None,
        wait_s: float = 10.0,
        merge: Merge | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._url = _checked(url)
        self._token = token
        self._wanted = position
        self._wait_s = wait_s
        self._silence_s = MISSED_HEARTBEATS * heartbeat_s
        self._flow = Flow(merge)
        self._connected = self._served = False
        self._ready: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        self._running: asyncio.Task[None] | None = None
        self.reconnects = 0

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._stay_connected(), name="websocket subscriber")
        self._running.add_done_callback(self._stopped)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def ready(self) -> Position:
        """Wait for the gateway's hello; the position that the stream starts after.

        Raises Transient where the gateway can't be reached within `wait_s`, Systemic or Usage where it will never serve us.
        """
        return await asyncio.shield(self._ready)

    def batches(self) -> AsyncIterator[Batch]:
        """Releases in lists, as many as there are at the moment."""
        return self._flow.batches()

    async def __aiter__(self) -> AsyncIterator[Release | Discontinuity]:
        async for batch in self._flow.batches():
            for item in batch:
                yield item

    @property
    def position(self) -> Position | None:
        """The last seq that was handed out."""
        return self._flow.merge.position

    @property
    def merge(self) -> Merge:
        """Counters, for those who report them."""
        return self._flow.merge

    @property
    def idle(self) -> bool:
        """Connected, and nothing known to be missing."""
        return self._connected and not self._flow.merge.behind

    async def ask_head(self) -> Position | None:
        """Where the journal stands now, from the hello of a standby socket. Raises Transient, Systemic or Usage."""
        try:
            async with self._socket(role="standby") as socket:
                hello = await self._hello(socket)
        except (OSError, TimeoutError, WebSocketException) as error:
            raise self._unreachable(error) from error
        return Position(hello.epoch, hello.head)

    def _stopped(self, task: asyncio.Task[None]) -> None:
        """Hand what ended us to whoever waits for us."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # seen: the consumer gets it too
        self._flow.fail(error)

    async def _stay_connected(self) -> None:
        deadline = clock.mono() + self._wait_s
        failures = 0
        while True:
            try:
                async with self._socket(position=self.merge.top or self._wanted) as socket:
                    await self._serve(socket)
                error: MigctlError = Transient(f"{self._url}: closed", do="nothing: it is tried again")
            except (OSError, TimeoutError, WebSocketException) as lost:
                error = self._unreachable(lost)
            finally:
                connected, self._connected = self._connected, False
            if not error.retry or (not self._ready.done() and clock.mono() >= deadline):
                raise error
            failures = 1 if connected else failures + 1
            tell = log.warning if failures == 1 else log.debug
            tell("websocket lost", position=str(self.merge.top), reason=error.what)
            await asyncio.sleep(RECONNECT.delay_s(failures, random.random))

    def _socket(self, *, position: Position | None = None, role: str | None = None) -> connect:
        query = {"v": "2"}
        if position is not None and position.epoch:
            query |= {"epoch": position.epoch, "after": str(position.seq)}
        if role is not None:
            query["role"] = role
        parts = urlsplit(self._url)
        address = urlunsplit(parts._replace(query=urlencode(parse_qsl(parts.query) + list(query.items()))))
        return connect(
            address,
            additional_headers={"Authorization": f"Bearer {self._token}"} if self._token else None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            max_size=MAX_FRAME_BYTES,
            compression=None,
            ping_interval=None,  # the gateway's heartbeat says more: that it still follows the journal
            proxy=None if is_loopback(self._url) else True,
        )

    async def _hello(self, socket: ClientConnection) -> Hello:
        async with asyncio.timeout(OPEN_S):
            text = await socket.recv(decode=False)
        hello = read_hello(text)
        if hello is None or hello.v != 2:
            raise Usage(
                f"{self._url}: what answers there does not speak v2 of migctl's protocol",
                do="give the address of the gateway that `migctl serve` opens, such as ws://127.0.0.1:8080/ws",
            )
        return hello

    async def _serve(self, socket: ClientConnection) -> None:
        """Take what one socket brings until it ends. Raises what the socket raises."""
        hello = await self._hello(socket)
        if not self._begin(hello):
            return
        self._connected = True
        if self._served:
            self.reconnects += 1
            log.info("websocket resumed", position=str(self.merge.top), resume=hello.resume)
        self._served = True
        merge, epoch = self.merge, hello.epoch
        self._flow.hear(epoch, hello.head)
        via: Via = "resume" if hello.resume == "recovered" else "live"
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._silence_s) as silence:
            while True:
                text = await socket.recv(decode=False)
                arrived = Arrived(clock.now(), clock.mono_ns())
                silence.reschedule(loop.time() + self._silence_s)
                frame = read_frame(text)
                if frame.seq is not None and frame.id is not None:
                    top = merge.top
                    if top is not None and frame.seq > top.seq + 1:
                        log.error("the gateway left a hole", position=str(top), seq=frame.seq)
                        return
                    item = frame.release(epoch, via, arrived)
                    if merge.fits(item):
                        self._flow.offer([item])
                    else:  # our consumer is slow: not the gateway's silence
                        silence.reschedule(None)
                        await self._flow.put(item)
                        silence.reschedule(loop.time() + self._silence_s)
                elif frame.type == "sys.caught_up":
                    via = "live"
                elif (beat := read_heartbeat(frame)) is not None and beat.epoch == epoch:
                    self._flow.hear(epoch, beat.head)

    def _begin(self, hello: Hello) -> bool:
        """Act on the hello. False where a new socket, at another position, would bring more than this one."""
        top = self.merge.top
        wanted = top or self._wanted
        here = Position(hello.epoch, hello.head)
        if wanted is None or not wanted.epoch:
            self._start(here)
            return True
        if top is None:
            self._start(wanted)
            top = wanted
        if hello.resume == "recovered":
            return True
        resumed = here if hello.reason == "ahead" else Position(hello.epoch, max(0, hello.tail - 1))
        log.error("the gateway can't resume", position=str(top), resumed=str(resumed), reason=hello.reason)
        if resumed.epoch == top.epoch and resumed.seq > top.seq:
            self._flow.lose(resumed.seq, hello.reason or "trimmed")
        else:
            self._flow.next_epoch(resumed, reason=hello.reason or "epoch")
        return resumed == here

    def _start(self, position: Position) -> None:
        self._flow.start(position)
        self._ready.set_result(position)

    def _unreachable(self, error: Exception) -> MigctlError:
        what = f"{self._url}: the gateway can't be reached: {_words(error)}"
        if isinstance(error, ConnectionClosed):
            code = error.rcvd.code if error.rcvd is not None else 1006
            what = f"{self._url}: the gateway closed the socket: {_words(error)}"
            if code == CLOSED_UNAUTHORIZED:
                return Systemic(what, do="give a token that is good for subscribing")
        elif isinstance(error, InvalidStatus):
            status = error.response.status_code
            if status == 410:
                return Systemic(what, do="the WebSocket was switched off; capture --transport realtime")
            if status in (401, 403):
                return Systemic(what, do="give a token that is good for subscribing")
            # Later on, an answer like these is a proxy's, whose server is about to come back.
            if not self._ready.done() and (status in (400, 404, 426) or status < 400):
                return Usage(what, do="give the address of `migctl serve`, such as ws://127.0.0.1:8080/ws")
        elif isinstance(error, InvalidURI):
            return Usage(what, do="give the address of `migctl serve`, such as ws://127.0.0.1:8080/ws")
        elif isinstance(error, TimeoutError) and self._connected:
            what = f"{self._url}: no heartbeat for {self._silence_s:g} s"
        return Transient(what, do="start it with `migctl serve`, or give its address with --url")


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Usage(f"{url!r} is no address of a WebSocket", do="write ws://HOST:PORT/ws or wss://HOST/ws")
    return url


def _words(error: Any) -> str:
    if isinstance(error, InvalidStatus):
        body = (error.response.body or b"").decode("utf-8", "replace")
        return f"HTTP {error.response.status_code} {' '.join(body.split())[:200]}".strip()
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return str(error) or type(error).__name__
