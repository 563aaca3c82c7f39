"""Releases and reader-side parts for tests, with only what a test cares about to say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from migctl.events.arrived import Arrived
from migctl.subscriber.core.release import Release

WHEN = datetime(2026, 1, 31, 12, 0, 0, 250000, tzinfo=UTC)
ARRIVED = Arrived(WHEN, 7)


def release(seq: int, epoch: str = "a", **fields: Any) -> Release:
    """A release whose id tells epoch and seq."""
    values: dict[str, Any] = {
        "id": f"{epoch}-{seq}",
        "epoch": epoch,
        "seq": seq,
        "event_type": "cpu",
        "timestamp": "2026-01-31T12:00:00.000000Z",
        "source": "host-1",
        "data": b'{"used":1}',
        "committed_at": "2026-01-31T12:00:00.100000Z",
        "via": "live",
        "received_at": WHEN,
        "received_mono_ns": 7,
        "transport": "realtime",
    }
    return Release(**(values | fields))
