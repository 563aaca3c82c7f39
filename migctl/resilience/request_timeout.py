"""Request timeout: how long an answer is awaited, from how long answers took. Pure.

As TCP's retransmission timer (RFC 6298): the smoothed mean and four times the smoothed deviation, doubled when nothing came. A
request of 4 MiB takes longer than one of 1 KiB, and on a slow line much longer; so each class of sizes has a memory of its own.
Otherwise a quiet hour of small requests would teach a timeout that a backlog's first large one can't keep.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

# Upper bounds in bytes of all classes but the largest.
_CLASSES = (1 << 14, 1 << 17, 1 << 20)

_ALPHA, _BETA, _DEVIATIONS = 1 / 8, 1 / 4, 4.0  # RFC 6298, 2.3


@dataclass(slots=True)
class _Memory:
    """Of one class. seconds: its timeout, None until something is known."""

    seconds: float | None = None
    mean_s: float | None = None
    deviation_s: float = 0.0


class RequestTimeout:
    """initial_s: until an answer was measured; min_s, max_s: the timeout is never outside. All in seconds."""

    def __init__(self, initial_s: float, min_s: float, max_s: float) -> None:
        self.bound(initial_s, min_s, max_s)
        self._memories = [_Memory() for _ in range(len(_CLASSES) + 1)]

    def bound(self, initial_s: float, min_s: float, max_s: float) -> None:
        """Other bounds from now on; what was measured stays. Raises ValueError."""
        if not 0 < min_s <= max_s or not 0 < initial_s <= max_s:
            raise ValueError(
                f"expected min_s and initial_s above 0 and at most max_s, got {initial_s}, {min_s}, {max_s}"
            )
        self._initial_s = initial_s
        self._min_s = min_s
        self._max_s = max_s

    def seconds(self, size: int = 0) -> float:
        """The timeout for a request of this many bytes, those of its answer included. A larger one never has less."""
        place = bisect_left(_CLASSES, size)
        own = self._memories[place].seconds
        smaller = [memory.seconds for memory in self._memories[:place] if memory.seconds is not None]
        larger = [memory.seconds for memory in self._memories[place + 1 :] if memory.seconds is not None]
        if own is None:  # as the first one, but between what its neighbours need
            own = min([self._initial_s, *larger])
        return self._bounded(max([own, *smaller]))

    def answered(self, took_s: float, size: int = 0) -> None:
        """An answer came after this time: what was doubled before is forgotten, and the answer counts."""
        memory = self._memories[bisect_left(_CLASSES, size)]
        if memory.mean_s is None:
            memory.mean_s, memory.deviation_s = took_s, took_s / 2
        else:
            memory.deviation_s += _BETA * (abs(memory.mean_s - took_s) - memory.deviation_s)
            memory.mean_s += _ALPHA * (took_s - memory.mean_s)
        memory.seconds = self._bounded(memory.mean_s + _DEVIATIONS * memory.deviation_s)

    def timed_out(self, size: int = 0) -> None:
        """Nothing came within the timeout: the next request of this size gets twice as long."""
        self._memories[bisect_left(_CLASSES, size)].seconds = self._bounded(2 * self.seconds(size))

    def _bounded(self, seconds: float) -> float:
        return min(self._max_s, max(self._min_s, seconds))
