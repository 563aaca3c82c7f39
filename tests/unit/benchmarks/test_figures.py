"""Figures of benchmarks, from values that are known."""

from __future__ import annotations

from benchmarks.figures import percentiles


def test_percentiles_are_values_that_occurred() -> None:
    assert percentiles([float(n) for n in range(1, 101)]) == {
        "p50": 50.0,
        "p95": 95.0,
        "p99": 99.0,
        "max": 100.0,
        "n": 100,
    }
    assert percentiles([]) == {"p50": None, "p95": None, "p99": None, "max": None, "n": 0}
