"""Event classes: high, medium or low frequency, by pattern of the event type, else by its measured rate. Pure.

A rate is counted in windows of 30 s of commit time, and a type is moved after three windows in a row that say the same: one
burst changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

EventClass = Literal["high", "medium", "low"]

WINDOW_S = 30.0
MOVE_AFTER_WINDOWS = 3
HIGH_ABOVE_PER_S = 100.0
MEDIUM_ABOVE_PER_S = 5.0

# Types come from producers; beyond this many, the quiet ones are forgotten.
_MAX_TYPES = 10_000


@dataclass(slots=True)
class _Rate:
    now: EventClass
    window: int
    count: int = 0
    next: EventClass = "low"
    windows_of_next: int = 0


class Classifier:
    """patterns: pattern of event_type (`*`, `?`, `[...]`) to class; the first that matches, in the order of the YAML."""

    def __init__(self, patterns: Mapping[str, EventClass]) -> None:
        self._patterns = dict(patterns)
        self._fixed: dict[str, EventClass | None] = {}
        self._rates: dict[str, _Rate] = {}

    def observe(self, event_type: str, at_s: float) -> EventClass:
        """Count one event and return its class. at_s: its commit time in seconds, not falling."""
        fixed = self._by_pattern(event_type)
        if fixed is not None:
            return fixed
        window = int(at_s // WINDOW_S)
        rate = self._rates.get(event_type)
        if rate is None:
            if len(self._rates) >= _MAX_TYPES:
                self._forget(window)
            rate = self._rates[event_type] = _Rate("low", window)
        if window > rate.window:
            self._close(rate, window)
        rate.count += 1
        return rate.now

    def _by_pattern(self, event_type: str) -> EventClass | None:
        if event_type not in self._fixed:
            if len(self._fixed) >= _MAX_TYPES:
                self._fixed.clear()
            self._fixed[event_type] = next(
                (found for pattern, found in self._patterns.items() if fnmatchcase(event_type, pattern)), None
            )
        return self._fixed[event_type]

    @staticmethod
    def _close(rate: _Rate, window: int) -> None:
        """End the open window; windows without an event between then and now say low."""
        for count in [rate.count, *([0] * min(window - rate.window - 1, MOVE_AFTER_WINDOWS))]:
            said = class_of_rate(count / WINDOW_S)
            if said == rate.now:
                rate.windows_of_next = 0
                continue
            rate.windows_of_next = rate.windows_of_next + 1 if said == rate.next else 1
            rate.next = said
            if rate.windows_of_next >= MOVE_AFTER_WINDOWS:
                rate.now, rate.windows_of_next = said, 0
        rate.window, rate.count = window, 0

    def _forget(self, window: int) -> None:
        quiet = [name for name, rate in self._rates.items() if rate.window < window - MOVE_AFTER_WINDOWS]
        for name in quiet or list(self._rates)[: _MAX_TYPES // 2]:
            del self._rates[name]


def class_of_rate(events_per_s: float) -> EventClass:
    """Above 100/s high, above 5/s medium, else low."""
    if events_per_s > HIGH_ABOVE_PER_S:
        return "high"
    return "medium" if events_per_s > MEDIUM_ABOVE_PER_S else "low"
