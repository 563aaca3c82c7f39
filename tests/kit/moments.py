"""Moments at which zones, calendars and spellings come apart."""

from __future__ import annotations

from datetime import UTC, datetime

# In St John's the first is before Christ, in Kathmandu the second has seconds in its offset, and the last is in the year 10000.
MOMENTS = (
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1889, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2026, 1, 31, 12, 0, 0, 250000, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
)
