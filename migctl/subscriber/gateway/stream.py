"""Stream: what the gateway sends, into a Flow, over one socket after another. After a loss it resumes at the Flow's position.

Alone, it declares what the gateway no longer has a `Discontinuity` and goes on at the first seq that is still there. With tables
beside it, it leaves that to whoever reads them: what comes live waits until the hole is filled.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import ClientConnection

from migctl import clock
from migctl.errors import MigctlError, Transient
from migctl.events import Position
from migctl.events.arrived import Arrived
from migctl.resilience import Backoff
from migctl.subscriber.core.attachment import Seen
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.release import Via
from migctl.subscriber.gateway.client import HEARTBEAT_S, LOST, MISSED_HEARTBEATS, Address
from migctl.subscriber.gateway.frames import Hello, Told, read_heartbeat, read_told
from migctl.telemetry import get_logger

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
    changed: told after each hello and each loss. told: what the gateway says of fallback, None where it says that there is none.
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
        told: Callable[[Told | None], None] = lambda _: None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._address = address
        self._flow = flow
        self._wanted = position
        self._alone = alone
        self._may_end = may_end
        self._before = before
        self._changed = changed
        self._told = told
        self._silence_s = MISSED_HEARTBEATS * heartbeat_s
        self._heard_ns = 0
        self._hellos = 0
        self._since = clock.mono()
        self.connected = False
        self.reconnects = 0

    @property
    def seen(self) -> Seen:
        return Seen(self.connected, self._since, self._heard_ns / 1e9 if self._heard_ns else None)

    @property
    def merge(self) -> Merge:
        return self._flow.merge

    def begin(self) -> None:
        """`run` is about to be called: until it is connected, this is since when it is away."""
        self._since = clock.mono()

    async def run(self) -> None:
        failures = 0
        while True:
            hellos = self._hellos
            error = await self._once()
            if self._may_end(error) or (self._alone and not error.retry):
                raise error
            failures = 1 if self._hellos > hellos else failures + 1
            tell = log.warning if failures == 1 else log.debug
            tell("websocket lost", position=str(self.merge.top), reason=error.what)
            # With tables beside it, a refusal that no retry changes is still tried again: an operator may be mending it.
            await asyncio.sleep(RECONNECT.delay_s(failures if error.retry else 10, random.random))

    async def _once(self) -> MigctlError:
        """One socket, from its opening to its loss; what ended it."""
        silent = False
        try:
            await self._before()
            async with self._address.open(position=self.merge.top or self._wanted) as socket:
                await self._serve(socket)
            return Transient(f"{self._address.url}: closed", do="nothing: it is tried again")
        except MigctlError as refused:
            return refused
        except LOST as lost:
            silent = self.connected and isinstance(lost, TimeoutError)
            return self._address.unreachable(
                lost, met=self._hellos > 0, silence_s=self._silence_s if silent else None
            )
        finally:
            if self.connected:
                self.connected = False
                self._since = self._heard_ns / 1e9 if silent else clock.mono()
                self._changed()

    async def _serve(self, socket: ClientConnection) -> None:
        """Take what one socket brings until it ends. Raises what the socket raises."""
        hello = await self._address.hello(socket)
        self._heard_ns = clock.mono_ns()
        if not self._begin(hello):
            return
        self._hellos += 1
        if self._hellos > 1:
            self.reconnects += 1
            log.info("websocket resumed", position=str(self.merge.top), resume=hello.resume)
        self.connected, self._since = True, clock.mono()
        self._changed()
        merge, epoch = self.merge, hello.epoch
        self._flow.hear(epoch, hello.head)
        via: Via = "resume" if hello.resume == "recovered" else "live"
        greeted = False
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._silence_s) as silence:
            while True:
                text = await socket.recv(decode=False)
                arrived = Arrived(clock.now(), clock.mono_ns())
                self._heard_ns = arrived.mono_ns
                silence.reschedule(loop.time() + self._silence_s)
                frame = self._address.frame(text)
                if not greeted:
                    # A fallback that lasts is told right after the hello, so that any other frame says that none does.
                    greeted = True
                    if frame.type != "sys.fallback":
                        self._told(None)
                if frame.seq is not None and frame.id is not None:
                    top = merge.top
                    if self._alone and top is not None and frame.seq > top.seq + 1:
                        log.error("the gateway left a hole", position=str(top), seq=frame.seq)
                        return
                    item = frame.release(epoch, via, arrived)
                    if merge.fits(item):
                        self._flow.offer([item])
                    else:  # our consumer is slow: not the gateway's silence
                        silence.reschedule(None)
                        await self._flow.put(item)
                        self._heard_ns = clock.mono_ns()
                        silence.reschedule(loop.time() + self._silence_s)
                elif frame.type == "sys.caught_up":
                    via = "live"
                elif (beat := read_heartbeat(frame)) is not None and beat.epoch == epoch:
                    self._flow.hear(epoch, beat.head)
                elif (told := read_told(frame)) is not None:
                    self._told(told)

    def _begin(self, hello: Hello) -> bool:
        """Act on the hello. False where a new socket, at another position, would bring more than this one."""
        top = self.merge.top
        wanted = top or self._wanted
        here = Position(hello.epoch, hello.head)
        if wanted is None or not wanted.epoch:
            self._flow.start(here)
            return True
        if top is None:
            self._flow.start(wanted)
            top = wanted
        if hello.resume == "recovered" or not self._alone:
            return True
        resumed = here if hello.reason == "ahead" else Position(hello.epoch, max(0, hello.tail - 1))
        log.error("the gateway can't resume", position=str(top), resumed=str(resumed), reason=hello.reason)
        if resumed.epoch == top.epoch and resumed.seq > top.seq:
            self._flow.lose(resumed.seq, hello.reason or "trimmed")
        else:
            self._flow.next_epoch(resumed, reason=hello.reason or "epoch")
        return resumed == here
