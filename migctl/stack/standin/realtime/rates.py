"""Rates as the real server counts them: buckets of a tick each, their average, and a limit that trips and heals at ticks. Pure.

Follows its `RateCounter`: the first bucket is made empty at the start, so a cold counter trips late.
"""

from __future__ import annotations

from collections import deque


class RateCounter:
    """limit: events a second, on average over up to `buckets` ticks of `tick_s` seconds. Times are monotonic seconds."""

    def __init__(self, limit: int, *, now: float, tick_s: float = 5.0, buckets: int = 12) -> None:
        self._limit = limit
        self._tick_s = tick_s
        self._buckets: deque[int] = deque([0], maxlen=buckets)
        self._count = 0
        self._next = now + tick_s
        self._triggered = False

    def add(self, count: int, now: float) -> None:
        self._roll(now)
        self._count += count

    def triggered(self, now: float) -> bool:
        """True while the limit is exceeded, as of the last tick."""
        self._roll(now)
        return self._triggered

    def average(self, now: float) -> float:
        self._roll(now)
        return sum(self._buckets) / len(self._buckets) / self._tick_s

    def _roll(self, now: float) -> None:
        if now < self._next:
            return
        missed = int((now - self._next) / self._tick_s) + 1
        for _ in range(min(missed, (self._buckets.maxlen or 1) + 1)):
            self._buckets.append(self._count)
            self._count = 0
            self._triggered = sum(self._buckets) / len(self._buckets) / self._tick_s >= self._limit
        self._next += missed * self._tick_s
