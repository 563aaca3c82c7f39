"""Figures as pages write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migctl.pages.template import at, figure


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (None, "ms", "-"),
        (0, "", "0"),
        (1156, "ms", "1,156 ms"),
        (99.975, "%", "99.975 %"),
        (54.5455, "%", "54.55 %"),
    ],
)
def test_a_figure_has_its_unit_and_absence_is_no_zero(value: float | None, unit: str, written: str) -> None:
    assert figure(value, unit) == written


def test_a_time_that_is_not_known_is_a_dash() -> None:
    assert at(None) == "-"
    assert at(datetime(2026, 3, 1, 9, 5, tzinfo=UTC)) == "2026-03-01 09:05:00"
