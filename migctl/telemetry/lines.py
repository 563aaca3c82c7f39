"""Lines: what a process says of itself, written by one thread of its own, so that nobody who logs ever waits or fails.

A disk that is full, a pipe that is closed or that nobody reads costs lines, never an event: what does not fit into the queue, and
what could not be written, is dropped and counted, and the count is said once something can be written again.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import accumulate

# Some thousand lines: what a busy process says while whoever reads its pipe is away for seconds.
MAX_WAITING_BYTES = 1 << 20
NEWLINE = b"\n"


class Lines:
    """Queue and thread of one destination.

    write: as `os.write`: takes bytes, returns how many were taken; may block; raises OSError. notice: the line that says how
    many were lost.
    """

    def __init__(
        self,
        write: Callable[[bytes], int],
        notice: Callable[[int], str],
        *,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._write = write
        self._notice = notice
        self._max_waiting_bytes = max_waiting_bytes
        self.lost = 0
        self._noticed = 0
        self._torn = False  # the last line that was written is not whole
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0  # with what is being written
        # Reentrant: a finalizer that logs may interrupt `put`.
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None

    def put(self, line: str) -> None:
        """Queue one line (without its end). Never blocks, never raises."""
        if self._pid != os.getpid():
            # A fork has taken the queue along, but not the thread; the parent writes what was in it.
            self._begin()
        data = line.encode("utf-8", "backslashreplace") + NEWLINE
        with self._changed:
            if self._waiting_bytes + len(data) > self._max_waiting_bytes:
                self.lost += 1
                return
            if self._thread is None and not self._start():
                self.lost += 1
                return
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            self._changed.notify_all()

    def _start(self) -> bool:
        thread = threading.Thread(target=self._drain, name="log", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads for this process, or it is about to end
            return False
        self._thread = thread
        return True

    def flush(self, within_s: float) -> bool:
        """Wait until what was queued is written or lost. False where that takes longer."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while self._waiting_bytes:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or self._pid != os.getpid():
                    return False
                self._changed.wait(left_s)
        return True

    def _drain(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                batch = list(self._waiting)
                self._waiting.clear()
            if self.lost > self._noticed:
                self._write_notice()
            lost = self._put_out(batch)
            with self._changed:
                self.lost += lost
                self._waiting_bytes -= sum(map(len, batch))
                self._changed.notify_all()

    def _write_notice(self) -> None:
        count = self.lost
        if self._put_out([self._notice(count - self._noticed).encode() + NEWLINE]) == 0:
            self._noticed = count

    def _put_out(self, batch: list[bytes]) -> int:
        """How many lines of the batch could not be written."""
        start = len(NEWLINE) if self._torn else 0
        data = NEWLINE * start + b"".join(batch)
        done = 0
        try:
            while done < len(data):
                done += self._write(data[done:])
        except (OSError, ValueError):  # ValueError: the stream was closed
            ends = list(accumulate(map(len, batch), initial=start))[1:]
            if done:
                self._torn = done > start and done not in ends
            return sum(done < end for end in ends)
        self._torn = False
        return 0


def descriptor_writer(descriptor: int) -> Callable[[bytes], int]:
    """Writes to a file descriptor; one that is set to non-blocking (by whoever shares it) is waited for."""

    def write(data: bytes) -> int:
        while True:
            try:
                return os.write(descriptor, data)
            except BlockingIOError:
                room = select.poll()
                room.register(descriptor, select.POLLOUT)
                room.poll()

    return write
