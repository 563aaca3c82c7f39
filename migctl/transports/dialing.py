"""Dialing: how a socket to another service is opened. What it answers instead of a socket is an answer, and never more than that.

`websockets` follows redirects, and where one leads to no address it raises what is none of its own errors. Its goodbye waits until
what was sent before is taken, without a bound: from a peer that reads nothing one goes as `hang_up` does.
"""

from __future__ import annotations

import asyncio
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

HANG_UP_S = 2.0
# What is read at once may be a hundred thousand frames of two bytes; between two steps everybody else has their turn.
STEP_BYTES = 4 << 10


class Stepping(ClientConnection):
    """Takes what comes in steps."""

    _is_torn = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._kept = bytearray()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._kept and len(data) <= STEP_BYTES:
            super().data_received(data)
            return
        self.transport.pause_reading()
        if not self._kept:
            self.loop.call_soon(self._step)
        self._kept += data

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


class Straight(connect):
    """To the address that was given, and to no other: a redirect is a status like any other."""

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **{"create_connection": Stepping, **more})

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Followed(connect):
    """To where redirects lead; one that leads nowhere is a status like any other."""

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **{"create_connection": Stepping, **more})

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
