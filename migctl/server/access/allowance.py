"""Allowance: how many events a producer may still send, or requests make. Pure: a token bucket that takes the time as an argument.

It holds one second's worth. A request larger than that is taken whole once the bucket is full, and the debt is waited out by
the next: so no size is refused for ever.
"""

from __future__ import annotations

import math


class Allowance:
    """per_second: events, above 0. now: of a monotonic clock, in seconds."""

    __slots__ = ("_at", "_held", "_most", "_per_second")

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._most = max(per_second, 1.0)
        self._held = self._most
        self._at = now

    def take(self, events: int, now: float) -> float:
        """Take this many; return 0, or the seconds after which they may be taken, and then nothing was taken."""
        self._held = min(self._most, self._held + (now - self._at) * self._per_second)
        self._at = now
        missing = min(events, self._most) - self._held
        if missing > 1e-9:
            return missing / self._per_second
        self._held -= events
        return 0.0


class Allowances:
    """One for each name of a token, as many as MIGCTL_TOKENS has. per_second: None for no limit."""

    def __init__(self, per_second: float | None) -> None:
        self.per_second = per_second
        self._by_name: dict[str, Allowance] = {}

    def follow(self, per_second: float | None) -> None:
        """So many from now on."""
        if per_second != self.per_second:
            self.per_second = per_second
            self._by_name.clear()

    def take(self, name: str, events: int, now: float) -> float:
        """As `Allowance.take`, of this name's."""
        if self.per_second is None:
            return 0.0
        allowance = self._by_name.get(name)
        if allowance is None:
            allowance = self._by_name[name] = Allowance(self.per_second, now)
        return allowance.take(events, now)


def retry_after(seconds: float) -> str:
    """For the header `Retry-After`: whole seconds, at least one."""
    return str(max(1, math.ceil(seconds)))
