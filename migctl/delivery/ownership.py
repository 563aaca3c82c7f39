"""Ownership: may this journal write to this table, in which epochs, and what was lost? Decided from heads, before the relay's first
write. Pure.

Epochs in heads are one chain: each follows the one that was its end when the table first heard of it. So a reader that finishes
one always finds the next, whatever copies of the journal were put back in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from migctl.errors import Refused
from migctl.events import Position, format_time
from migctl.journal import EpochInfo, Lost
from migctl.target import Head
from migctl.target.chain import newest

ADOPT = "migctl journal adopt --reason '...'"


@dataclass(frozen=True, slots=True)
class Regressed:
    """The table has heard of more than this journal has: an older copy was put back. A new epoch follows `prev_epoch`."""

    prev_epoch: str
    lost: Lost | None
    reason: str


@dataclass(frozen=True, slots=True)
class Link:
    """What an epoch follows, and what was lost before it."""

    epoch: str
    prev_epoch: str | None
    lost: Lost | None


def check(heads: Sequence[Head], epochs: Sequence[EpochInfo], *, writer_id: str, target: str) -> None:
    """Raises Refused where another journal wrote the table last, and this one has not adopted its epoch.

    heads: in any order; epochs: of the journal, oldest first, at least one; target: how a message calls the table.
    """
    head = newest(heads)
    if head is None or head.writer_id == writer_id:
        return
    if head.epoch in {info.epoch for info in epochs} | {info.prev_epoch for info in epochs}:
        return
    raise Refused(
        f"{target} belongs to the journal of writer {head.writer_id}: epoch {head.epoch}, last seq "
        f"{reached(head)}, moved {format_time(head.updated_at)}; this journal's writer is {writer_id}",
        do=f"use that journal (MIGCTL_JOURNAL=PATH); if it is gone for good: {ADOPT}",
    )


def certain(info: EpochInfo, carried: Sequence[EpochInfo], unconfirmed: Position | None) -> int:
    """Up to which seq an epoch's events were there when the table was last asked, or when the journal was opened since.

    unconfirmed: after which the journal has taken events without asking. What it took then may have seqs of other events, which an
    older copy that was put back did not know of.
    """
    order = [each.epoch for each in carried]
    if unconfirmed is None or unconfirmed.epoch not in order:
        return info.head
    place, since = order.index(info.epoch), order.index(unconfirmed.epoch)
    if place == since:
        return min(info.head, unconfirmed.seq)
    return info.head if place < since else 0


def kept(head: Head, info: EpochInfo, agreed: int, sure: int, *, is_end: bool) -> int | None:
    """Up to which seq an epoch that the table knows keeps its events; None where it keeps all of them.

    What is above moves to an epoch that comes later. agreed: up to where table and journal have the same events; sure: `certain`.
    is_end: no epoch follows this one in heads; where one does, readers are past it, and nothing is added to it any more.
    """
    if agreed < min(head.table_head, info.head) or not is_end:
        return agreed
    return max(agreed, sure) if reached(head) > sure else None


def regressed(
    heads: Sequence[Head], carried: Sequence[EpochInfo], keep: Mapping[str, int], target: str
) -> Regressed | None:
    """Why a new epoch must begin, after what the journal has; None where none must.

    carried: the journal's epochs from the relay's cursor on; keep: of those that may not keep all that they have.
    """
    end = newest(heads)
    if end is None:
        return None
    opened = carried[-1]
    known = {head.epoch for head in heads}
    parted = [info for info in carried if keep.get(info.epoch, info.head) < info.head]
    if end.epoch == opened.epoch:
        has = keep.get(opened.epoch, opened.head)
        if not parted and reached(end) <= has:
            return None
        why = f"the journal ends at seq {has}, and {target} has heard of seq {reached(end)}"
    elif opened.epoch in known:
        has = next((keep.get(info.epoch, info.head) for info in carried if info.epoch == end.epoch), 0)
        why = f"{target} has epoch {end.epoch} of this journal, which the journal does not know"
    elif parted:
        has = 0
    else:
        return None
    if parted:
        at = keep[parted[0].epoch]
        why = f"{target} has other events than the journal from seq {at + 1} of epoch {parted[0].epoch} on"
    why = f"{why}: an older copy of it was put back"
    if opened.epoch not in known:
        return Regressed(opened.epoch, None, why)
    return Regressed(end.epoch, loss(end, has), why)


def links(heads: Sequence[Head], carried: Sequence[EpochInfo], epochs: Sequence[EpochInfo]) -> list[Link]:
    """How the epochs that are `carried` hang together. epochs: all that the journal knows of.

    Those that the table knows as it was told when they were opened, which was settled then: a copy that was put back knows only by
    its mark what it lacks, and not that the table has it. Those that it only knows others to follow were known before it was
    emptied, and come where the journal has them. The others come after the end of these, one after the other.
    """
    before = newest(heads)
    if before is None:
        return []
    by_epoch = {head.epoch: head for head in heads}
    forgotten = _forgotten(by_epoch, carried)
    found: list[Link] = []
    last: str | None = None  # of those that come after the end
    for info in carried:
        if info.epoch in by_epoch:
            head = by_epoch[info.epoch]
            found.append(Link(head.epoch, head.prev_epoch, head.lost))
        elif info.epoch in forgotten:
            found.append(Link(info.epoch, info.prev_epoch, info.lost))
        elif last is None:
            found.append(Link(info.epoch, before.epoch, settled(before, epochs)))
            last = info.epoch
        else:
            found.append(Link(info.epoch, last, info.lost if info.prev_epoch == last else None))
            last = info.epoch
    return found


def _forgotten(known: Mapping[str, Head], carried: Sequence[EpochInfo]) -> set[str]:
    """Epochs that heads don't have, and yet know others to follow."""
    followed = {head.prev_epoch for head in known.values()}
    found: set[str] = set()
    for info in reversed(carried):
        if info.epoch in followed and info.epoch not in known:
            found.add(info.epoch)
            followed.add(info.prev_epoch)
    return found


def settled(head: Head, epochs: Sequence[EpochInfo]) -> Lost | None:
    """What was lost of the end of the chain, now that the table can be asked. The journal only knew that it does not have it.

    epochs: all of the journal, also those that were carried: of a table that went back in time it has what is lacking there.
    """
    had = next((info.head for info in epochs if info.epoch == head.epoch), 0)
    missed = [info.lost_to or 0 for info in epochs if info.prev_epoch == head.epoch]
    return loss(head, had, max(missed, default=0))


def reached(head: Head) -> int:
    """The last seq of an epoch that the table has heard of."""
    return max(head.table_head, head.journal_head)


def loss(head: Head, journal_head: int, known: int = 0) -> Lost | None:
    """What neither the table nor a journal that ends at `journal_head` has of this epoch. known: a seq that there was."""
    first = max(head.table_head, journal_head) + 1
    last = max(reached(head), known)
    return (first, last) if first <= last else None
