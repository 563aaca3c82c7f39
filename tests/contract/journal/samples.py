"""Events as the contract's tests send them, and what a log has of them."""

from __future__ import annotations

from datetime import UTC, datetime

from migctl.events import Event, make_event
from migctl.journal import (
    Log,
)

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)


def event(
    number: int = 0, *, id: str | None = None, data: bytes | None = None, timestamp: datetime | None = MOMENT
) -> Event:
    return make_event(
        id=id,
        event_type="cache_metrics",
        timestamp=timestamp,
        source="host-1",
        data=data or b'{"number": %d, "spelled": 1.10}' % number,
        arrived=MOMENT,
        default_source="host-1",
    )


async def ids(log: Log, after: int = 0) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    while entries := await log.read(after, limit=7):
        found += [(entry.seq, entry.event.id) for entry in entries]
        after = entries[-1].seq
    return found
