"""Bisect: find the poison events of a refused batch by halving it. Pure: a plan, given how each part fared.

The parts come in seq order, so the cursor can follow; a part that went through is never sent again.
"""

from __future__ import annotations


class Bisect:
    """Ask `next()` for a part, send it, and call `done()` or `refused()`; until `next()` returns None.

    | the part     | `done()`            | `refused()`                                    |
    |--------------|---------------------|------------------------------------------------|
    | several      | the one after it    | its first half is next, then the second        |
    | one event    | the one after it    | ValueError: it can't be halved; bury it, then `done()` |
    """

    def __init__(self, count: int) -> None:
        """count: events of the batch, at least 1."""
        self._parts = [range(count)]

    def next(self) -> range | None:
        """The part to send now, as indexes into the batch; None once each event was done with."""
        return self._parts[-1] if self._parts else None

    def done(self) -> None:
        """The part went through, or its one event was dealt with."""
        self._parts.pop()

    def refused(self) -> None:
        """The part of several holds poison: its halves come next."""
        part = self._parts[-1]
        if len(part) == 1:
            raise ValueError("one event can't be halved")
        self._parts.pop()
        middle = len(part) // 2
        self._parts += [part[middle:], part[:middle]]
