"""Event classes: high, medium or low frequency, by pattern of the event type, else by its measured rate. Pure.

A rate is counted in windows of commit time, and a type is moved after some windows in a row of one other class: one burst changes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

EventClass = Literal["high", "medium", "low"]

# Types come from producers; beyond this many, the quiet ones are forgotten.
_MAX_TYPES = 10_000


@dataclass(frozen=True, slots=True)
class Rates:
    """What YAML says of rates, in events a second; on the bound a type is of the lower class."""

    high_above_per_s: float = 100.0
    medium_above_per_s: float = 5.0
    window_s: float = 30.0
    move_after_windows: int = 3

    def class_of(self, events_per_s: float) -> EventClass:
        if events_per_s > self.high_above_per_s:
            return "high"
        return "medium" if events_per_s > self.medium_above_per_s else "low"


@dataclass(slots=True)
class _Rate:
    now: EventClass
    window: int
    count: int = 0
    next: EventClass = "low"
    windows_of_next: int = 0


class Classifier:
    """patterns: pattern of event_type (`*`, `?`, `[...]`) to class; the first that matches, in the order of the YAML.

    When a window of a type ends, for a type without a pattern; n is `move_after_windows`:

    | the window is of        | windows in a row of that class before it | the type's class   | in a row now |
    |-------------------------|------------------------------------------|--------------------|--------------|
    | the type's own class    | any                                      | as before          | 0            |
    | another                 | fewer than n - 1                         | as before          | one more     |
    | another                 | n - 1                                    | that one           | 0            |
    | a third                 | any of the second                        | as before          | 1            |

    A window without an event is of the low class. A new type is low.
    """

    def __init__(self, patterns: Mapping[str, EventClass], rates: Rates) -> None:
        self._rules = rates
        self._patterns = dict(patterns)
        self._fixed: dict[str, EventClass | None] = {}
        self._rates: dict[str, _Rate] = {}

    def follow(self, patterns: Mapping[str, EventClass], rates: Rates) -> None:
        """Go by these from now on. Types that have no pattern are measured anew where the windows are others."""
        if rates.window_s != self._rules.window_s:
            self._rates.clear()
        self._rules, self._patterns = rates, dict(patterns)
        self._fixed.clear()

    def observe(self, event_type: str, at_s: float) -> EventClass:
        """Count one event and return its class. at_s: its commit time in seconds, not falling."""
        fixed = self._by_pattern(event_type)
        if fixed is not None:
            return fixed
        window = int(at_s // self._rules.window_s)
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

    def _close(self, rate: _Rate, window: int) -> None:
        """End the open window, and those without an event between then and now."""
        enough = self._rules.move_after_windows
        for count in [rate.count, *([0] * min(window - rate.window - 1, enough))]:
            measured = self._rules.class_of(count / self._rules.window_s)
            if measured == rate.now:
                rate.windows_of_next = 0
                continue
            rate.windows_of_next = rate.windows_of_next + 1 if measured == rate.next else 1
            rate.next = measured
            if rate.windows_of_next >= enough:
                rate.now, rate.windows_of_next = measured, 0
        rate.window, rate.count = window, 0

    def _forget(self, window: int) -> None:
        quiet = [
            name
            for name, rate in self._rates.items()
            if rate.window < window - self._rules.move_after_windows
        ]
        for name in quiet or list(self._rates)[: _MAX_TYPES // 2]:
            del self._rates[name]
