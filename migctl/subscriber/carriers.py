"""Carriers: runs the transports that Attachment wants, as tasks of one group, and hears what they and the server have to say."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Protocol

from migctl import clock
from migctl.subscriber.core.attachment import Attachment, Seen, Wanted
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.gateway.frames import Told
from migctl.subscriber.gateway.standby import Standby
from migctl.subscriber.gateway.stream import Stream
from migctl.subscriber.realtime.live import Live
from migctl.telemetry import get_logger
from migctl.transports.protocol import TransportName

log = get_logger("subscriber")

# Where the server does not say within which time to come back; and what it can say at most.
SPREAD_S = 2.0
MOST_SPREAD_S = 10.0

_NOTHING = Seen(up=False, since=0.0)


class Carrier(Protocol):
    """What brings events or news, while it runs."""

    @property
    def seen(self) -> Seen: ...

    def begin(self) -> None: ...

    async def run(self) -> None: ...


class Carriers:
    """`run` until cancelled.

    live, standby: None where there is no Realtime for this subscriber. spread_s: a return that was told is put off by up to this;
    None where that is for the server to say. wake: to be called by the carriers, after each change of theirs; take_word: with what
    the gateway says of fallback. asked: called where the assignment may have changed.
    """

    def __init__(
        self, attachment: Attachment, flow: Flow, *, spread_s: float | None, asked: Callable[[], None]
    ) -> None:
        self._attachment = attachment
        self._flow = flow
        self._spread_s = spread_s
        self._asked = asked
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._waiting: set[asyncio.Event] = set()
        self.stream: Stream | None = None
        self.standby: Standby | None = None
        self.live: Live | None = None

    @property
    def seen(self) -> dict[TransportName, Seen]:
        # Without a socket of its own, what the standby sees of the gateway is what there is to see.
        gateway = self.stream if "websocket" in self._tasks else self.standby
        return {
            "websocket": gateway.seen if gateway is not None else _NOTHING,
            "realtime": self.live.seen if self.live is not None else _NOTHING,
        }

    @property
    def attached(self) -> frozenset[TransportName]:
        """The transports that bring events now."""
        carrying: dict[TransportName, Stream | Live | None] = {
            "websocket": self.stream,
            "realtime": self.live,
        }
        return frozenset(name for name, one in carrying.items() if one is not None and one.seen.up)

    @property
    def gateway_lives(self) -> bool:
        return self.seen["websocket"].up

    @property
    def keeps_to_websocket(self) -> bool:
        """Realtime does not stand in for it."""
        return self._attachment.assigned == "websocket" and not self._attachment.can_fall_back

    def wake(self) -> None:
        self._changed.set()
        for event in self._waiting:
            event.set()

    async def change(self, within_s: float) -> None:
        """Return at the next change, or after this time."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            await _at_most(within_s, event)
        finally:
            self._waiting.discard(event)

    def take_word(self, told: Told | None) -> None:
        attachment = self._attachment
        if told is not None:
            log.info(
                "told where to go", to=told.to, reason=told.reason, position=str(self._flow.merge.position)
            )
        to = attachment.assigned if told is None else told.to
        spread_s = SPREAD_S if told is None or told.spread_s is None else min(told.spread_s, MOST_SPREAD_S)
        if self._spread_s is not None:
            spread_s = self._spread_s
        attachment.tell(to, clock.mono(), jitter_s=random.random() * spread_s)
        # A word of the gateway's comes after a reconnect, or where something has changed.
        self._asked()
        self.wake()

    def assign(self, transport: TransportName, *, hold_s: float, to_realtime: bool) -> None:
        """The server assigns this one now, and says how to fall back from it."""
        attachment = self._attachment
        if (hold_s, to_realtime) != (attachment.hold_s, attachment.to_realtime):
            attachment.hold_s, attachment.to_realtime = hold_s, to_realtime
            self.wake()
        if transport != attachment.assigned:
            log.info("assigned anew", transport=transport, position=str(self._flow.merge.position))
            attachment.assign(transport, clock.mono())
            self.wake()

    async def run(self) -> None:
        before: frozenset[TransportName] = frozenset()
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                wanted = self._attachment.look(clock.mono(), self.seen)
                if wanted.transports != before:
                    self._tell(wanted)
                    before = wanted.transports
                self._apply(wanted.transports, group)
                await _at_most(wanted.look_at - clock.mono(), self._changed)

    def _tell(self, wanted: Wanted) -> None:
        log.info(
            "transports",
            assigned=self._attachment.assigned,
            now=sorted(wanted.transports),
            position=str(self._flow.merge.position),
        )

    def _apply(self, transports: frozenset[TransportName], group: asyncio.TaskGroup) -> None:
        # The gateway tells of a fallback over any socket; who has none for events keeps one for that.
        wanted = transports if "websocket" in transports else transports | {"standby"}
        carriers: dict[str, Carrier | None] = {
            "websocket": self.stream,
            "realtime": self.live,
            "standby": self.standby,
        }
        for name, carrier in carriers.items():
            task = self._tasks.get(name)
            if carrier is None:
                continue
            if task is None and name in wanted:
                carrier.begin()
                task = self._tasks[name] = group.create_task(carrier.run(), name=name)
                task.add_done_callback(self._left(name))
            elif task is not None and name not in wanted:
                task.cancel()

    def _left(self, name: str) -> Callable[[asyncio.Task[None]], None]:
        def left(_: asyncio.Task[None]) -> None:
            del self._tasks[name]
            self.wake()  # it may be wanted again by now

        return left


async def _at_most(within_s: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, within_s) if within_s < float("inf") else None):
            await event.wait()
