"""Dialing: how a socket to another service is opened. What it answers instead of a socket is an answer, and never more than that.

`websockets` follows redirects, and where one leads to no address it raises what is none of its own errors. Its goodbye waits until
what was sent before is taken, without a bound: from a peer that reads nothing one goes as `hang_up` does.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.frames import CloseCode

from migctl.config.address import is_local

if TYPE_CHECKING:
    from migctl.config.settings import LegacySection

HANG_UP_S = 2.0
# What is read at once may be a hundred thousand frames of two bytes; between two steps everybody else has their turn.
STEP_BYTES = 4 << 10
CHECKED_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a socket to an old service is kept: asked with a ping so often, given up once nothing has come for so long after one.

    max_frame_bytes: of one message.
    """

    ping_every_s: float = 10.0
    silence_s: float = 10.0
    max_frame_bytes: int = 16 << 20

    @classmethod
    def of(cls, legacy: LegacySection) -> Keeping:
        """As the settings have it."""
        return cls(legacy.ping_every_s, legacy.silence_s, legacy.max_frame_bytes)


class Stepping(ClientConnection):
    """Takes what comes in steps. Whatever comes is a sign of life: some services answer no ping."""

    _is_torn = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._kept = bytearray()
        self._arrived_at = self.loop.time()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._arrived_at = self.loop.time()
        if not self._kept and len(data) <= STEP_BYTES:
            super().data_received(data)
            return
        self.transport.pause_reading()
        if not self._kept:
            self.loop.call_soon(self._step)
        self._kept += data

    async def keepalive(self) -> None:
        """Ping, and fail the connection once nothing at all has come for `ping_timeout` after it."""
        assert self.ping_interval is not None
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(self.ping_interval)
                async with self.send_context():
                    self.protocol.send_ping(b"")
                if self.ping_timeout is not None and await self._is_silent(self.ping_timeout):
                    async with self.send_context():
                        self.protocol.fail(CloseCode.INTERNAL_ERROR, "nothing came, and no ping was answered")

    async def _is_silent(self, within_s: float) -> bool:
        asked = self.loop.time()
        while self._arrived_at < asked:
            if self._kept or self.recv_messages.paused:  # it is we who take nothing
                return False
            left = asked + within_s - self.loop.time()
            if left <= 0:
                return True
            await asyncio.sleep(min(left, CHECKED_EVERY_S))
        return False

    async def recv(self, decode: bool | None = None) -> Any:
        """One that is cancelled within a message of many frames ends the socket: the library can't give half of it back."""
        if self._is_torn:
            await self.wait_closed()
            raise self.protocol.close_exc
        try:
            return await super().recv(decode)
        except AssertionError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                raise
            self._is_torn = True
            self.transport.abort()
            raise asyncio.CancelledError from None

    def eof_received(self) -> None:
        if self._kept:
            super().data_received(bytes(self._kept))
            self._kept.clear()
        super().eof_received()

    def _step(self) -> None:
        step = bytes(self._kept[:STEP_BYTES])
        del self._kept[:STEP_BYTES]
        if self.transport.is_closing():
            self._kept.clear()
            return
        if step:
            super().data_received(step)
        if self._kept:
            self.loop.call_soon(self._step)
        elif not self.recv_messages.paused:  # else whoever takes the messages goes on
            self.transport.resume_reading()


class _Dialed(connect):
    """Through the proxy that the environment names, of any scheme, but to this machine; in steps."""

    def __init__(self, uri: str, **more: Any) -> None:
        proxy = None if is_local(uri) else True
        super().__init__(uri, **{"create_connection": Stepping, "proxy": proxy, **more})

    async def create_connection(self) -> ClientConnection:
        try:
            return await super().create_connection()
        except ValueError as error:  # of a proxy's address
            raise InvalidHandshake(f"the proxy of the environment: {error}") from error


class Straight(_Dialed):
    """To the address that was given, and to no other: a redirect is a status like any other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Followed(_Dialed):
    """To where redirects lead; one that leads nowhere is a status like any other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        try:
            return super().process_redirect(exc)
        except ValueError:
            return exc


async def hang_up(
    socket: ClientConnection, code: int = 1000, reason: str = "", *, within_s: float = HANG_UP_S
) -> None:
    """Close it, with a goodbye where the peer takes one in time."""
    try:
        async with asyncio.timeout(within_s):
            await socket.close(code, reason)
    except TimeoutError:
        socket.transport.abort()
