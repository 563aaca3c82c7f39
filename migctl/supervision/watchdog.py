"""Watchdog: whether somebody has been silent for too long, by ticks of the one who listens. Pure.

Ticks, not a clock: while the listener itself stood still (a machine that slept, a SIGSTOP), nobody's silence counts.
"""

from __future__ import annotations

TICKS = 4


class Watchdog:
    """Tick it `TICKS` times within the longest silence."""

    def __init__(self) -> None:
        self._silent = 0

    def hear(self) -> None:
        """A sign of life: silence begins anew."""
        self._silent = 0

    def tick(self) -> bool:
        """True where it has been silent for too long."""
        self._silent += 1
        return self._silent > TICKS
