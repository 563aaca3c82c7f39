"""Rates: how many events a second went which way of late. Pure: counters and times are passed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

from migctl.status.rates import RatesStatus

OVER_S = 10.0


@dataclass(frozen=True, slots=True)
class Counters:
    """What was counted by a moment; None for a way that the mode does not have.

    taken: events in the journal, by its head; to_table: by the table's head. A new epoch begins both anew.
    """

    taken: int
    to_table: int | None = None
    to_websocket: int | None = None
    to_realtime: int | None = None


class Rates:
    """Of one `serve`. A count that fell was begun anew: nothing is known until it has risen again."""

    def __init__(self, over_s: float = OVER_S) -> None:
        self._over_s = over_s
        self._samples: deque[tuple[float, Counters]] = deque()

    def sample(self, now: float, counters: Counters) -> None:
        """now: of a monotonic clock."""
        if self._samples and _fell(self._samples[-1][1], counters):
            self._samples.clear()
        self._samples.append((now, counters))
        while len(self._samples) > 2 and self._samples[1][0] <= now - self._over_s:
            self._samples.popleft()

    def status(self) -> RatesStatus | None:
        """None before there were two samples."""
        if len(self._samples) < 2:
            return None
        (began, first), (ended, last) = self._samples[0], self._samples[-1]
        seconds = ended - began
        if seconds <= 0:
            return None

        def rate(name: str) -> float | None:
            before, after = getattr(first, name), getattr(last, name)
            return None if before is None or after is None else round((after - before) / seconds, 1)

        return RatesStatus(
            over_s=round(seconds, 1),
            taken_per_s=rate("taken") or 0.0,
            to_table_per_s=rate("to_table"),
            to_websocket_per_s=rate("to_websocket"),
            to_realtime_per_s=rate("to_realtime"),
        )


def _fell(before: Counters, after: Counters) -> bool:
    for one in fields(Counters):
        was, is_ = getattr(before, one.name), getattr(after, one.name)
        if was is not None and is_ is not None and is_ < was:
            return True
    return False
