"""Outlook: how fast a journal fills, what holds its events back, and when it will be full."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from migctl.clock import now
from migctl.events.times import micros_of
from migctl.journal.sqlite import retention
from migctl.journal.sqlite.forecast import Forecast, forecast
from migctl.journal.sqlite.retention import Extent, Keep, Space
from migctl.journal.sqlite.rows import SEQ_BITS

# The rate is that of the newest events, this many at most.
RATE_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class Outlook:
    """held_back_hours: how old the oldest event is that some cursor has not passed."""

    space: Space
    events_held: int
    events_per_s: float
    held_back_hours: float

    def forecast(self, keep: Keep, others_per_s: float = 0.0) -> Forecast | None:
        """others_per_s: bytes of the disk that others take."""
        held = self.events_held
        return forecast(
            self.space,
            keep,
            bytes_per_s=self.events_per_s * self.space.used_bytes / held if held else 0.0,
            held_back_hours=self.held_back_hours,
            others_per_s=others_per_s,
        )


def read(database: sqlite3.Connection, free_bytes: int) -> Outlook:
    """Some short reads. free_bytes: of the disk, as the file system says."""
    extents = retention.read_extents(database)
    space = retention.measure(database, free_bytes)
    held = sum(extent.head - extent.tail + 1 for extent in extents)
    events_per_s = _rate(database)
    held_back = _held_back_hours(database, extents, retention.read_cursors(database))
    return Outlook(space, held, events_per_s, held_back)


def _rate(database: sqlite3.Connection) -> float:
    """Events a second, up to now: a stream that has stopped has a rate that falls."""
    newest = database.execute("SELECT max(pos) FROM events").fetchone()[0]
    if newest is None:
        return 0.0
    first = max(newest - RATE_EVENTS + 1, (newest >> SEQ_BITS << SEQ_BITS) + 1)
    row = database.execute(
        "SELECT pos, committed_at FROM events WHERE pos >= ? ORDER BY pos LIMIT 1", (first,)
    ).fetchone()
    seconds = (micros_of(now()) - row[1]) / 1e6
    return float((newest - row[0] + 1) / seconds) if seconds > 0 else 0.0


def _held_back_hours(
    database: sqlite3.Connection, extents: list[Extent], cursors: dict[str, tuple[str, int]]
) -> float:
    """How old the oldest event is that some cursor has not passed."""
    ordinals = {extent.epoch: extent.ordinal for extent in extents}
    places = [(ordinals.get(epoch, 0) << SEQ_BITS) + seq for epoch, seq in cursors.values()]
    if not places:
        return 0.0
    row = database.execute(
        "SELECT committed_at FROM events WHERE pos > ? ORDER BY pos LIMIT 1", (min(places),)
    ).fetchone()
    return 0.0 if row is None else max(0.0, (micros_of(now()) - row[0]) / 3600e6)
