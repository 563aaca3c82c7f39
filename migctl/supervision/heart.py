"""Heart: says that a process is ready, that its loop turns, and that it ends; to systemd, or to a parent of ours.

The beat is a task of the event loop, so it stops when the loop hangs, whatever holds it: that is what a watchdog is for. What can't
be said is not waited for: nobody's watching is a reason to serve no events.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from migctl.config.systemd import Systemd
from migctl.resilience import raise_if_cancelled
from migctl.telemetry import get_logger

READY, WATCHDOG, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"
# Of the time after which silence is death: two beats may be lost.
BEATS = 3

log = get_logger("supervision")


class Heart:
    """to: a connected datagram socket, None where nobody wants to hear. silence_s: they kill us after it; None: no beats."""

    def __init__(self, to: socket.socket | None = None, silence_s: float | None = None) -> None:
        self._to = to
        self._every_s = silence_s / BEATS if silence_s is not None else None
        self._unheard = False
        if to is not None:
            to.setblocking(False)

    @classmethod
    def for_systemd(cls, of: Systemd) -> Heart:
        """Where its socket can't be reached, nobody hears, which is logged."""
        if of.socket is None:
            return cls()
        to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            to.connect("\0" + of.socket[1:] if of.socket.startswith("@") else of.socket)
        except OSError as error:
            to.close()
            log.warning(
                "NOTIFY_SOCKET can't be reached", socket=of.socket, error=error.strerror or str(error)
            )
            return cls()
        return cls(to, of.watchdog_s)

    def send(self, *words: str) -> None:
        """Words such as `READY=1`, in one message."""
        if self._to is None:
            return
        try:
            self._to.send("\n".join(words).encode())
            self._unheard = False
        except OSError as error:
            if not self._unheard:
                self._unheard = True
                log.warning(
                    "the supervisor does not hear", words=list(words), error=error.strerror or str(error)
                )

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Beats for as long as the block lasts."""
        task = asyncio.create_task(self._beat(), name="heart")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _beat(self) -> None:
        while self._every_s is not None:
            self.send(WATCHDOG)
            await asyncio.sleep(self._every_s)
            raise_if_cancelled()
