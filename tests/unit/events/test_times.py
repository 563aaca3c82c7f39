"""How times are read: what producers write everywhere, and nothing that is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from migctl.events.times import parse_time, read_time, unix_time

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z", "2026-01-31t12:00:00z", "2026-01-31 12:00:00.000000999", "2026-01-31T11:59:60Z",
        "2026-01-31T22:59:60+11:00", "1769860800", "1769860800.0", "1769860800000", "1769860800000000",
        "1769860800000000999", "1.7698608e9",
    ],
)  # fmt: skip
def test_what_producers_write_is_read(text: str) -> None:
    assert read_time(text) == MOMENT


def test_a_text_without_a_zone_is_in_the_one_that_is_given() -> None:
    melbourne = timezone(timedelta(hours=11))
    assert read_time("2026-01-31 23:00:00", melbourne) == MOMENT
    assert read_time("2026-01-31 12:00:00Z", melbourne) == read_time("1769860800", melbourne) == MOMENT


@pytest.mark.parametrize(
    "text",
    [
        "81234.56",
        "-1769860800",
        "1e99",
        "99999999",
        "20260131",
        "202601311200",
        "20260131120000",
        "",
        "soon",
        "2026-01-31T12:00:61Z",
    ],
)
def test_what_is_no_wall_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time"):
        read_time(text)


def test_a_number_is_a_time_where_it_is_likely_and_else_where_its_unit_is_named() -> None:
    assert unix_time("2e8") is unix_time("5e9") is unix_time("x") is None
    assert unix_time("2e8", ("seconds",)) == (datetime.fromtimestamp(2e8, UTC), "seconds")
    assert unix_time("5e12", ("milliseconds",)) == (datetime.fromtimestamp(5e9, UTC), "milliseconds")
    assert unix_time("1769860800", ("milliseconds",)) == (MOMENT, "seconds")


def test_a_leap_second_at_the_end_of_time_is_refused() -> None:
    with pytest.raises(ValueError, match="no such time"):
        parse_time("9999-12-31T23:59:60Z")
