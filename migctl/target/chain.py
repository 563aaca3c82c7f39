"""The chain of epochs, as heads tell of it: which comes after which, and what it means that a seq is not there. Pure.

Readers and relay ask here, so they never part over which epoch is the newest. Whatever heads say, and in whatever order, there is
one answer: of epochs that began at the same moment the one with the lower name came first; of epochs that follow each other in a
circle (one alone may) the one that began first follows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from migctl.target.schema import Epoch, Seq


class Head(msgspec.Struct, frozen=True):
    """What the table knows of an epoch. Times are aware, UTC. lost_from..lost_to: of prev_epoch, what is nowhere any more."""

    epoch: Epoch
    prev_epoch: Epoch | None
    lost_from: Seq | None
    lost_to: Seq | None
    writer_id: str
    fence: Seq
    started_at: datetime
    table_tail: Seq
    table_head: Seq
    journal_head: Seq
    updated_at: datetime

    @property
    def lost(self) -> tuple[int, int] | None:
        return None if self.lost_from is None or self.lost_to is None else (self.lost_from, self.lost_to)


Fate = Literal["pruned", "broken", "not_yet"]


def fate(seq: int, head: Head) -> Fate:
    """What it means that `seq` is neither a row nor a tombstone, by heads that were read before the tables were."""
    if seq < head.table_tail:
        return "pruned"
    return "broken" if seq <= head.table_head else "not_yet"


def newest(heads: Sequence[Head]) -> Head | None:
    """The epoch that nobody follows; of several the one that began last. None where nothing was ever written."""
    before = _before(heads)
    followed = set(before.values())
    return max((head for head in heads if head.epoch not in followed), key=_age, default=None)


def oldest(heads: Sequence[Head]) -> Head | None:
    """The epoch that follows none of these: where a reader begins that was there before anything was written."""
    before = _before(heads)
    return min((head for head in heads if before[head.epoch] is None), key=_age, default=None)


def following(epoch: str, heads: Sequence[Head]) -> Head | None:
    """The epoch that comes after this one; of several the one that began first. None where this is the last."""
    before = _before(heads)
    return min((head for head in heads if before[head.epoch] == epoch), key=_age, default=None)


def elsewhere(epoch: str, heads: Sequence[Head]) -> Head | None:
    """Where the stream goes on that no chain leads to from `epoch`: the first epoch that only the newest one comes from.

    None where `epoch` is the newest, or comes before it.
    """
    end = newest(heads)
    if end is None:
        return None
    before = _before(heads)
    path = _back_from(end.epoch, before)
    if epoch in path:
        return None
    passed = set(_back_from(epoch, before))
    at = next(each for each in reversed(path) if each not in passed)
    return next(head for head in heads if head.epoch == at)


def _age(head: Head) -> tuple[datetime, str]:
    return head.started_at, head.epoch


def _before(heads: Sequence[Head]) -> dict[str, str | None]:
    """What each epoch follows, as far as heads know that one; no way along it is a circle."""
    by_epoch = {head.epoch: head for head in heads}
    before = {head.epoch: head.prev_epoch if head.prev_epoch in by_epoch else None for head in heads}
    done: set[str] = set()
    for epoch in by_epoch:
        path: dict[str, int] = {}
        at: str | None = epoch
        while at is not None and at not in done and at not in path:
            path[at] = len(path)
            at = before[at]
        if at in path:
            circle = list(path)[path[at] :]
            before[min(circle, key=lambda each: _age(by_epoch[each]))] = None
        done.update(path)
    return before


def _back_from(epoch: str, before: Mapping[str, str | None]) -> list[str]:
    """The epoch and those before it, as far as heads know them."""
    path = []
    at = epoch if epoch in before else None
    while at is not None:
        path.append(at)
        at = before[at]
    return path
