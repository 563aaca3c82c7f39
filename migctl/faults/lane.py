"""A lane: one direction of a connection. Its pipeline has the rules; here are its clock, its timer and its sockets."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from migctl.faults.pipeline import Pipeline
from migctl.faults.stages import Latency, Mark, Piece
from migctl.faults.toxics import Toxic

# A timer may be early by its own resolution.
_EARLY_S = 0.0005


class Lane:
    """source, target: the sockets that it reads and writes, None before they are connected and after one is gone.

    ended: called with how the stream ended, once all before it was written. passed: called with how many bytes were written.
    """

    def __init__(
        self, pipeline: Pipeline, *, ended: Callable[[Mark], None], passed: Callable[[int], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.pipeline = pipeline
        self._ready: deque[Piece] = deque()  # waits for the target to be connected
        self._ready_bytes = 0
        self._gone = False  # the target was there
        self._timer: asyncio.TimerHandle | None = None
        self._blocked = False
        self._when_ended, self._when_passed = ended, passed
        self.source: asyncio.Transport | None = None
        self.target: asyncio.Transport | None = None
        self.ended = False

    @property
    def vanished(self) -> bool:
        return self.pipeline.vanished

    def hold(self, seconds: float) -> None:
        """Let nothing through before this time has passed."""
        self.pipeline.line.hold(self._loop.time() + seconds)

    def put(self, data: bytes, mark: Mark | None = None) -> None:
        now = self._loop.time()
        # A line without a fault does nothing to what comes, and a quarter of the time of a small piece went into that.
        if mark is None and self.target is not None and not self._ready and self.pipeline.is_clear(now):
            self._write(data, self.target)
            return
        self.pipeline.put(data, now, mark)
        self.flush()

    def install(self, place: int, toxic: Toxic, *, is_open: bool) -> None:
        """is_open: the connection was there before the toxic."""
        self.pipeline.install(place, toxic, self._loop.time(), is_open=is_open)
        self.flush()

    def update(self, place: int, toxic: Toxic, *, wanted: bool) -> None:
        self.pipeline.update(place, toxic, self._loop.time(), wanted=wanted)
        self.flush()

    def lift(self, name: str) -> None:
        self.pipeline.lift(name, self._loop.time())
        self.flush()

    def lose_target(self) -> None:
        """What still comes goes nowhere."""
        self.target, self._gone = None, True

    def flush(self) -> None:
        """Write what is due, and come back for the rest."""
        self.stop()
        for piece in self.pipeline.advance(self._loop.time() + _EARLY_S):
            self._ready.append(piece)
            self._ready_bytes += len(piece.data)
        while self._ready:
            piece = self._ready[0]
            # What ends the connection does not wait for a server that never came.
            if self.target is None and not self._gone and piece.mark in (None, Mark.END):
                break
            self._ready.popleft()
            self._ready_bytes -= len(piece.data)
            if piece.mark is not None:
                self._end(piece.mark)
                if piece.mark is not Mark.END:
                    return
            elif self.target is not None:
                self._write(piece.data, self.target)
        due = self.pipeline.due()
        if due is not None:
            self._timer = self._loop.call_at(due, self.flush)
        self._throttle()

    def stop(self) -> None:
        """Nothing comes of itself any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def block(self, blocked: bool) -> None:
        """The other side reads more slowly than this one sends."""
        self._blocked = blocked
        self._throttle()

    def _write(self, data: bytes, target: asyncio.Transport) -> None:
        if not target.is_closing():
            target.write(data)
            self._when_passed(len(data))

    def _throttle(self) -> None:
        if self.source is None or self.source.is_closing():
            return
        full = self._blocked or self.pipeline.is_full or self._ready_bytes > Latency.room
        if full and self.source.is_reading():
            self.source.pause_reading()
        elif not full and not self.source.is_reading():
            self.source.resume_reading()

    def _end(self, mark: Mark) -> None:
        self.ended = True
        target = self.target
        if mark is Mark.END and target is not None and not target.is_closing() and target.can_write_eof():
            with suppress(OSError):  # it was reset, which we have not been told yet
                target.write_eof()
        self._when_ended(mark)
