"""Forecast: which bound of a journal is reached first, and when, at the present rates. Pure.

The journal grows by its events. Its disk is filled by others too: the write-ahead log, the program's log, whoever else has files
there. What they take is the slope of what the disk has for all but the journal's events, over some minutes.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass
from typing import Literal

from migctl.journal.sqlite.retention import Keep, Space

# What a cursor has not passed for longer is held back by it.
ON_ITS_WAY_HOURS = 1 / 60
# What is further away is never: no rate of some minutes says anything of it.
NEVER_HOURS = 24 * 365.0

SAMPLE_CHECKS = 15  # of the room on the disk, a second apart as a rule
SAMPLES = 120
LEAST_SAMPLES = 9

Bound = Literal["journal", "disk"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """hours: until it is full. bound: what is full then, by journal.max_bytes or by journal.min_free_bytes."""

    hours: float
    bound: Bound


class Others:
    """What takes the disk's room besides the journal's events, in bytes a second. Sampled no more often than every so many."""

    def __init__(self, sample_every_s: float) -> None:
        self._every_s = sample_every_s
        self.per_s = 0.0
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES)

    def measured(self, space: Space, at: float) -> None:
        """at: seconds of a clock that never goes back.

        The median of the slopes between all pairs: one large file that came, or a log that grows and is cut, is no trend.
        """
        if self._samples and at - self._samples[-1][0] < self._every_s:
            return
        samples = self._samples
        samples.append((at, space.free_bytes + space.reusable_bytes + space.used_bytes))
        if len(samples) < LEAST_SAMPLES:
            return
        known = list(samples)
        slopes = [
            (before - after) / (later - earlier)
            for n, (earlier, before) in enumerate(known)
            for later, after in known[n + 1 :]
        ]
        self.per_s = max(0.0, statistics.median(slopes))


def forecast(
    space: Space, keep: Keep, *, bytes_per_s: float, held_back_hours: float, others_per_s: float = 0.0
) -> Forecast | None:
    """The bound that is reached first; None where none is, as far as the rates say.

    bytes_per_s: of events. held_back_hours: how old the oldest event is that a cursor holds back. Up to a minute it is on its way.
    Above that its cursor stands, as far as anybody knows: what it has passed goes in its time, and all that comes after it stays.
    others_per_s: what others take of the disk.
    """
    free = space.free_bytes + space.reusable_bytes - (keep.min_free_bytes or 0)
    rooms: list[tuple[Bound, int, float]] = [("disk", free, others_per_s)]
    if keep.max_bytes is not None:
        rooms.append(("journal", keep.max_bytes - space.used_bytes, 0.0))
    found = []
    for bound, left, others in rooms:
        seconds = _seconds_to_full(space.used_bytes, left, bytes_per_s, others, keep.hours, held_back_hours)
        if seconds is not None and seconds <= NEVER_HOURS * 3600:
            found.append(Forecast(seconds / 3600, bound))
    return min(found, key=lambda one: one.hours, default=None)


def _seconds_to_full(
    used: int, left: int, events: float, others: float, keep_hours: float, held_back_hours: float
) -> float | None:
    """used, left: bytes of the journal, and of room beside it. events, others: bytes a second that each takes."""
    if left <= 0:
        return 0.0
    if events + others <= 0:
        return None
    settled = events * keep_hours * 3600  # from there on as much goes as comes
    if held_back_hours > ON_ITS_WAY_HOURS and settled < used + left:
        goes = max(0.0, min(used, settled) - events * held_back_hours * 3600)
        return (left + goes) / (events + others)
    growth = max(0.0, settled - used)
    together = left / (events + others)
    if together * events <= growth:  # full before it settles
        return together
    return (left - growth) / others if others > 0 else None
