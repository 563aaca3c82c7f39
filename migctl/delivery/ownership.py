"""Ownership: may this journal write to this table, and in which epoch? Decided from heads, before the relay's first write. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migctl.errors import Refused
from migctl.events import format_time
from migctl.journal import EpochInfo, Lost
from migctl.transports.realtime import Head

ADOPT = "migctl journal adopt --reason '...'"


@dataclass(frozen=True, slots=True)
class Regressed:
    """The table has heard of more than this journal has: an older copy was put back. A new epoch follows `prev_epoch`."""

    prev_epoch: str
    lost: Lost | None
    reason: str


def check(
    heads: Sequence[Head], epochs: Sequence[EpochInfo], *, writer_id: str, target: str
) -> Regressed | None:
    """None where the table is empty or this journal may go on with it; else why it must begin a new epoch first.

    heads: in any order; epochs: of the journal, oldest first, at least one; target: how a message calls the table.
    Raises Refused where another journal wrote the table last.
    """
    head = newest(heads)
    if head is None:
        return None
    opened = epochs[-1]
    reached = max(head.table_head, head.journal_head)
    if head.epoch == opened.epoch:
        if reached <= opened.head:
            return None
        why = f"the journal ends at seq {opened.head}, and {target} has heard of seq {reached}"
        return Regressed(head.epoch, loss(head, opened.head), f"{why}: an older copy of it was put back")
    if head.epoch in {info.epoch for info in epochs} | {info.prev_epoch for info in epochs}:
        return None  # this journal has begun an epoch after it, which the table is yet to be told of
    if head.writer_id == writer_id:
        why = f"{target} has epoch {head.epoch} of this journal, which the journal does not know"
        return Regressed(head.epoch, loss(head, 0), f"{why}: an older copy of it was put back")
    raise Refused(
        f"{target} belongs to the journal of writer {head.writer_id}: epoch {head.epoch}, last seq "
        f"{reached}, moved {format_time(head.updated_at)}; this journal's writer is {writer_id}",
        do=f"use that journal (MIGCTL_JOURNAL=PATH); if it is gone for good: {ADOPT}",
    )


def newest(heads: Sequence[Head]) -> Head | None:
    """The epoch that no other follows; of several the one that began last."""
    followed = {head.prev_epoch for head in heads if head.prev_epoch != head.epoch}
    ends = [head for head in heads if head.epoch not in followed] or list(heads)
    return max(ends, key=lambda head: head.started_at, default=None)


def loss(head: Head, journal_head: int, known: int = 0) -> Lost | None:
    """What neither the table nor a journal that ends at `journal_head` has of this epoch. known: a seq that there was."""
    first = max(head.table_head, journal_head) + 1
    last = max(head.table_head, head.journal_head, known)
    return (first, last) if first <= last else None


def settled(info: EpochInfo, heads: Sequence[Head], epochs: Sequence[EpochInfo]) -> Lost | None:
    """What was lost before an epoch that the table does not know yet, now that the table can be asked.

    The journal only knew that it does not have it.
    """
    head = next((head for head in heads if head.epoch == info.prev_epoch), None)
    if head is None:
        return info.lost
    before = next((known.head for known in epochs if known.epoch == info.prev_epoch), 0)
    return loss(head, before, info.lost_to or 0)
