"""Durations and moments, as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from migctl.events.durations import moment_of, seconds_of

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_time_is_a_number_with_a_unit_or_several_or_seconds() -> None:
    written = {
        "90": 90,
        "0": 0,
        "500ms": 0.5,
        "15m": 900,
        "1h30m": 5400,
        "1.5 h": 5400,
        "2 min": 120,
        "7D": 604_800,
    }
    assert {text: seconds_of(text) for text in written} == written


@pytest.mark.parametrize("text", ["", "m", "-1", "1y", "1h 5", "nan", "1e3", "99999999999d", "١"])
def test_what_is_none_says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a time|longer than"):
        seconds_of(text)


def test_a_moment_is_so_long_ago_a_day_or_a_time() -> None:
    assert moment_of("15m", NOW) == NOW - timedelta(minutes=15)
    assert moment_of("2026-01-30", NOW) == datetime(2026, 1, 30, tzinfo=UTC)
    assert moment_of("2026-01-31T13:00:00+02:00", NOW) == datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert moment_of("2026-01-31 11:00", NOW) == datetime(2026, 1, 31, 11, tzinfo=UTC)
    for text in ("yesterday", "2026-02-30", ""):
        with pytest.raises(ValueError, match="expected 15m"):
            moment_of(text, NOW)
