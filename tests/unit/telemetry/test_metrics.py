"""The histogram."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from migctl.telemetry.metrics import Histogram


@given(st.lists(st.floats(0, 10), max_size=50))
def test_histogram_counts_each_value_once_and_its_buckets_never_fall(values: list[float]) -> None:
    histogram = Histogram((0.1, 1.0))
    for each in values:
        histogram.observe(each)
    assert histogram.buckets() == [(bound, sum(v <= bound for v in values)) for bound in (0.1, 1.0, math.inf)]
    assert math.isclose(histogram.sum, sum(values))
