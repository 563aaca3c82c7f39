"""Standby: a socket of the gateway that brings no events, only its heartbeats and where to go.

So a subscriber on Realtime is told of a fallback, and does not have to guess it from silence.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from migctl import clock
from migctl.errors import MigctlError
from migctl.subscriber.core.attachment import Seen
from migctl.subscriber.gateway.client import HEARTBEAT_S, LOST, MISSED_HEARTBEATS, Address
from migctl.subscriber.gateway.frames import Told, read_told
from migctl.subscriber.gateway.stream import RECONNECT
from migctl.telemetry import get_logger

log = get_logger("subscriber")


class Standby:
    """`run` until cancelled; it never ends by itself. changed, told: as of Stream."""

    def __init__(
        self,
        address: Address,
        *,
        changed: Callable[[], None],
        told: Callable[[Told | None], None],
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._address = address
        self._changed = changed
        self._told = told
        self._silence_s = MISSED_HEARTBEATS * heartbeat_s
        self._since = clock.mono()
        self._heard_at: float | None = None
        self._up = False

    @property
    def seen(self) -> Seen:
        return Seen(self._up, self._since, self._heard_at)

    def begin(self) -> None:
        """`run` is about to be called: until it is connected, this is since when it is away."""
        self._since = clock.mono()

    async def run(self) -> None:
        failures = 0
        while True:
            met = False
            try:
                async with self._address.open(role="standby") as socket:
                    await self._address.hello(socket)
                    met = True
                    self._set(up=True)
                    greeted = False
                    while True:
                        async with asyncio.timeout(self._silence_s):
                            frame = self._address.frame(await socket.recv(decode=False))
                        self._heard_at = clock.mono()
                        told = read_told(frame)
                        if told is not None or not greeted:
                            greeted = True
                            self._told(told)
            except MigctlError as refused:
                error = refused
            except LOST as lost:
                error = self._address.unreachable(lost, met=met, silence_s=self._silence_s if met else None)
            finally:
                if self._up:
                    self._set(up=False)
            failures = 1 if met else failures + 1
            tell = log.info if failures == 1 else log.debug
            tell("standby lost", reason=error.what)
            await asyncio.sleep(RECONNECT.delay_s(failures if error.retry else 10, random.random))

    def _set(self, *, up: bool) -> None:
        self._up, self._since = up, clock.mono()
        self._changed()
