"""Clocks: how far a receiver's is behind the journal's, and what that makes of a figure between the two. Pure.

| known of it | a p99 counts with |
|---|---|
| how far it is behind, more or less, as serve was asked | the least that it is behind; it holds a bound only with the most |
| that it is behind, and not how far | the least; it holds no bound, for it may be any higher |
| nothing | what was measured; it holds no bound either |
"""

from __future__ import annotations

from typing import NamedTuple


class Late(NamedTuple):
    """Milliseconds that a clock is behind: at least, and at most; None where nobody knows."""

    least: float = 0.0
    most: float | None = 0.0


def late(at_least: float | None, behind: float | None, within: float | None) -> Late:
    """at_least: since an event came so long before its commit. behind, within: as serve was asked."""
    least = max(at_least or 0.0, 0.0)
    if behind is None or within is None:
        return Late(least, None)
    least, most = max(least, behind - within), max(behind + within, 0.0)
    # Where an event proves more than was asked, the clock was set since: nobody knows the most.
    return Late(least, most if most >= least else None)


class P99(NamedTuple):
    """One transport's, of so many samples, by a clock that is so late."""

    value: float | None
    samples: int
    clock: Late = Late()

    @property
    def least(self) -> float | None:
        """What it is at least."""
        return None if self.value is None else self.value + self.clock.least

    def holds(self, bound: float) -> bool | None:
        """None where that can't be known."""
        if self.value is None or not self.samples:
            return None
        if self.value + self.clock.least > bound:
            return False
        most = self.clock.most
        return True if most is not None and self.value + most <= bound else None
