"""Metrics in Prometheus' text format (0.0.4): families in, bytes out, and a histogram to count durations in.

Names are `migctl_`, then what is counted, then the base unit (seconds, bytes) and `_total` for what only grows. A figure that is
not known has no sample: absence is never a zero.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# From a commit on a fast disk to a request that waits for a slow one.
DURATIONS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Sample:
    """suffix: `_bucket`, `_sum`, `_count` of a histogram, else empty."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its samples. help: one sentence for people."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]


class Histogram:
    """Counts durations by upper bound. Cheap enough for every request; read while it is written, it may lag by one."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float] = DURATIONS_S) -> None:
        """bounds: ascending, in the base unit; beyond the last there is +Inf."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self, labels: Mapping[str, str] | None = None) -> list[Sample]:
        """Cumulative buckets, then sum and count."""
        labels = labels or {}
        made: list[Sample] = []
        below = 0
        for bound, count in zip((*self._bounds, math.inf), self._counts, strict=True):
            below += count
            made.append(Sample(below, {**labels, "le": _number(bound)}, "_bucket"))
        return [*made, Sample(self._sum, labels, "_sum"), Sample(below, labels, "_count")]


def counter(name: str, help_: str, samples: Iterable[Sample]) -> Family:
    """Raises ValueError for a name without `_total`."""
    if not name.endswith("_total"):
        raise ValueError(f"{name}: a counter's name ends in _total")
    return Family(name, "counter", help_, list(samples))


def gauge(name: str, help_: str, samples: Iterable[Sample]) -> Family:
    return Family(name, "gauge", help_, list(samples))


def render(families: Iterable[Family]) -> bytes:
    """The page. A family without samples is left out."""
    lines: list[str] = []
    for family in families:
        if not family.samples:
            continue
        lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [
            f"{family.name}{one.suffix}{_labels(one.labels)} {_number(one.value)}" for one in family.samples
        ]
    return "".join([line + "\n" for line in lines]).encode()


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    inside = ",".join([f'{name}="{_escaped(value, quote=True)}"' for name, value in labels.items()])
    return f"{{{inside}}}"


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(value)
