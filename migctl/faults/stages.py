"""Stages: what each toxic does to one direction of one connection. Pure: times and randomness are arguments.

A stage takes pieces in order and lets them leave in order, each at a time of its own. Times are seconds of any clock that does not
go back. What a stage is given after an end is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from math import inf
from typing import NamedTuple

from migctl.faults.toxics import Kind

# Uniform, from 0 up to 1.
Draw = Callable[[], float]


class Mark(Enum):
    """How a stream ends. END: its sender is done, the other direction goes on. CLOSE, RESET: the whole connection."""

    END = "end"
    CLOSE = "close"
    RESET = "reset"


def may_follow(ended: Mark | None, mark: Mark | None) -> bool:
    """Whether this still counts, after that: what ends the connection does, after the end of one direction."""
    return ended is None or (ended is Mark.END and mark in (Mark.CLOSE, Mark.RESET))


class Piece(NamedTuple):
    """at: when it comes to a stage, or leaves it."""

    at: float
    data: bytes
    mark: Mark | None = None


class Stage:
    """Passes on what it gets, at once.

    room: bytes that it may hold before the sender is made to wait. vanished: it took bytes that nobody will get.
    """

    room = 64 << 10

    def __init__(self) -> None:
        self._queue: deque[Piece] = deque()
        self._ended: Mark | None = None
        self._last = -inf
        self.held = 0
        self.vanished = False

    def put(self, piece: Piece) -> None:
        if may_follow(self._ended, piece.mark):
            self._ended = piece.mark
            self._take(piece)

    def due(self) -> float | None:
        """When it next has something to do; None: not before it gets something."""
        return self._queue[0].at if self._queue and self._queue[0].at < inf else None

    def advance(self, now: float) -> list[Piece]:
        """What has left it by now."""
        left = []
        while self._queue and self._queue[0].at <= now:
            left.append(self._queue.popleft())
            self.held -= len(left[-1].data)
        return left

    def update(self, attributes: Mapping[str, int], now: float) -> None:
        """Other attributes from now on. What is under way keeps its time, unless it says otherwise."""

    def lift(self, now: float) -> list[Piece]:
        """What it holds leaves now, since it goes."""
        left = [piece._replace(at=now) for piece in self._queue]
        self._queue.clear()
        self.held = 0
        return left

    def _take(self, piece: Piece) -> None:
        self._leave(piece.at, piece)

    def _leave(self, at: float, piece: Piece) -> None:
        """Nothing leaves before what came before it."""
        self._last = max(at, self._last)
        self._queue.append(piece._replace(at=self._last))
        self.held += len(piece.data)


class Latency(Stage):
    """Each piece leaves so much after it came, give or take the jitter. It costs time and never bandwidth."""

    room = 32 << 20  # above a fast line's bandwidth times half a second

    def __init__(self, delay_s: float, jitter_s: float, draw: Draw) -> None:
        super().__init__()
        self.delay_s, self._jitter_s, self._draw = delay_s, jitter_s, draw

    def update(self, attributes: Mapping[str, int], now: float) -> None:
        self.delay_s, self._jitter_s = attributes["latency"] / 1000, attributes["jitter"] / 1000

    def is_clear(self, now: float) -> bool:
        """What comes now leaves now, and it holds nothing."""
        return (
            not (self._queue or self.delay_s or self._jitter_s) and self._ended is None and self._last <= now
        )

    def hold(self, until: float) -> None:
        """Nothing that comes leaves before this time."""
        self._last = max(until, self._last)

    def _take(self, piece: Piece) -> None:
        jitter_s = (2 * self._draw() - 1) * self._jitter_s if self._jitter_s else 0.0
        self._leave(piece.at + max(0.0, self.delay_s + jitter_s), piece)


class Bandwidth(Stage):
    """rate: KB/s, of 1000 bytes; 0 holds everything for as long as it lasts."""

    def __init__(self, rate: int) -> None:
        super().__init__()
        self._rate = rate
        self._busy = -inf  # until when it is sending

    def update(self, attributes: Mapping[str, int], now: float) -> None:
        """What waits is sent at the new rate."""
        waiting = self.lift(now)
        self._rate = attributes["rate"]
        self._busy = self._last = now
        for piece in waiting:
            self._take(piece)

    def _take(self, piece: Piece) -> None:
        if piece.mark is not None or self._rate == 0:
            self._leave(piece.at if self._rate else inf, piece)
            return
        # Parts of a tenth of a second each, so that a slow line is steady.
        size = self._rate * 100
        for start in range(0, len(piece.data), size):
            part = piece.data[start : start + size]
            self._busy = max(piece.at, self._busy) + len(part) / (self._rate * 1000)
            self._leave(self._busy, Piece(piece.at, part))


class SlowClose(Stage):
    """What ends the stream leaves so much later."""

    def __init__(self, delay_s: float) -> None:
        super().__init__()
        self._delay_s = delay_s

    def update(self, attributes: Mapping[str, int], now: float) -> None:
        self._delay_s = attributes["delay"] / 1000

    def _take(self, piece: Piece) -> None:
        self._leave(piece.at + (self._delay_s if piece.mark is not None else 0.0), piece)


class Slicer(Stage):
    """Pieces leave in slices of about this many bytes, give or take the variation, each so much after the one before it."""

    def __init__(self, average: int, variation: int, delay_s: float, draw: Draw) -> None:
        super().__init__()
        self._average, self._variation, self._delay_s, self._draw = average, variation, delay_s, draw
        self._free = -inf  # when the next slice may leave

    def update(self, attributes: Mapping[str, int], now: float) -> None:
        self._average, self._variation = attributes["average_size"], attributes["size_variation"]
        self._delay_s = attributes["delay"] / 1e6

    def _take(self, piece: Piece) -> None:
        if piece.mark is not None:
            self._leave(max(piece.at, self._free), piece)
            return
        start = 0
        while start < len(piece.data):
            size = self._average + round((2 * self._draw() - 1) * self._variation)
            at = max(piece.at, self._free)
            self._leave(at, Piece(at, piece.data[start : start + size]))
            self._free = at + self._delay_s
            start += size


class LimitData(Stage):
    """Closes the connection after so many bytes of this stream, counted from when it came."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._passed = 0

    def update(self, attributes: Mapping[str, int], now: float) -> None:
        self._limit = attributes["bytes"]

    def _take(self, piece: Piece) -> None:
        if piece.mark is not None:
            self._leave(piece.at, piece)
            return
        passes = piece.data[: max(0, self._limit - self._passed)]
        self._passed += len(passes)
        if passes:
            self._leave(piece.at, Piece(piece.at, passes))
        if self._passed >= self._limit:
            self._ended = Mark.CLOSE
            self._leave(piece.at, Piece(piece.at, b"", Mark.CLOSE))


