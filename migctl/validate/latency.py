"""Latency: percentiles in bounded memory.

Microseconds are counted in buckets: exact below 2048 us, above that 1024 buckets to each doubling, so a percentile is at most
0.05 % off. `max` and `n` are exact. A percentile is by nearest rank.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

_EXACT = 2048
_BITS = 11
_ABOVE_ALL = 1 << 62


class Quantiles(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds; None without samples. n: how many samples."""

    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None
    n: int


class Histogram(msgspec.Struct):
    """Signed: between two clocks, or two transports, a difference may be negative. counts: middle of a bucket to samples."""

    counts: dict[int, int] = {}
    least: int = _ABOVE_ALL
    most: int = -_ABOVE_ALL

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    def add_all(self, values: list[int]) -> None:
        """Add samples; `values` is sorted by it."""
        if not values:
            return
        values.sort()
        self.least = min(self.least, values[0])
        self.most = max(self.most, values[-1])
        counts, at, end = self.counts, 0, len(values)
        while at < end:
            middle, last = _bucket(values[at])
            beyond = bisect_right(values, last, at)
            counts[middle] = counts.get(middle, 0) + beyond - at
            at = beyond

    def merge(self, other: Histogram) -> None:
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)

    def percentile_us(self, percent: float) -> int | None:
        """The value that `percent` of the samples don't exceed; None without samples."""
        if not self.counts:
            return None
        rank = max(1, -(-self.n * percent // 100))
        counted = 0
        for bucket in sorted(self.counts):
            counted += self.counts[bucket]
            if counted >= rank:
                return min(max(bucket, self.least), self.most)
        return self.most

    def summary_ms(self) -> Quantiles:
        return Quantiles(
            p50=_ms(self.percentile_us(50)),
            p95=_ms(self.percentile_us(95)),
            p99=_ms(self.percentile_us(99)),
            max=_ms(self.most) if self.counts else None,
            n=self.n,
        )


def _bucket(micros: int) -> tuple[int, int]:
    """(middle, last) of the bucket that a value falls into."""
    if -_EXACT < micros < _EXACT:
        return micros, micros
    size = abs(micros)
    shift = size.bit_length() - _BITS
    first = size >> shift << shift
    middle = first | 1 << shift >> 1
    return (-middle, -first) if micros < 0 else (middle, first + (1 << shift) - 1)


def _ms(micros: int | None) -> float | None:
    return None if micros is None else micros / 1000
