"""Tally: everything that is counted of a shard, and the sum of several. Pure.

All of it is bounded but for one entry an event type and one a minute of the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush, heapreplace
from typing import TypeVar

import msgspec

from migctl.validate.latency import Histogram

# Columns of a cell, one cell an event type and one a minute.
EXPECTED, MATCHED, MISSING_WEBSOCKET, MISSING_REALTIME, LOST, MISMATCH, PRECISION = range(7)
COLUMNS = (
    "expected",
    "matched",
    "missing_websocket",
    "missing_realtime",
    "lost",
    "payload_mismatch",
    "number_precision",
)
MAX_FIELDS = 1000

K = TypeVar("K")


class Example(msgspec.Struct):
    """One discrepancy. at: where it stands in its file, which orders them; details: what the report shows of it."""

    at: int
    details: dict[str, object]


class SideTally(msgspec.Struct):
    """What one file held.

    lines, control: events and events of ours (`sys.*`), repeats included. received: expected events that were received.
    live: latency from the commit. live_by_timestamp: the same from the event's own time, where no commit time is known.
    wall_us: received_at less the monotonic clock, least and most: how far the wall clock was set meanwhile.
    """

    lines: int = 0
    control: int = 0
    received: int = 0
    repeats: int = 0
    out_of_order: int = 0
    late: int = 0
    without_source: int = 0
    without_commit: int = 0
    torn_line: int | None = None
    live: Histogram = msgspec.field(default_factory=Histogram)
    live_by_timestamp: Histogram = msgspec.field(default_factory=Histogram)
    catch_up: Histogram = msgspec.field(default_factory=Histogram)
    without_via: Histogram = msgspec.field(default_factory=Histogram)
    wall_us: Histogram = msgspec.field(default_factory=Histogram)

    def merge(self, other: SideTally) -> None:
        for name in (
            "lines",
            "control",
            "received",
            "repeats",
            "out_of_order",
            "late",
            "without_source",
            "without_commit",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.torn_line = self.torn_line or other.torn_line
        for name in ("live", "live_by_timestamp", "catch_up", "without_via", "wall_us"):
            getattr(self, name).merge(getattr(other, name))


class Tally(msgspec.Struct):
    """sides: journal, websocket, realtime. by_minute: minutes since 1970 to a cell. times_replaced: by that of the arrival."""

    expected: int = 0
    matched: int = 0
    lost: int = 0
    missing: list[int] = msgspec.field(default_factory=lambda: [0, 0, 0])
    payload_mismatch: int = 0
    number_precision: int = 0
    unexpected: int = 0
    outside: int = 0
    times_replaced: int = 0
    excused: int = 0
    spilled_bytes: int = 0
    peak_bytes: int = 0
    sides: list[SideTally] = msgspec.field(default_factory=lambda: [SideTally(), SideTally(), SideTally()])
    difference: Histogram = msgspec.field(default_factory=Histogram)
    by_event_type: dict[str, list[int]] = {}
    by_minute: dict[int, list[int]] = {}
    fields: dict[str, int] = {}
    examples: dict[str, list[Example]] = {}

    def merge(self, other: Tally) -> None:
        for name in (
            "expected",
            "matched",
            "lost",
            "payload_mismatch",
            "number_precision",
            "unexpected",
            "outside",
            "times_replaced",
            "excused",
            "spilled_bytes",
            "peak_bytes",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.missing = [a + b for a, b in zip(self.missing, other.missing, strict=True)]
        for mine, theirs in zip(self.sides, other.sides, strict=True):
            mine.merge(theirs)
        self.difference.merge(other.difference)
        _merge_cells(self.by_event_type, other.by_event_type)
        _merge_cells(self.by_minute, other.by_minute)
        for field, count in other.fields.items():
            self.count_field(field, count)
        for kind, found in other.examples.items():
            self.examples.setdefault(kind, []).extend(found)

    def count_field(self, field: str, count: int = 1) -> None:
        """A field that differed. Documents may have any number of paths; beyond 1000 they are one."""
        if field not in self.fields and len(self.fields) >= MAX_FIELDS:
            field = "(others)"
        self.fields[field] = self.fields.get(field, 0) + count


def _merge_cells(mine: dict[K, list[int]], theirs: dict[K, list[int]]) -> None:
    for key, cell in theirs.items():
        have = mine.get(key)
        mine[key] = cell if have is None else [a + b for a, b in zip(have, cell, strict=True)]


class Examples:
    """The first few discrepancies of each kind, by their place in the file; all of them go to `write`, if that is given."""

    def __init__(self, limit: int, write: Callable[[dict[str, object]], None] | None = None) -> None:
        self._limit = limit
        self._write = write
        self._kept: dict[str, list[tuple[int, int, dict[str, object]]]] = {}
        self._count = 0

    def wants(self, kind: str, at: int) -> bool:
        """Whether `add` would do anything: details may be dear to find out."""
        kept = self._kept.get(kind) or []
        return self._write is not None or len(kept) < self._limit or (self._limit > 0 and -at > kept[0][0])

    def add(self, kind: str, at: int, details: dict[str, object]) -> None:
        if self._write is not None:
            self._write({"kind": kind} | details)
        kept = self._kept.setdefault(kind, [])
        self._count += 1
        entry = (-at, -self._count, details)
        if len(kept) < self._limit:
            heappush(kept, entry)
        elif self._limit and entry > kept[0]:
            heapreplace(kept, entry)

    def take(self) -> dict[str, list[Example]]:
        return {kind: [Example(-at, details) for at, _, details in kept] for kind, kept in self._kept.items()}
