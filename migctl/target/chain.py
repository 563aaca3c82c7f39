"""The chain of epochs, as heads tell of it: which comes after which, and what it means that a seq is not there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec


class Head(msgspec.Struct, frozen=True):
    """A row of monitoring_heads, as far as a reader needs it."""

    epoch: str
    prev_epoch: str | None
    lost_from: int | None
    lost_to: int | None
    started_at: str
    table_tail: int
    table_head: int
    journal_head: int
    updated_at: str


Fate = Literal["pruned", "broken", "not_yet"]


def fate(seq: int, head: Head) -> Fate:
    """What it means that `seq` is neither a row nor a tombstone, by heads that were read before the tables were."""
    if seq < head.table_tail:
        return "pruned"
    return "broken" if seq <= head.table_head else "not_yet"


def newest(heads: Sequence[Head]) -> Head | None:
    """The epoch that nobody follows; of several the one that started last. None where nothing was ever written."""
    followed = {head.prev_epoch for head in heads}
    ends = [head for head in heads if head.epoch not in followed] or list(heads)
    return max(ends, key=lambda head: head.started_at, default=None)


def following(epoch: str, heads: Sequence[Head]) -> Head | None:
    """The epoch that comes after this one; None where this is the last."""
    after = [head for head in heads if head.prev_epoch == epoch and head.epoch != epoch]
    return min(after, key=lambda head: head.started_at, default=None)


def elsewhere(epoch: str, heads: Sequence[Head]) -> Head | None:
    """Where the stream goes on that no chain leads to from `epoch`: the first epoch that only the newest one comes from.

    None where `epoch` is the newest, or comes before it.
    """
    by_epoch = {head.epoch: head for head in heads}
    passed = {head.epoch for head in _back_from(epoch, by_epoch)}
    head = newest(heads)
    path = [] if head is None else _back_from(head.epoch, by_epoch)
    if any(each.epoch == epoch for each in path):
        return None
    return next((each for each in reversed(path) if each.epoch not in passed), None)


def _back_from(epoch: str, by_epoch: Mapping[str, Head]) -> list[Head]:
    """The epoch and those before it, as far as heads know them."""
    path: list[Head] = []
    at: str | None = epoch
    while at is not None and (head := by_epoch.get(at)) is not None and head not in path:
        path.append(head)
        at = head.prev_epoch
    return path


def oldest(heads: Sequence[Head]) -> Head | None:
    """The epoch that follows none of these: where a reader begins that was there before anything was written."""
    known = {head.epoch for head in heads}
    begins = [head for head in heads if head.prev_epoch not in known]
    return min(begins, key=lambda head: head.started_at, default=None)
