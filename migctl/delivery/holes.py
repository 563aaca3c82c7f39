"""Holes: where does the target lack a seq that it had? Rows are counted, a part at a time, and where some are missing the first of
them is found by halving.

Somebody may delete rows anywhere, or put back an older copy of a part of them. The newest part is counted at each comparison, and
another of what lies below, in turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migctl.target import TableWriter

# Seqs a request: PostgreSQL counts them in some 35 ms.
PART = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """A run of seqs of one epoch, both ends with it."""

    epoch: str
    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


class Turns:
    """Which part is counted next: from the newest down to the oldest, then from the newest again. Pure."""

    def __init__(self, most: int = PART) -> None:
        self._most = most
        self._below: tuple[str, int] | None = None  # what is left begins below this seq of this epoch

    def next(self, extents: Sequence[Part]) -> list[Part]:
        """The newest part, and another below it. extents: what is to be there, the oldest first; empty ones count for nothing."""
        newest_first = [one for one in reversed(extents) if one.size > 0]
        if not newest_first:
            return []
        newest = self._end_of(newest_first[0], newest_first[0].last)
        other = self._other(newest_first, newest)
        self._below = None if other is None else (other.epoch, other.first)
        return [newest] if other is None else [newest, other]

    def _other(self, newest_first: Sequence[Part], newest: Part) -> Part | None:
        places = {one.epoch: place for place, one in enumerate(newest_first)}
        epoch, below = self._below or (newest.epoch, newest.first)
        for one in newest_first[places.get(epoch, 0) :]:
            last = min(one.last, below - 1) if one.epoch == epoch else one.last
            if one.epoch == newest.epoch:
                last = min(last, newest.first - 1)
            if last >= one.first:
                return self._end_of(one, last)
        return None

    def _end_of(self, part: Part, last: int) -> Part:
        return Part(part.epoch, max(part.first, last - self._most + 1), last)


class Halving:
    """The first seq of a part that is not there. Pure: `ask` names seqs to be counted, `answer` says how many of them are there.

    | asked for     | all are there               | some are missing        |
    |---------------|-----------------------------|-------------------------|
    | the whole     | there is no hole            | it is in the lower half |
    | a lower half  | it is in the upper half     | it is in this one       |
    | a single seq  | (the next one up)           | it is this one          |
    """

    def __init__(self, part: Part) -> None:
        self.ask: Part | None = part if part.size > 0 else None
        self.hole: int | None = None
        self._epoch = part.epoch
        self._within: Part | None = None  # there is one in here

    def answer(self, count: int) -> None:
        """So many of `ask` are there."""
        asked = self.ask
        assert asked is not None
        if count < asked.size:
            self._within = asked
        elif self._within is not None:
            self._within = Part(self._epoch, asked.last + 1, self._within.last)
        self.ask = None
        if self._within is None:
            return
        if self._within.size == 1:
            self.hole = self._within.first
            return
        first, last = self._within.first, self._within.last
        self.ask = Part(self._epoch, first, (first + last) // 2)


async def first_hole(writer: TableWriter, part: Part) -> int | None:
    """The first seq that is neither row nor tombstone; None where all are. Raises Transient, Systemic."""
    for first in range(part.first, part.last + 1, PART):
        halving = Halving(Part(part.epoch, first, min(first + PART - 1, part.last)))
        while halving.ask is not None:
            halving.answer(await writer.count(part.epoch, halving.ask.first, halving.ask.last))
        if halving.hole is not None:
            return halving.hole
    return None


async def how_many(writer: TableWriter, part: Part) -> int:
    """How many seqs of it are rows or tombstones. Raises Transient, Systemic."""
    found = 0
    for first in range(part.first, part.last + 1, PART):
        last = min(first + PART - 1, part.last)
        found += min(await writer.count(part.epoch, first, last), last - first + 1)
    return found
