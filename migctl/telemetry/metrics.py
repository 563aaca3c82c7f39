"""A histogram to count durations in: cheap enough for every request. The exposition is made of it where a scraper asks."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

# From a commit on a fast disk to a request that waits for a slow one.
DURATIONS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Histogram:
    """Counts values by upper bound. Read while it is written, it may lag by one.

    Of our own, since that of prometheus-client takes a lock for each value: five times as long.
    """

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float] = DURATIONS_S) -> None:
        """bounds: ascending, in the base unit; beyond the last there is infinity."""
        self._bounds = (*bounds, math.inf)
        self._counts = [0] * len(self._bounds)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[float, int]]:
        """Each bound, and how many values are not above it; the last counts all."""
        found: list[tuple[float, int]] = []
        below = 0
        for bound, count in zip(self._bounds, self._counts, strict=True):
            below += count
            found.append((bound, below))
        return found
