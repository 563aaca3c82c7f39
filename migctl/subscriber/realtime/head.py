"""Head: where the journal stands now, said by a `serve` that lives.

Heads in the table outlive who wrote them: nobody can tell by them a journal that is at rest from one whose `serve` was killed
before it could write. So an answer is a heartbeat that comes from now on, or heads that the relay moves from now on. Heads are
compared with themselves: the database's clock need not be ours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from migctl import clock
from migctl.errors import Transient
from migctl.events import Position
from migctl.subscriber.realtime.live import Live
from migctl.subscriber.realtime.tables import Tables
from migctl.target.chain import Head, newest
from migctl.target.errors import Nonsense

PROBE_EVERY_S = 0.5


async def head_now(live: Live, tables: Tables) -> Position:
    """Where the journal stood at some moment after this call. Waits until somebody says it: who asks has to bound that.

    Raises Systemic where heads are refused; an answer that says nothing of them is no refusal.
    """
    asked_at = clock.mono()
    before: Sequence[Head] | None = None
    while True:
        if live.last_beat is not None and live.last_beat.at > asked_at:
            return live.last_beat.head
        with contextlib.suppress(Transient, Nonsense):
            heads = await tables.heads()
            head = newest(heads)
            if before is not None and head is not None and was_moved(head, before):
                return Position(head.epoch, max(head.journal_head, head.table_head))
            before = heads if before is None else before
        await live.beat(within_s=PROBE_EVERY_S)


def was_moved(head: Head, before: Sequence[Head]) -> bool:
    """The relay has moved this row since. Pruning moves `updated_at` too, with the tail, and is no relay's sign of life."""
    here = [old for old in before if old.epoch == head.epoch]
    return not here or (here[0].updated_at != head.updated_at and here[0].table_tail == head.table_tail)
