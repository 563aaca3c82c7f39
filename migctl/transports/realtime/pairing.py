"""Pairing: which canary went both ways, by broadcast and by a change of the row of heads. Pure: given times.

A message has its number; a change has only the moment of the row, `updated_at`, which the touch is told in its answer. So a change
proves each canary whose touch is not later. The answer may come after the change that it made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from migctl.config.modes import LiveWay

# More are never awaited: silence ends sooner. Of more than that the oldest are no longer of interest.
_MOST_TOUCHES = 64


class Pairing:
    """At most one touch is on its way. Numbers rise; moments are the database's.

    | input              | where                                          | came by changes                                 |
    |--------------------|------------------------------------------------|-------------------------------------------------|
    | `goes(n)`          | (any)                                          | as before; changes before it prove nothing of n |
    | `touched(n, T)`    | a change of T or later came since `goes(n)`    | n                                               |
    | `touched(n, T)`    | none did                                       | as before; n is awaited                         |
    | `touched(n, None)` | (any)                                          | as before; n is not awaited                     |
    | `changed(at)`      | some are awaited whose T is `at` or earlier    | the highest of them                             |
    | `changed(at)`      | none is                                        | as before; kept for a touch that is on its way  |
    | `heard(n)`         | (any)                                          | as before; n came by broadcast                  |

    Each answers with the highest canary that came both ways, where that is a new one, else None. Where the database's clock is set
    back, what came before proves nothing.
    """

    def __init__(self) -> None:
        self._at: dict[int, datetime] = {}  # of those that are awaited by changes, the oldest first
        self._latest: datetime | None = None  # of the changes since the last touch began
        self._by_broadcast = self._by_changes = self._both = 0

    def goes(self, number: int) -> None:
        """Its touch begins."""
        self._latest = None

    def touched(self, number: int, at: datetime | None) -> int | None:
        """Its touch was answered. at: the row's `updated_at` by it; None where it could not be touched."""
        if at is None:
            return None
        if self._latest is not None and self._latest >= at:
            return self._came_by_changes(number)
        self._at[number] = at
        if len(self._at) > _MOST_TOUCHES:
            del self._at[next(iter(self._at))]
        return None

    def changed(self, at: datetime) -> int | None:
        """A change of the row came."""
        self._latest = at if self._latest is None else max(self._latest, at)
        return self._came_by_changes(max((n for n, when in self._at.items() if when <= at), default=0))

    def heard(self, number: int) -> int | None:
        """It came by broadcast."""
        self._by_broadcast = max(self._by_broadcast, number)
        return self._paired()

    def _came_by_changes(self, number: int) -> int | None:
        self._by_changes = max(self._by_changes, number)
        self._at = {n: when for n, when in self._at.items() if n > self._by_changes}
        return self._paired()

    def _paired(self) -> int | None:
        both = min(self._by_broadcast, self._by_changes)
        if both <= self._both:
            return None
        self._both = both
        return both


def silent_ways(
    came_at: Sequence[tuple[LiveWay, float | None]], now: float, *, silent_s: float
) -> Sequence[LiveWay]:
    """By which ways nothing comes, once no canary came both ways for `silent_s`. Pure.

    came_at: when the last came by each, None before the first. Half of that time tells the dead way from one that is well.

    | last by broadcast | last by changes | silent                                     |
    |-------------------|-----------------|--------------------------------------------|
    | lately            | long ago, never | changes                                    |
    | long ago, never   | lately          | broadcast                                  |
    | long ago, never   | long ago, never | both                                       |
    | lately            | lately          | both: each came, and never the same canary |
    """
    silent = [way for way, at in came_at if at is None or now - at > silent_s / 2]
    return silent or [way for way, _ in came_at]
