"""Arrivals: when the last came, and how many a second of late. Pure: the time is an argument."""

from __future__ import annotations

from collections import deque
from datetime import datetime

OVER_S = 60
_BUCKET_S = 5


class Arrivals:
    """since: from when on they are counted. last_at: None before the first."""

    def __init__(self, since: datetime) -> None:
        self.since = since
        self.last_at: datetime | None = None
        self._buckets: deque[tuple[int, int]] = deque(maxlen=OVER_S // _BUCKET_S + 1)

    def came(self, count: int, at: datetime) -> None:
        """So many at once; none is no arrival."""
        if count == 0:
            return
        self.last_at = at
        bucket = _bucket(at)
        if self._buckets and self._buckets[-1][0] == bucket:
            count += self._buckets.pop()[1]
        self._buckets.append((bucket, count))

    def per_s(self, at: datetime) -> float:
        """Over the last minute, or since the beginning where that is less."""
        now = _bucket(at)
        oldest = now - OVER_S // _BUCKET_S
        count = sum(count for bucket, count in self._buckets if oldest < bucket <= now)
        counted_s = OVER_S - _BUCKET_S + at.timestamp() % _BUCKET_S  # the bucket of now is not over
        return round(count / max(1.0, min(counted_s, (at - self.since).total_seconds())), 1)


def _bucket(at: datetime) -> int:
    return int(at.timestamp() // _BUCKET_S)
