"""Standby: a socket of the gateway that brings no events, only its heartbeats and where to go.

So a subscriber on Realtime is sent to the gateway, and does not have to guess it from silence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import NoReturn

from websockets.asyncio.client import ClientConnection

from migctl import clock
from migctl.errors import MigctlError
from migctl.resilience import Retry
from migctl.subscriber.core.assigned import Answer
from migctl.subscriber.core.attachment import Observed
from migctl.subscriber.core.liveness import Liveness
from migctl.subscriber.gateway.client import LOST, Address
from migctl.subscriber.gateway.frames import Hello, Redirect, read_assignment, read_heartbeat, read_redirect
from migctl.subscriber.gateway.stream import RECONNECT
from migctl.subscriber.watching import watched
from migctl.telemetry import get_logger
from migctl.transports import wire

log = get_logger("subscriber")


def is_word(redirect: Redirect | None, *, greeted: bool) -> bool:
    """Whether a frame says where to go. Pure. greeted: another frame came before it on this socket.

    | the frame is         | the first | a later one                         |
    |----------------------|-----------|-------------------------------------|
    | `sys.fallback`       | yes       | yes                                 |
    | anything else        | yes: to nowhere, where somebody is sent it is said first | no |
    """
    return redirect is not None or not greeted


class Standby:
    """`run` until cancelled; it never ends by itself. changed, redirected, heartbeat_s, told, claims: as of Stream."""

    def __init__(
        self,
        address: Address,
        *,
        changed: Callable[[], None],
        redirected: Callable[[Redirect | None], None],
        heartbeat_s: float | None = None,
        on_assignment: Callable[[Answer], None] = lambda _: None,
        claims: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._address = address
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

    @property
    def observed(self) -> Observed:
        return self._liveness.observed

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
            # Events come over Realtime meanwhile: no loss of it is a warning.
            level = min(self._retry.failed(error).level, logging.INFO)
            log.log(level, "standby lost", reason=error.what)
            await self._retry.wait()

    async def _once(self) -> MigctlError:
        """One socket, from its opening to its loss; what ended it."""
        try:
            async with self._address.open(role="standby", claims=self._claims()) as (socket, hello, took_s):
                self._join(hello, took_s)
                async with watched(self._address.url, self._liveness, lambda: self._address.ask(socket)):
                    await self._listen(socket)
        except MigctlError as refused:
            return refused
        except LOST as lost:
            return self._address.unreachable(lost, met=self._liveness.up)
        finally:
            if self._liveness.up:
                self._liveness.lose(clock.mono())
                self._changed()

    def _join(self, hello: Hello, took_s: float) -> None:
        if self._heartbeat_s is None:
            self._liveness.silence_s = wire.silence_s(hello.heartbeat_s)
        self._assigns = hello.assigns
        self._liveness.join(clock.mono(), asks=hello.asks, took_s=took_s)
        self._retry.succeeded()
        self._changed()

    async def _listen(self, socket: ClientConnection) -> NoReturn:
        """Raises what the socket raises."""
        greeted = False
        while True:
            frame = self._address.frame(await socket.recv(decode=False))
            if read_heartbeat(frame) is not None:
                self._liveness.answer(clock.mono())
            self._liveness.hear(clock.mono())
            redirect = read_redirect(frame)
            if is_word(redirect, greeted=greeted):
                self._redirected(redirect)
            greeted = True
            if (answer := read_assignment(frame)) is not None:
                self._on_assignment(answer)
