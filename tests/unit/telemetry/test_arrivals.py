"""Arrivals: what a minute of them comes to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from migctl.telemetry.arrivals import Arrivals

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_a_rate_is_of_the_last_minute_or_of_less_where_it_began_less_ago() -> None:
    of = Arrivals(BEGAN)
    assert (of.last_at, of.per_s(at(0))) == (None, 0.0)
    for second in range(200):
        of.came(7, at(second))
        assert second < 3 or 6.5 <= of.per_s(at(second)) <= 9.4
    assert of.per_s(at(199.9)) == 7.0
    assert of.last_at == at(199)


def test_a_minute_after_the_last_the_rate_is_zero_and_the_last_is_known() -> None:
    of = Arrivals(BEGAN)
    of.came(100, at(1))
    of.came(0, at(2))
    assert of.per_s(at(50)) == 2.0
    assert of.per_s(at(61)) == 0.0
    assert of.last_at == at(1)
