"""The one clock: wall time in aware UTC microseconds, monotonic time in nanoseconds.

Rules (breaker, batching, gap repair) take the time as an argument; only edges call this.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Wall clock, aware, UTC, microseconds."""
    return datetime.now(UTC)


def mono() -> float:
    """Seconds of a monotonic clock that all processes of this machine share."""
    return time.monotonic()


def mono_ns() -> int:
    """Nanoseconds of the same clock."""
    return time.monotonic_ns()
