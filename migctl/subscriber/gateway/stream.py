"""Stream: what the gateway sends, into a Flow, over one socket after another. After a loss it resumes at the Flow's position.

Alone, it declares what the gateway no longer has a `Discontinuity` and goes on at the first seq that is still there. With tables
beside it, it leaves that to whoever reads them: what comes live waits until the hole is filled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from websockets.asyncio.client import ClientConnection

from migctl import clock
from migctl.errors import MigctlError, Transient
from migctl.events import Position
from migctl.events.arrived import Arrived
from migctl.resilience import Backoff, Retry
from migctl.subscriber.core.assigned import Answer
from migctl.subscriber.core.attachment import Observed
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.liveness import Liveness
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.release import Via
from migctl.subscriber.gateway import resuming
from migctl.subscriber.gateway.client import LOST, Address
from migctl.subscriber.gateway.frames import (
    Frame,
    Hello,
    Redirect,
    read_assignment,
    read_heartbeat,
    read_redirect,
)
from migctl.subscriber.watching import watched
from migctl.telemetry import get_logger
from migctl.transports import wire

RECONNECT = Backoff(0.1, 2.0)

log = get_logger("subscriber")


async def _open() -> None:
    """Nothing to wait for before a socket is opened."""


class Stream:
    """`run` until cancelled.

    position: go on after it; None starts at the head, as it is when the first socket opens, unless the Flow was started by then.
    alone: nobody else fills this Flow. may_end: whether an error, before the first hello, is raised; later none is but those
    that no retry changes, and with tables beside it not even those.
    before: awaited before each socket; what it raises is a failure of the gateway.
    changed: called after each hello and each loss. redirected: with the gateway's word of fallback, None where there is
    none. heartbeat_s: how often the gateway is expected to speak; None is what its hello says. told: with the gateway's word of an
    assignment. claims: asked at each opening: whom the socket is for, and what it goes by.
    """

    def __init__(
        self,
        address: Address,
        flow: Flow,
        *,
        position: Position | None = None,
        alone: bool = True,
        may_end: Callable[[MigctlError], bool] = lambda _: False,
        before: Callable[[], Awaitable[None]] = _open,
        changed: Callable[[], None] = lambda: None,
        redirected: Callable[[Redirect | None], None] = lambda _: None,
        heartbeat_s: float | None = None,
        on_assignment: Callable[[Answer], None] = lambda _: None,
        claims: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._address = address
        self._flow = flow
        self._wanted = position
        self._alone = alone
        self._may_end = may_end
        self._before = before
        self._changed = changed
        self._redirected = redirected
        self._heartbeat_s = heartbeat_s
        self._on_assignment = on_assignment
        self._claims = claims
        self._assigns = False
        self._liveness = Liveness(
            clock.mono(), silence_s=wire.silence_s(heartbeat_s or wire.GATEWAY_HEARTBEAT_S)
        )
        self._retry = Retry(RECONNECT)
        self._hellos = 0
        self._held_up = False

    @property
    def observed(self) -> Observed:
        return self._liveness.observed

    @property
    def reconnects(self) -> int:
        return max(0, self._hellos - 1)

    @property
    def merge(self) -> Merge:
        return self._flow.merge

    @property
    def assigns(self) -> bool:
        """It is connected, and gets each new assignment."""
        return self._liveness.up and self._assigns

    def start(self) -> None:
        """`run` is about to be called."""
        self._liveness.start(clock.mono())

    async def run(self) -> None:
        while True:
            error = await self._once()
            if self._may_end(error) or (self._alone and not error.retry):
                raise error
            # With tables beside it, a refusal that no retry changes is still tried again: an operator may be mending it.
            log.log(
                self._retry.failed(error).level,
                "websocket lost",
                position=self.merge.place,
                reason=error.what,
            )
            await self._retry.wait()

    async def _once(self) -> MigctlError:
        """One socket, from its opening to its loss; what ended it."""
        try:
            await self._before()
            async with self._address.open(position=self.merge.top or self._wanted, claims=self._claims()) as (
                socket,
                hello,
                took_s,
            ):
                await self._receive(socket, hello, took_s)
            return Transient(f"{self._address.url}: closed", do="nothing: it is tried again")
        except MigctlError as refused:
            return refused
        except LOST as lost:
            return self._address.unreachable(lost, met=self._hellos > 0)
        finally:
            if self._liveness.up:
                self._liveness.lose(clock.mono())
                self._changed()

    async def _receive(self, socket: ClientConnection, hello: Hello, took_s: float) -> None:
        """Take what one socket brings until it ends. Raises what the socket raises, and Left where nothing comes any more."""
        if not self._begin(hello):
            return
        self._join(hello, took_s)
        via: Via = "resume" if hello.resume == "recovered" else "live"
        liveness = self._liveness
        greeted = False
        async with watched(
            self._address.url,
            liveness,
            lambda: self._address.ask(socket),
            held_up=lambda: self._held_up,
        ):
            while True:
                text = await socket.recv(decode=False)
                arrived = Arrived(clock.now(), clock.mono_ns())
                frame = self._address.frame(text)
                if frame.type == "sys.hb":
                    liveness.answer(arrived.mono_ns / 1e9)
                liveness.hear(arrived.mono_ns / 1e9)
                if not greeted:
                    # A fallback that lasts is told right after the hello, so that any other frame says that none does.
                    greeted = True
                    if frame.type != "sys.fallback":
                        self._redirected(None)
                if frame.seq is None or frame.id is None:
                    via = "live" if frame.type == "sys.caught_up" else via
                    self._obey(frame, hello.epoch)
                    continue
                if resuming.accept(frame.seq, top=self.merge.top, alone=self._alone) == "hole":
                    log.error("the gateway left a hole", position=self.merge.place, seq=frame.seq)
                    return
                item = frame.release(hello.epoch, via, arrived)
                if self.merge.fits(item):
                    self._flow.offer([item])
                else:
                    self._held_up = True
                    try:
                        await self._flow.put(item)
                    finally:
                        self._held_up = False
                    liveness.hear(clock.mono())

    def _begin(self, hello: Hello) -> bool:
        """Act on the hello. False where another socket would bring more."""
        flow, top = self._flow, self.merge.top
        begin = resuming.begin(hello, top=top, wanted=self._wanted, alone=self._alone)
        if begin.start is not None:
            flow.start(begin.start)
        if begin.lose_to is not None or begin.go_to is not None:
            log.error(
                "the gateway can't resume",
                position=self.merge.place,
                resumed=str(begin.go_to or begin.lose_to),
                reason=hello.reason,
            )
        if begin.lose_to is not None:
            flow.lose(begin.lose_to, begin.reason)
        if begin.go_to is not None:
            flow.next_epoch(begin.go_to, reason=begin.reason)
        return begin.keep

    def _join(self, hello: Hello, took_s: float) -> None:
        self._hellos += 1
        self._retry.succeeded()
        if self._hellos > 1:
            log.info("websocket resumed", position=self.merge.place, resume=hello.resume)
        if self._heartbeat_s is None:
            self._liveness.silence_s = wire.silence_s(hello.heartbeat_s)
        self._assigns = hello.assigns
        self._liveness.join(clock.mono(), asks=hello.asks, took_s=took_s)
        self._changed()
        self._flow.hear(hello.epoch, hello.head)

    def _obey(self, frame: Frame, epoch: str) -> None:
        """What a control frame says."""
        if (beat := read_heartbeat(frame)) is not None and beat.epoch == epoch:
            self._flow.hear(epoch, beat.head)
        elif (redirect := read_redirect(frame)) is not None:
            self._redirected(redirect)
        elif (answer := read_assignment(frame)) is not None:
            self._on_assignment(answer)
