"""Catch-up: brings a reader forward from the tables, epoch by epoch, and declares what is not coming.

Heads are read first, so that what they promise must be seen when the tables are read after them: a seq up to `table_head` that is
neither row nor tombstone is broken, not late. It is looked at three times before that is said aloud. Heads may lag, for good if
their writer died: a row that follows the position is released whatever they say, so now and then a reader pages past what it has
heard of.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from migctl import clock
from migctl.events import Position
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.merge import Item
from migctl.subscriber.core.pages import merged
from migctl.subscriber.core.release import Release
from migctl.subscriber.realtime.tables import Tables
from migctl.target.chain import Head, elsewhere, fate, following, newest, oldest
from migctl.telemetry import get_logger

LOOKS = 3
# An epoch that was left may still be written to its end by the relay; after this time what is missing of it is lost.
PATIENCE_S = 30.0

log = get_logger("subscriber")


class CatchUp:
    """Reads for one Flow. Not for two tasks at once."""

    def __init__(self, tables: Tables, flow: Flow) -> None:
        self._tables = tables
        self._flow = flow
        self._suspect: tuple[Position, int] | None = None
        self._waiting: tuple[str, str, float] | None = None

    async def start(self) -> Position | None:
        """Begin at the table's head, as it is now. None where nothing was ever written: then try again.

        Where somebody else has begun meanwhile, it stays with that.
        """
        heads = await self._tables.heads()
        if self._flow.merge.top is not None:
            return self._flow.merge.top
        head = newest(heads)
        if head is None:
            return None
        position = Position(head.epoch, head.table_head)
        self._flow.start(position)
        self._forget_ancestors(head.epoch, heads)
        return position

    async def start_at_the_beginning(self) -> Position | None:
        """Begin before the first event: for a reader that was ready before anything was written."""
        heads = await self._tables.heads()
        head = oldest(heads)
        if head is None:
            return None
        position = Position(head.epoch, 0)
        self._flow.start(position)
        return position

    async def round(self, *, to_the_end: bool = False) -> bool:
        """Read heads, then what is missing, as far as it is there. True where the reader came forward.

        to_the_end: also what nobody has told of, up to an empty page. Raises Transient or Systemic.
        """
        merge = self._flow.merge
        before = merge.top
        heads = await self._tables.heads()
        by_epoch = {head.epoch: head for head in heads}
        while (top := merge.top) is not None:
            head = by_epoch.get(top.epoch)
            if head is None:
                if not self._unknown_epoch(top, heads):
                    break
                continue
            self._flow.hear(head.epoch, max(head.journal_head, head.table_head))
            after = following(top.epoch, heads)
            if after is not None:
                self._flow.hear(after.epoch, after.journal_head)
            ended = await self._read_epoch(head, to_the_end=to_the_end or after is not None)
            if after is None:
                if not self._goes_on_elsewhere(top.epoch, heads):
                    break
            elif not ended or not self._finish(head, after):
                break
        if merge.top is not None:
            self._forget_ancestors(merge.top.epoch, heads)
        return merge.top != before

    async def _read_epoch(self, head: Head, *, to_the_end: bool) -> bool:
        """Page until nothing is missing, or what is missing can't be had now. True where the table's end was seen.

        to_the_end: nothing but the table's end, an empty page, is taken to mean that nothing is missing.
        """
        merge = self._flow.merge
        tombstones: Sequence[Item] = ()
        more_tombstones = True
        while True:
            missing = merge.missing()
            top = merge.top
            assert top is not None
            if missing is None and not to_the_end:
                return False
            tombstones = [item for item in tombstones if item.seq > top.seq]
            if not tombstones and more_tombstones:
                tombstones = await self._tables.tombstones(head.epoch, top.seq)
                more_tombstones = bool(tombstones)
            upto = None if missing is None or to_the_end else missing[1]
            rows = await self._tables.rows(head.epoch, top.seq, upto=upto)
            items, end = merged(rows, tombstones)
            for item in items:
                await self._flow.put(self._fetched(item))
            if not end and merge.top is not None and merge.top.seq >= items[-1].seq:
                continue
            verdict = self._judge_hole(head)
            if verdict == "stop":
                return end

    def _fetched(self, item: Item) -> Item:
        if isinstance(item, Release) and self._flow.merge.named(item.seq):
            return msgspec.structs.replace(item, via="fetch")
        return item

    def _judge_hole(self, head: Head) -> str:
        """Decide about the seq after the run, which the tables did not have: "go on" behind it, or "stop" for now."""
        merge = self._flow.merge
        top, missing = merge.top, merge.missing()
        assert top is not None
        what = fate(top.seq + 1, head)
        if what == "not_yet" or missing is None:
            self._suspect = None
            return "stop"
        if what == "pruned":
            to = min(missing[1], head.table_tail - 1)
        else:
            looks = self._suspect[1] + 1 if self._suspect is not None and self._suspect[0] == top else 1
            self._suspect = (top, looks)
            if looks < LOOKS:
                return "stop"
            to = min(missing[1], head.table_head)
            log.error("the table has a hole", epoch=top.epoch, lost_from=top.seq + 1, lost_to=to)
        self._flow.lose(to, what)
        return "go on"

    def _finish(self, head: Head, after: Head) -> bool:
        """Go on to the next epoch once this one's table is at its end. False where the relay still owes something."""
        merge = self._flow.merge
        top = merge.top
        assert top is not None
        final = head.journal_head if after.lost_from is None else after.lost_from - 1
        if top.seq < final and not self._waited_long("unfinished", top.epoch):
            return False
        while (missing := merge.missing()) is not None and missing[1] < merge.heard:
            self._flow.lose(missing[1], "lost")  # a row above the hole is there, and is delivered
            top = merge.top or top
        lost_to = max(merge.heard, after.lost_to or 0)
        if lost_to > top.seq:
            log.warning("events are lost", epoch=top.epoch, lost_from=top.seq + 1, lost_to=lost_to)
            self._flow.next_epoch(Position(after.epoch, 0), lost=(top.seq + 1, lost_to), reason="lost")
        else:
            self._flow.next_epoch(Position(after.epoch, 0))
        return True

    def _unknown_epoch(self, top: Position, heads: Sequence[Head]) -> bool:
        """Heads know nothing of our epoch. Its row may be about to be made; if it never is, go on with what there is."""
        head = newest(heads)
        if head is None or not self._waited_long("unknown", top.epoch):
            return False
        self._flow.next_epoch(Position(head.epoch, head.table_tail - 1), reason="epoch")
        return True

    def _goes_on_elsewhere(self, epoch: str, heads: Sequence[Head]) -> bool:
        """No chain of epochs leads on from here, and yet there is a newer one: after a while, go there, and say so."""
        head = elsewhere(epoch, heads)
        if head is None or not self._waited_long("unlinked", epoch):
            return False
        log.error("epochs are not linked", epoch=epoch, next_epoch=head.epoch)
        self._flow.next_epoch(Position(head.epoch, head.table_tail - 1), reason="epoch")
        return True

    def _waited_long(self, why: str, epoch: str) -> bool:
        now = clock.mono()
        if self._waiting is None or self._waiting[:2] != (why, epoch):
            self._waiting = (why, epoch, now)
        return now - self._waiting[2] >= PATIENCE_S

    def _forget_ancestors(self, epoch: str, heads: Sequence[Head]) -> None:
        """A late hint of an epoch before ours is no reason to look again."""
        previous = {head.epoch: head.prev_epoch for head in heads}
        seen = {epoch}
        while (before := previous.get(epoch)) is not None and before not in seen:
            self._flow.merge.forget(before)
            seen.add(before)
            epoch = before
