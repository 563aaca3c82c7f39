"""Adoption: a journal takes over a table, or a place, that another journal had. For when that one is gone for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from migctl.delivery import ownership
from migctl.errors import Refused
from migctl.journal import EpochInfo, Log, Lost, Mark
from migctl.target import Head
from migctl.target.chain import newest


@dataclass(frozen=True, slots=True)
class Foreign:
    """The newest epoch of the other journal: whose it was, and what of it is not coming.

    prev_epoch: None where no reader has heard of it.
    """

    prev_epoch: str | None
    writer_id: str
    last_seq: int
    at: datetime
    lost: Lost | None


def foreign(
    heads: Sequence[Head] | None, epochs: Sequence[EpochInfo], mark: Mark | None, *, writer_id: str | None
) -> Foreign | None:
    """What is to be adopted; None where nothing is. Pure.

    heads: None without a target. epochs, writer_id: of the journal, empty and None where there is none yet.
    """
    head = newest(heads or ())
    strange_mark = mark if mark is not None and mark.writer_id != writer_id else None
    if head is not None and _is_foreign(heads or (), epochs, writer_id):
        known = mark.head if mark is not None and mark.epoch == head.epoch else 0
        last = max(head.table_head, head.journal_head, known)
        return Foreign(head.epoch, head.writer_id, last, head.updated_at, ownership.loss(head, 0, known))
    if strange_mark is None:
        return None
    lost = (1, strange_mark.head) if strange_mark.head and head is None else None
    # A table that is ours already knows nothing of the mark's epoch: readers could not cross from it.
    prev = strange_mark.epoch if head is None else None
    return Foreign(prev, strange_mark.writer_id, strange_mark.head, strange_mark.at, lost)


def _is_foreign(heads: Sequence[Head], epochs: Sequence[EpochInfo], writer_id: str | None) -> bool:
    if writer_id is None or not epochs:
        return True
    try:
        ownership.check(heads, epochs, writer_id=writer_id, target="")
    except Refused:
        return True
    return False


def is_followed(opened: EpochInfo, heads: Sequence[Head] | None) -> bool:
    """Whether somebody may have followed the open epoch, so that what it follows can't be changed any more. Pure.

    | the open epoch          | the table has heard of it | is followed                               |
    |-------------------------|---------------------------|-------------------------------------------|
    | follows another         | (any)                     | yes: the chain was said when it was opened |
    | follows none            | yes                       | yes                                       |
    | follows none            | no, or there is no table  | no: it keeps its events, and gets a link  |
    """
    return opened.prev_epoch is not None or opened.epoch in {head.epoch for head in heads or ()}


async def adopt(
    journal: Log, heads: Sequence[Head] | None, found: Foreign, reason: str
) -> tuple[EpochInfo, int]:
    """Make the journal follow the foreign epoch; its open epoch, and its head.

    A journal that no table has heard of keeps its epoch, and what it has taken; another rotates it.
    """
    opened = (await journal.epochs())[-1]
    why = f"adopted from writer {found.writer_id}: {reason}"
    if found.prev_epoch is not None:
        follow = journal.rotate_epoch if is_followed(opened, heads) else journal.link_epoch
        await follow(opened.epoch, prev_epoch=found.prev_epoch, lost=found.lost, reason=why)
    return (await journal.epochs())[-1], journal.head
