"""Server's clock, as far as answers tell: how far ours is behind it. Pure.

An answer says when it was given, which was between the question and its arrival, whatever the way took: so ours is behind by half
of the time that it took, more or less, and never by more than that off.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Behind(msgspec.Struct, frozen=True):
    """Milliseconds; below 0 our clock is ahead. within_ms: at most so far off."""

    behind_ms: float
    within_ms: float


class ServerClock:
    """best: by the answer that took the least time, since that says most. None before the first."""

    def __init__(self) -> None:
        self.best: Behind | None = None

    def answered(self, asked: datetime, answered_at: datetime, received: datetime) -> None:
        """asked, received: by our clock; answered_at: by the server's."""
        within_ms = (received - asked).total_seconds() * 1000 / 2
        if within_ms < 0:
            return  # ours was set meanwhile
        if self.best is None or within_ms < self.best.within_ms:
            behind_ms = (answered_at - received).total_seconds() * 1000 + within_ms
            self.best = Behind(round(behind_ms, 3), round(within_ms, 3))
