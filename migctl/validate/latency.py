"""Latency: percentiles in bounded memory.

Microseconds are counted in buckets: exact below 2048 us, above that 1024 buckets to each doubling, so a percentile is at most
0.05 % off. `max` and `n` are exact. A percentile is by nearest rank.
"""

from __future__ import annotations

import msgspec

_EXACT = 2048
_BITS = 11


class Histogram(msgspec.Struct):
    """Signed: between two clocks, or two transports, a difference may be negative."""

    counts: dict[int, int] = {}
    n: int = 0
    least: int | None = None
    most: int | None = None

    def add(self, micros: int) -> None:
        size = -micros if micros < 0 else micros
        if size >= _EXACT:
            shift = size.bit_length() - _BITS
            size = size >> shift << shift | 1 << shift >> 1
            bucket = -size if micros < 0 else size
        else:
            bucket = micros
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + 1
        self.n += 1
        if self.most is None or micros > self.most:
            self.most = micros
        if self.least is None or micros < self.least:
            self.least = micros

    def merge(self, other: Histogram) -> None:
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.n += other.n
        for value in (other.least, other.most):
            if value is not None:
                self.least = value if self.least is None else min(self.least, value)
                self.most = value if self.most is None else max(self.most, value)

    def percentile_us(self, percent: float) -> int | None:
        """The value that `percent` of the samples don't exceed; None without samples."""
        if not self.n or self.most is None or self.least is None:
            return None
        rank = max(1, -(-self.n * percent // 100))
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return min(max(bucket, self.least), self.most)
        return self.most

    def summary_ms(self) -> dict[str, float | int | None]:
        """`{p50, p95, p99, max, n}` in milliseconds."""
        points = {f"p{percent}": self.percentile_us(percent) for percent in (50, 95, 99)}
        return {name: _ms(value) for name, value in (points | {"max": self.most}).items()} | {"n": self.n}


def _ms(micros: int | None) -> float | None:
    return None if micros is None else micros / 1000
