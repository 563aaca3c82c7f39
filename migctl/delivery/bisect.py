"""Bisect: find the poison events of a refused batch by halving it. Pure: a plan that is told how each part fared.

The parts come in seq order, so the cursor can follow; a part that went through is never sent again.
"""

from __future__ import annotations


class Bisect:
    """Ask `next()` for a part, send it, and say `done()` or `refused()`; until `next()` returns None."""

    def __init__(self, count: int) -> None:
        """count: events of the batch, at least 1."""
        self._parts = [range(count)]

    def next(self) -> range | None:
        """The part to send now, as indexes into the batch; None once each event was done with."""
        return self._parts[-1] if self._parts else None

    def done(self) -> None:
        """The part went through, or its one event was dealt with."""
        self._parts.pop()

    def refused(self) -> bool:
        """The part holds poison. True when it was a single event: deal with it and say `done()`; else the halves come next."""
        part = self._parts[-1]
        if len(part) == 1:
            return True
        self._parts.pop()
        middle = len(part) // 2
        self._parts += [part[middle:], part[:middle]]
        return False
