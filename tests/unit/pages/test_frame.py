"""Scales and coordinates, as pages draw them."""

from __future__ import annotations

import pytest

from migctl.pages.frame import nice, text


@pytest.mark.parametrize(("span", "top"), [(1, 1), (1.1, 2), (3, 4), (8.1, 10), (252, 400), (0.03, 0.04)])
def test_a_scale_ends_at_a_round_figure_that_is_no_less(span: float, top: float) -> None:
    assert nice(span) == pytest.approx(top)


def test_a_scale_has_the_steps_that_it_is_asked_for() -> None:
    assert nice(252, (1, 2, 3)) == 300
    assert nice(301, (1, 2, 3)) == 1000


@pytest.mark.parametrize(("value", "written"), [(0.0, "0"), (100.0, "100"), (33.333, "33.33"), (2.5, "2.5")])
def test_a_coordinate_has_two_digits_at_most(value: float, written: str) -> None:
    assert text(value) == written
