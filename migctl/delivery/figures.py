"""Figures of batches, by event class: how many events, how long they had waited, and what ended the batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from migctl.delivery.batches import Cut, Waiting
from migctl.delivery.classes import EventClass
from migctl.telemetry.metrics import Histogram

EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
# From a write at the live edge to the backlog of an outage.
WAITS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0)


class BatchFigures:
    """Of one relay. A batch of several classes counts once in each: with its events of that class, and the longest wait of them."""

    def __init__(self) -> None:
        self.events: dict[EventClass, Histogram] = {}
        self.wait_s: dict[EventClass, Histogram] = {}
        self.cuts: Counter[tuple[EventClass, Cut]] = Counter()
        self._batches: Counter[Cut] = Counter()

    def by_cut(self) -> dict[str, int]:
        """Batches by what ended them, each once."""
        return {str(cut): count for cut, count in self._batches.items()}

    def formed(self, batch: Sequence[Waiting], cut: Cut, now_s: float) -> None:
        """Count a batch at the moment it is sent. now_s: on the clock of `since_s`."""
        self._batches[cut] += 1
        oldest: dict[EventClass, float] = {}
        counts: Counter[EventClass] = Counter()
        for event in batch:
            counts[event.event_class] += 1
            oldest.setdefault(event.event_class, event.since_s)
        for name, count in counts.items():
            self.events.setdefault(name, Histogram(EVENTS)).observe(count)
            self.wait_s.setdefault(name, Histogram(WAITS_S)).observe(max(0.0, now_s - oldest[name]))
            self.cuts[name, cut] += 1
