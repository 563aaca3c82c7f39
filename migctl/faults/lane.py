"""A lane: one direction of a connection, in which each chunk has a time at which it is due.

So a round trip costs time and never bandwidth, and order is kept when the delay changes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

# Above a fast line's bandwidth times half a second.
_MOST_BYTES = 32 << 20
# A timer may be early by its own resolution.
_EARLY_S = 0.0005


class Lane:
    """source, target: the sockets that it reads and writes, None before they are connected and after one is gone.

    ended: called when the end of the stream was passed on.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._last_due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._blocked = False
        self._when_ended = ended
        self.source: asyncio.Transport | None = None
        self.target: asyncio.Transport | None = None
        self.ended = False

    def hold(self, seconds: float) -> None:
        """Let nothing through before this time has passed."""
        self._last_due = self._loop.time() + seconds

    def put(self, data: bytes, delay_s: float) -> None:
        """data: empty for the end of the stream."""
        self._last_due = max(self._loop.time() + delay_s, self._last_due)
        self._queue.append((self._last_due, data))
        self._bytes += len(data)
        self.flush()

    def flush(self) -> None:
        """Write what is due, and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        if self.target is not None and not self.target.is_closing():
            while self._queue and self._queue[0][0] <= now + _EARLY_S:
                data = self._queue.popleft()[1]
                self._bytes -= len(data)
                if data:
                    self.target.write(data)
                else:
                    self._end(self.target)
                    break
            if self._queue:
                self._timer = self._loop.call_at(self._queue[0][0], self.flush)
        self._throttle()

    def block(self, blocked: bool) -> None:
        """The other side reads more slowly than this one sends."""
        self._blocked = blocked
        self._throttle()

    def _throttle(self) -> None:
        if self.source is None or self.source.is_closing():
            return
        full = self._blocked or self._bytes > _MOST_BYTES
        if full and self.source.is_reading():
            self.source.pause_reading()
        elif not full and not self.source.is_reading():
            self.source.resume_reading()

    def _end(self, target: asyncio.Transport) -> None:
        self.ended = True
        if target.can_write_eof():
            target.write_eof()
        self._when_ended()
