"""Carriers: runs the transports that Attachment wants, as tasks of one group, and tells it what the server says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

import msgspec

from migctl import clock
from migctl.resilience import News
from migctl.subscriber.core.assigned import Held
from migctl.subscriber.core.attachment import Attachment, Observed, Reach
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.gateway.frames import Redirect
from migctl.telemetry import get_logger
from migctl.transports.protocol import TransportName

log = get_logger("subscriber")

# Within which time to come back where the server does not say it.
SPREAD_S = 2.0


def spread_s(redirect: Redirect | None, *, own_s: float | None, most_s: float) -> float:
    """Within which time to go back, at random. own_s: the application's word, which wins; most_s bounds the server's."""
    if own_s is not None:
        return own_s
    return SPREAD_S if redirect is None or redirect.spread_s is None else min(redirect.spread_s, most_s)


class Carrier(Protocol):
    """What brings events or news, while it runs."""

    @property
    def observed(self) -> Observed: ...

    def start(self) -> None:
        """`run` is about to be called: until it is connected, this is since when it is away."""

    async def run(self) -> None: ...


class Carriers:
    """`run` until cancelled.

    stream, live: what brings events by WebSocket and by Realtime. standby: keeps the gateway's word where there is no stream.
    changed: woken by each of them after a change of its own. owes: what nobody told of was not asked for yet.
    """

    def __init__(
        self,
        attachment: Attachment,
        merge: Merge,
        changed: News,
        *,
        stream: Carrier,
        live: Carrier,
        standby: Carrier,
        owes: Callable[[], bool] = lambda: False,
    ) -> None:
        self._attachment = attachment
        self._merge = merge
        self._changed = changed
        self._owes = owes
        self._carriers = {"websocket": stream, "realtime": live, "standby": standby}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def observed(self) -> dict[TransportName, Observed]:
        # Without a socket of its own, what the standby observes of the gateway is what there is to observe.
        if "websocket" in self._tasks:
            gateway = self._carriers["websocket"].observed
        else:
            gateway = msgspec.structs.replace(self._carriers["standby"].observed, carries=False)
        return {
            "websocket": gateway,
            "realtime": self._carriers["realtime"].observed,
        }

    @property
    def attached(self) -> frozenset[TransportName]:
        """The transports that bring events now."""
        names: tuple[TransportName, ...] = ("websocket", "realtime")
        return frozenset(name for name in names if self._carriers[name].observed.up)

    @property
    def gateway_lives(self) -> bool:
        return self.observed["websocket"].up

    @property
    def keeps_to_websocket(self) -> bool:
        """Realtime does not stand in for it."""
        return self._attachment.assigned == "websocket" and not self._attachment.can_fall_back

    def redirect(
        self,
        word: Redirect | None,
        *,
        own_spread_s: float | None,
        most_spread_s: float,
        random: Callable[[], float] = random.random,
    ) -> None:
        """The gateway's word of fallback; None says that there is none. random: uniform in [0, 1)."""
        attachment = self._attachment
        if word is not None:
            log.info("redirected", to=word.to, reason=word.reason, position=self._merge.place)
        to = "realtime" if word is None else word.to
        within_s = spread_s(word, own_s=own_spread_s, most_s=most_spread_s)
        attachment.redirect(to, clock.mono(), jitter_s=random() * within_s)
        self._changed.wake()

    def set(self, *, hold_s: float, to_realtime: bool) -> None:
        """How to fall back."""
        attachment = self._attachment
        if (hold_s, to_realtime) != (attachment.hold_s, attachment.to_realtime):
            attachment.hold_s, attachment.to_realtime = hold_s, to_realtime
            self._changed.wake()

    def assign(self, held: Held) -> None:
        """What it goes by now."""
        if held.transport != self._attachment.assigned:
            log.info(
                "assigned anew",
                transport=held.transport,
                version=held.version,
                braked=held.braked,
                position=self._merge.place,
            )
            self._attachment.assign(held.transport)
            self._changed.wake()

    @property
    def _reach(self) -> Reach:
        return Reach(self._merge.top, self._merge.heard, self._owes())

    async def run(self) -> None:
        before: frozenset[TransportName] = frozenset()
        async with asyncio.TaskGroup() as group:
            while True:
                wanted = self._attachment.decide(clock.mono(), self.observed, self._reach)
                if wanted.transports != before:
                    before = wanted.transports
                    log.info(
                        "transports",
                        assigned=self._attachment.assigned,
                        now=sorted(before),
                        position=self._merge.place,
                    )
                self._apply(before, group)
                await self._changed.wait(wanted.until - clock.mono())

    def _apply(self, transports: frozenset[TransportName], group: asyncio.TaskGroup) -> None:
        # The gateway tells of a fallback over any socket; who has none for events keeps one for that.
        wanted = transports if "websocket" in transports else transports | {"standby"}
        for name, carrier in self._carriers.items():
            task = self._tasks.get(name)
            if task is None and name in wanted:
                carrier.start()
                task = self._tasks[name] = group.create_task(carrier.run(), name=name)
                task.add_done_callback(self._left(name))
            elif task is not None and name not in wanted:
                task.cancel()

    def _left(self, name: str) -> Callable[[asyncio.Task[None]], None]:
        def left(_: asyncio.Task[None]) -> None:
            del self._tasks[name]
            self._changed.wake()  # it may be wanted again by now

        return left
