"""Trail: when a part passed a seq, and how, for the newest of them. In a bounded memory: what is older is known to have passed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

MOST = 20_000
# Marks closer together than this, of the same kind, are one: a moment is a few milliseconds.
TOGETHER_S = 0.005


@dataclass(frozen=True, slots=True)
class Mark:
    """Everything of `epoch` above the mark before it and up to `seq` passed at `at`. how: in a word of the part's own.

    count: to how many; None where that is no matter.
    """

    epoch: str
    seq: int
    at: datetime
    how: str
    count: int | None = None


class Trail:
    """Of one part. Marks are made in order: within an epoch a seq is never below the one before."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._marks: deque[Mark] = deque()
        self._before: dict[str, int] = {}  # by epoch: up to which seq it passed before what is kept

    def begin(self, epoch: str, seq: int) -> None:
        """Up to here it was done by somebody before, or was left to another way."""
        self._before[epoch] = seq

    def passed(self, epoch: str, seq: int, at: datetime, how: str, *, count: int | None = None) -> None:
        last = self._marks[-1] if self._marks else None
        if (
            last is not None
            and (last.epoch, last.how, last.count) == (epoch, how, count)
            and 0 <= (at - last.at).total_seconds() < TOGETHER_S
        ):
            self._marks[-1] = Mark(epoch, seq, last.at, how, count)
            return
        self._marks.append(Mark(epoch, seq, at, how, count))
        if len(self._marks) > self._most:
            gone = self._marks.popleft()
            self._before[gone.epoch] = gone.seq

    def has(self, epoch: str, seq: int) -> bool:
        """Whether it passed, as far as is known here."""
        return seq <= self._before.get(epoch, 0) or self.of(epoch, seq) is not None

    def of(self, epoch: str, seq: int) -> Mark | None:
        """The mark by which this seq passed; None where it has not, and where it did longer ago than is kept."""
        found = None
        if seq > self._before.get(epoch, 0):
            for mark in reversed(self._marks):
                if mark.epoch == epoch:
                    if mark.seq < seq:
                        break
                    found = mark
        return found
