"""Batches: which of the waiting events go into the next request, and when. Pure: of what waits, the time and the settings.

A batch is the next contiguous run of seq. It is formed at the moment it is sent. Nothing waits on purpose unless YAML says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from migctl.config.settings import BatchingSection
from migctl.delivery.classes import EventClass

# count: a class had its count; bytes: the request was full; time: an event had waited its class's time; backlog: class counts
# were off, and this many were taken or there; drained: all that waited went.
Cut = Literal["count", "bytes", "time", "backlog", "drained"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One event that waits. size: bytes of its row; since_s: when it was committed, in seconds of any one clock."""

    event_class: EventClass
    size: int
    since_s: float


@dataclass(frozen=True, slots=True)
class Bound:
    """Of a class: at most this many in a batch, and at most this long a voluntary wait."""

    max_events: int
    max_wait_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What YAML says of batches. wait: hold events on purpose, for those who pay by the request.

    backlog_after_s: how long the oldest may have waited beyond its class's time before it is a backlog.
    """

    bounds: Mapping[EventClass, Bound]
    max_bytes: int
    backlog_max_events: int
    backlog_after_s: float = 0.5
    wait: bool = False

    @staticmethod
    def of(section: BatchingSection) -> Rules:
        """As the settings have them."""
        return Rules(
            bounds={
                "high": Bound(section.high.max_events, section.high.max_wait_s),
                "medium": Bound(section.medium.max_events, section.medium.max_wait_s),
                "low": Bound(section.low.max_events, section.low.max_wait_s),
            },
            max_bytes=section.max_bytes,
            backlog_max_events=section.backlog_max_events,
            backlog_after_s=section.backlog_after_s,
            wait=section.batching == "wait",
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Take the first `count` of what waits, now."""

    count: int
    cut: Cut


@dataclass(frozen=True, slots=True)
class Hold:
    """Take nothing before `until_s`, or until more has come."""

    until_s: float


def form(waiting: Sequence[Waiting], now_s: float, rules: Rules) -> Batch | Hold:
    """What to do with the events that wait, in seq order, at least one.

    now_s: on the clock of `since_s`. A batch has at least one event, be it above the byte bound.
    """
    if is_backlog(waiting, now_s, rules):
        count, cut = _run(waiting, 0, rules, counted=False)
        return Batch(count, "bytes" if cut == "bytes" else "backlog")
    count, cut = _run(waiting, 0, rules, counted=True)
    if cut != "drained" or not rules.wait:
        return Batch(count, cut)
    # All of it would go; whether a class is full, or an event due, decides if it goes now.
    if _full_class(waiting, rules):
        return Batch(count, "count")
    until = min(event.since_s + rules.bounds[event.event_class].max_wait_s for event in waiting)
    return Batch(count, "time") if now_s >= until else Hold(until)


def is_backlog(waiting: Sequence[Waiting], now_s: float, rules: Rules) -> bool:
    """True when more than one full run waits, or the oldest has waited its class's time and `backlog_after_s` more."""
    oldest = waiting[0]
    if now_s > oldest.since_s + rules.bounds[oldest.event_class].max_wait_s + rules.backlog_after_s:
        return True
    first, cut = _run(waiting, 0, rules, counted=True)
    if cut == "drained":
        return False
    _, second = _run(waiting, first, rules, counted=True)
    return second != "drained"


def _run(waiting: Sequence[Waiting], start: int, rules: Rules, *, counted: bool) -> tuple[int, Cut]:
    """How many from `start` on go into one batch, and what cut it."""
    counts: dict[EventClass, int] = {}
    size = 0
    for index in range(start, len(waiting)):
        event = waiting[index]
        taken = index - start
        size += event.size + 1
        if taken and size > rules.max_bytes:
            return taken, "bytes"
        if counted:
            counts[event.event_class] = counts.get(event.event_class, 0) + 1
            if counts[event.event_class] > rules.bounds[event.event_class].max_events:
                return taken, "count"
        elif taken >= rules.backlog_max_events:
            return taken, "backlog"
    return len(waiting) - start, "drained"


def _full_class(waiting: Sequence[Waiting], rules: Rules) -> bool:
    counts: dict[EventClass, int] = {}
    for event in waiting:
        counts[event.event_class] = counts.get(event.event_class, 0) + 1
    return any(count >= rules.bounds[name].max_events for name, count in counts.items())
