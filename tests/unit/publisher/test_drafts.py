"""What a caller may say of when an event was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from migctl.errors import Poison
from migctl.events import Event
from migctl.publisher.drafts import draft

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
MELBOURNE = timezone(timedelta(hours=11))


def drafted(timestamp: Any, **more: Any) -> Event:
    return draft("cpu", {}, id=None, timestamp=timestamp, source=None, default_source="h", **more)


@pytest.mark.parametrize(
    "timestamp",
    [
        MOMENT, MOMENT.astimezone(MELBOURNE), MOMENT.replace(tzinfo=None), "2026-01-31 12:00:00", "2026-01-31t12:00:00z",
        1769860800, 1769860800.0, 1769860800000, "1769860800",
    ],
)  # fmt: skip
def test_times_are_read_by_the_rules_of_posted_events(timestamp: Any) -> None:
    event = drafted(timestamp)
    assert (event.timestamp, event.clock) == (MOMENT, None)


def test_datetime_and_text_without_a_zone_are_in_the_same_one() -> None:
    for timestamp in (datetime(2026, 1, 31, 23), "2026-01-31 23:00:00"):  # noqa: DTZ001 - that is what it is about
        assert drafted(timestamp, zone=MELBOURNE).timestamp == MOMENT


@pytest.mark.parametrize("timestamp", ["soon", 81234.56, float("nan"), True, datetime.max])  # noqa: DTZ901
def test_what_is_no_time_is_refused(timestamp: Any) -> None:
    with pytest.raises(Poison, match="timestamp"):
        drafted(timestamp, zone=timezone(-timedelta(hours=11)))
