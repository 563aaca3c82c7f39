"""The text format, as a scraper reads it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.telemetry.metrics import Family, Histogram, Sample, counter, gauge, render
from tests.kit.exposition import read, value


def test_labels_that_hold_quotes_backslashes_and_line_ends_are_one_label() -> None:
    page = render([gauge("migctl_x", 'what\\is "this"\n?', [Sample(1, {"reason": 'a"b\\c\nd,e="f"'})])])
    [family] = read(page).values()
    assert family.samples == {("migctl_x", frozenset({("reason", 'a\\"b\\\\c\\nd,e=\\"f\\"')})): 1.0}


@given(st.floats(allow_nan=False))
def test_numbers_come_back_as_they_were(number: float) -> None:
    assert value(read(render([gauge("migctl_x", "x", [Sample(number)])])), "migctl_x") == number


def test_no_number_is_said_as_such() -> None:
    assert math.isnan(value(read(render([gauge("migctl_x", "x", [Sample(math.nan)])])), "migctl_x"))


def test_what_is_not_known_is_absent_rather_than_zero() -> None:
    assert render([gauge("migctl_x", "x", [])]) == b""


def test_counter_without_total_in_its_name_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="_total"):
        counter("migctl_events", "x", [])


@given(st.lists(st.floats(0, 10), max_size=50))
def test_histogram_counts_each_value_once_and_its_buckets_never_fall(values: list[float]) -> None:
    histogram = Histogram((0.1, 1.0))
    for each in values:
        histogram.observe(each)
    families = read(render([Family("migctl_s", "histogram", "s", histogram.samples({"route": "/x"}))]))
    buckets = [value(families, "migctl_s_bucket", route="/x", le=bound) for bound in ("0.1", "1", "+Inf")]
    assert buckets == [sum(v <= bound for v in values) for bound in (0.1, 1.0, math.inf)]
    assert value(families, "migctl_s_count", route="/x") == len(values)
    assert value(families, "migctl_s_sum", route="/x") == pytest.approx(sum(values))
