"""Objectives: absence is no success."""

from __future__ import annotations

import pytest

from migctl.drills.objectives import Measured, Never, Verdict, judge, worst


@pytest.mark.parametrize(
    ("name", "bound", "value", "verdict"),
    [
        ("max_lost", 0, 0, "pass"),
        ("max_lost", 0, 1, "fail"),
        ("max_time_to_detect_ms", 2000, 2000, "pass"),
        ("max_time_to_detect_ms", 2000, 2001, "fail"),
        ("max_time_to_detect_ms", 2000, Never("no breaker opened"), "fail"),
        ("max_time_to_detect_ms", 2000, None, "inconclusive"),
        ("min_availability_percent", 99.9, 99.9, "pass"),
        ("min_availability_percent", 99.9, 99.8, "fail"),
        ("min_availability_percent", 99.9, None, "inconclusive"),
    ],
)
def test_each_cell_of_the_table(name: str, bound: float, value: Measured, verdict: Verdict) -> None:
    one = judge({name: bound}, {name.partition("_")[2]: value})[0]
    assert one.verdict == verdict
    assert (one.value is None) == (not isinstance(value, int | float))
    assert bool(one.note) == (one.value is None)


def test_what_was_not_measured_at_all_is_inconclusive() -> None:
    assert judge({"max_lost": 0}, {})[0].verdict == "inconclusive"


def test_the_worst_of_several_counts_and_none_is_no_pass() -> None:
    assert worst(["pass", "inconclusive", "fail", "pass"]) == "fail"
    assert worst(["fail", "terminated", "error"]) == "error"
    assert worst([]) == "inconclusive"