class Swallowing(Stage):
    """Takes whatever comes, also a sender's end, and ends the connection at its time. What other toxics end passes.

    mark: how it ends. after_s: how long after `since`; None: never. since: None: when the first comes.
    """

    def __init__(self, mark: Mark, after_s: float | None, since: float | None) -> None:
        super().__init__()
        self._mark, self._after_s, self._since = mark, after_s, since

    def due(self) -> float | None:
        queued = super().due()
        times = [time for time in (queued, self._ends_at()) if time is not None]
        return min(times, default=None)

    def advance(self, now: float) -> list[Piece]:
        ends_at = self._ends_at()
        if ends_at is not None and ends_at <= now:
            self._ended = self._mark
            self._leave(ends_at, Piece(ends_at, b"", self._mark))
        return super().advance(now)

    def put(self, piece: Piece) -> None:
        if self._since is None:
            self._since = piece.at
        if piece.mark in (None, Mark.END):
            self.vanished = True
        else:
            super().put(piece)

    def _ends_at(self) -> float | None:
        if self._ended is not None or self._since is None or self._after_s is None:
            return None
        return self._since + self._after_s


class Timeout(Swallowing):
    """timeout: milliseconds after which it closes the connection, whatever comes meanwhile; 0: never."""

    def __init__(self, timeout: int, now: float) -> None:
        super().__init__(Mark.CLOSE, timeout / 1000 if timeout else None, now)

    def update(self, attributes: Mapping[str, int], now: float) -> None:
        """Counted anew."""
        self._since = now
        self._after_s = attributes["timeout"] / 1000 or None


class ResetPeer(Swallowing):
    """timeout: milliseconds until it resets the connection: from when it was armed, or, for a new one, from its first bytes."""

    def __init__(self, timeout: int, since: float | None) -> None:
        super().__init__(Mark.RESET, timeout / 1000, since)

    def update(self, attributes: Mapping[str, int], now: float) -> None:
        """Counted anew, where it has begun."""
        self._since = None if self._since is None else now
        self._after_s = attributes["timeout"] / 1000


def stage_of(kind: Kind, attributes: Mapping[str, int], now: float, *, is_open: bool, draw: Draw) -> Stage:
    """attributes: all those of its type. is_open: the connection was there before the toxic."""
    match kind:
        case "latency":
            return Latency(attributes["latency"] / 1000, attributes["jitter"] / 1000, draw)
        case "bandwidth":
            return Bandwidth(attributes["rate"])
        case "slow_close":
            return SlowClose(attributes["delay"] / 1000)
        case "timeout":
            return Timeout(attributes["timeout"], now)
        case "reset_peer":
            return ResetPeer(attributes["timeout"], now if is_open else None)
        case "slicer":
            return Slicer(
                attributes["average_size"], attributes["size_variation"], attributes["delay"] / 1e6, draw
            )
        case "limit_data":
            return LimitData(attributes["bytes"])
