"""Families of Prometheus in a line each. A value of None is no sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from migctl.telemetry.metrics import Histogram

Labels = Mapping[str, str]


def gauge(name: str, help_: str, value: float | None) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)


def gauges(name: str, help_: str, samples: Iterable[tuple[Labels, float]]) -> Metric:
    """samples: labels and value of each; all have the same labels."""
    family = GaugeMetricFamily(name, help_, labels=())
    for labels, value in samples:
        family.add_sample(name, dict(labels), value)
    return family


def counter(name: str, help_: str, value: float | None) -> Metric:
    """name: ends in `_total`, as all counters do."""
    return CounterMetricFamily(name, help_, value=value)


def counters(name: str, help_: str, samples: Iterable[tuple[Labels, float]]) -> Metric:
    family = CounterMetricFamily(name, help_, labels=())
    for labels, value in samples:
        family.add_sample(name, dict(labels), value)
    return family


def counts(name: str, help_: str, label: str, values: Mapping[str, int] | Mapping[int, int]) -> Metric:
    """A counter with one label, which the keys are."""
    return counters(name, help_, [({label: str(key)}, count) for key, count in values.items()])


def states(name: str, help_: str, label: str, parts: Iterable[tuple[str, str, Iterable[str]]]) -> Metric:
    """1 for the state that a part is in, else 0. parts: name, state, and all the states that it may have."""
    return gauges(
        name,
        help_,
        [
            ({label: part, "state": each}, float(each == state))
            for part, state, every in parts
            for each in every
        ],
    )


def histogram(name: str, help_: str, of: Iterable[tuple[Labels, Histogram]]) -> Metric:
    family = HistogramMetricFamily(name, help_, labels=())
    for labels, histogram in of:
        *_, (_, count) = buckets = histogram.buckets()
        for bound, below in buckets:
            family.add_sample(f"{name}_bucket", {**labels, "le": _number(bound)}, below)
        family.add_sample(f"{name}_count", dict(labels), count)
        family.add_sample(f"{name}_sum", dict(labels), histogram.sum)
    return family


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]
