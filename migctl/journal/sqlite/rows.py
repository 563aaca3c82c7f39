"""How entries lie in SQLite: one integer key that orders all epochs, ids as 16 bytes, times as microseconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from uuid import UUID

from migctl.events import Entry, Event
from migctl.events.times import from_micros, micros_of

FORMAT = 1

# An epoch's events are contiguous in `pos`: its ordinal in the high bits, the seq in the low ones.
# 2^40 events last 34 years at 1,000/s.
SEQ_BITS = 40
SEQ_MASK = (1 << SEQ_BITS) - 1

TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS epochs (
    ord INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE, prev_epoch TEXT, lost_from INTEGER, lost_to INTEGER,
    started_at INTEGER NOT NULL, head INTEGER NOT NULL DEFAULT 0, tail INTEGER NOT NULL DEFAULT 1, reason TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS events (
    pos INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, event_type TEXT NOT NULL, ts INTEGER NOT NULL, source TEXT NOT NULL,
    data BLOB NOT NULL, committed_at INTEGER NOT NULL, clock TEXT, source_id TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS cursors (name TEXT PRIMARY KEY, epoch TEXT NOT NULL, seq INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS offsets (source TEXT PRIMARY KEY, offset INTEGER NOT NULL, about TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE IF NOT EXISTS dead_letters (
    epoch TEXT NOT NULL, seq INTEGER NOT NULL, event_id TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,
    at INTEGER NOT NULL, outcome TEXT, settled_at INTEGER, new_id TEXT, settled_by TEXT, why TEXT, PRIMARY KEY (epoch, seq)
) STRICT;
"""

INSERT = (
    "INSERT INTO events (pos, id, event_type, ts, source, data, committed_at, clock, source_id) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
COLUMNS = "pos, id, event_type, ts, source, data, committed_at, clock, source_id"

Row = tuple[int, bytes, str, int, str, bytes, int, str | None, str | None]


def id_bytes(event_id: str) -> bytes:
    """The 16 bytes of an id."""
    return bytes.fromhex(event_id.replace("-", ""))


def to_rows(events: Iterable[Event], first_pos: int, committed_us: int) -> list[Row]:
    """Rows for events that take contiguous places from `first_pos` on."""
    return [
        (
            pos,
            bytes.fromhex(event.id.replace("-", "")),
            event.event_type,
            micros_of(event.timestamp),
            event.source,
            event.data,
            committed_us,
            event.clock,
            event.source_id,
        )
        for pos, event in enumerate(events, first_pos)
    ]


def to_event(row: Row) -> Event:
    """The event of a row."""
    return Event(
        id=str(UUID(bytes=row[1])),
        event_type=row[2],
        timestamp=from_micros(row[3]),
        source=row[4],
        data=row[5],
        clock=row[7],
        source_id=row[8],
    )


def to_entry(row: Row, epoch: str) -> Entry:
    """The entry of a row of this epoch."""
    return Entry(event=to_event(row), epoch=epoch, seq=row[0] & SEQ_MASK, committed_at=from_micros(row[6]))


def has_column(database: sqlite3.Connection, table: str, column: str) -> bool:
    """False in a journal that an older migctl wrote last: who only reads can't add it."""
    return any(row[1] == column for row in database.execute(f"PRAGMA table_info({table})"))
