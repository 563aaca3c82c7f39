"""Entries and events for tests, with only what a test cares about to say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from migctl.events import Entry, Event
from migctl.events.ids import uuid7

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
EPOCH = "0190a000-0000-7000-8000-000000000001"


def nested(levels: int, inner: bytes = b"1") -> bytes:
    """An object of this depth, spelled as PostgreSQL does; objects and arrays take turns."""
    opened = [b'{"a": ', b"["] * (levels // 2) + [b'{"a": '] * (levels % 2)
    closed = [b"}" if each == b'{"a": ' else b"]" for each in reversed(opened)]
    return b"".join([*opened, inner, *closed])


def event(
    data: bytes = b'{"used": 1}', *, event_type: str = "cpu", id: str | None = None, source: str = "host-1"
) -> Event:
    return Event(id=id or uuid7(), event_type=event_type, timestamp=START, source=source, data=data)


def entry(
    seq: int,
    data: bytes = b'{"used": 1}',
    *,
    event_type: str = "cpu",
    after_s: float = 0.0,
    id: str | None = None,
    epoch: str = EPOCH,
) -> Entry:
    return Entry(
        event=event(data, event_type=event_type, id=id),
        epoch=epoch,
        seq=seq,
        committed_at=START + timedelta(seconds=after_s),
    )
