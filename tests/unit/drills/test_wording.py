"""Objectives in words, with their units."""

from __future__ import annotations

import pytest

from migctl.drills.objectives import NAMES, Objective
from migctl.drills.wording import bound_of, measure_of, value_of


@pytest.mark.parametrize(
    ("name", "bound", "value", "written"),
    [
        ("max_lost", 0, 0, ("lost", "at most 0", "0")),
        ("max_time_to_detect_ms", 2000, 80, ("time to detect", "at most 2,000 ms", "80 ms")),
        ("min_availability_percent", 99.9, 100, ("availability", "at least 99.9 %", "100 %")),
        ("max_time_to_recover_ms", 5000, None, ("time to recover", "at most 5,000 ms", "never")),
    ],
)
def test_an_objective_is_said_with_its_unit(
    name: str, bound: float, value: float | None, written: tuple[str, str, str]
) -> None:
    one = Objective(name=name, bound=bound, value=value, verdict="pass", note="never")
    assert (measure_of(one), bound_of(one), value_of(one)) == written


def test_every_objective_that_a_file_can_have_is_in_words() -> None:
    for name in NAMES:
        one = Objective(name=name, bound=1, value=1, verdict="pass")
        assert "_" not in measure_of(one) + bound_of(one)
