"""Ownership: may this journal write to this table? Decided from heads, before the relay's first write. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from migctl.errors import Refused
from migctl.events import format_time
from migctl.journal import EpochInfo
from migctl.transports.realtime import Head


def check(
    heads: Sequence[Head], epochs: Sequence[EpochInfo], *, writer_id: str, journal_head: int, target: str
) -> None:
    """Return where the table is empty or is this journal's.

    heads: newest first; epochs: of the journal, oldest first, at least one; target: how a message calls the table.
    Raises Refused where another journal wrote the table last, or this one is older than what it wrote.
    """
    if not heads:
        return
    newest, opened = heads[0], epochs[-1]
    adopted = newest.epoch == opened.prev_epoch
    if newest.writer_id != writer_id and not adopted:
        raise Refused(
            f"{target} belongs to the journal of writer {newest.writer_id}: epoch {newest.epoch}, last seq "
            f"{max(newest.table_head, newest.journal_head)}, moved {format_time(newest.updated_at)}; "
            f"this journal's writer is {writer_id}",
            do="use that journal (MIGCTL_JOURNAL=PATH); if it is gone for good: migctl journal adopt --reason '...'",
        )
    if newest.epoch not in {known.epoch for known in epochs} and not adopted:
        raise Refused(
            f"{target} has epoch {newest.epoch} of this journal's writer {writer_id}, which this journal does not know: "
            "an older copy of it was put back",
            do="bring back the newest copy of the journal",
        )
    own = next((head for head in heads if head.epoch == opened.epoch), None)
    reached = max(own.table_head, own.journal_head) if own is not None else 0
    if reached > journal_head:
        raise Refused(
            f"the journal of epoch {opened.epoch} ends at seq {journal_head}, and {target} has heard of seq {reached}: "
            "an older copy of the journal was put back",
            do="bring back the newest copy of the journal",
        )
