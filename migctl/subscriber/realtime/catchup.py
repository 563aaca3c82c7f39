"""Catch-up, as it is done: reads what the rule of catch-up asks for, and hands on what it answers.

Heads may lag, for good if their writer died: a row that follows the position is released whatever they say, so now and then a
reader pages past what it has heard of.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec

from migctl import clock
from migctl.events import Position
from migctl.subscriber.core import catchup
from migctl.subscriber.core.catchup import Attention, Memory, Round
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.merge import Item
from migctl.subscriber.core.release import Release
from migctl.subscriber.realtime.tables import Tables
from migctl.target.chain import newest, oldest
from migctl.telemetry import get_logger

log = get_logger("subscriber")


class CatchUp:
    """Reads for one Flow. Not for two tasks at once. patience_s: how long what heads leave in doubt is asked for."""

    def __init__(self, tables: Tables, flow: Flow, *, patience_s: float = catchup.PATIENCE_S) -> None:
        self._tables = tables
        self._flow = flow
        self._memory = Memory(patience_s=patience_s)
        self._attention = Attention(clock.mono())

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
        self._forget(Round(self._memory, heads).ancestors(head.epoch))
        return position

    async def start_at_the_beginning(self) -> Position | None:
        """Begin before the first event: for a reader that was ready before anything was written."""
        head = oldest(await self._tables.heads())
        if head is None:
            return None
        position = Position(head.epoch, 0)
        self._flow.start(position)
        return position

    async def round(self, *, to_the_end: bool = False) -> bool:
        """Read heads, then what is missing, as far as it is there. True where the reader came forward.

        to_the_end: also what nobody has told of, up to the last that was there when it was asked. Raises Transient or Systemic.
        """
        merge = self._flow.merge
        before = merge.top
        rule = Round(self._memory, await self._tables.heads(), to_the_end=to_the_end)
        asked_s = self._attention.begun(clock.mono())
        while (stand := catchup.stand_of(merge)) is not None:
            step = rule.next(stand, asked_s)
            if step is None:
                self._forget(rule.ancestors(stand.top.epoch))
                break
            await self._do(step, rule, stand.top)
        return merge.top != before

    async def _do(self, step: catchup.Step, rule: Round, top: Position) -> None:
        flow = self._flow
        match step:
            case catchup.Hear():
                for epoch, head in step.heads:
                    flow.hear(epoch, head)
            case catchup.AskLast():
                rule.last(await self._tables.last(step.epoch, step.after))
            case catchup.ReadTombstones():
                rule.tombstones(await self._tables.tombstones(step.epoch, step.after))
            case catchup.ReadRows():
                rule.rows(await self._tables.rows(step.epoch, step.after, upto=step.upto))
            case catchup.Take():
                for item in step.items:
                    await flow.put(self._fetched(item))
            case catchup.Lose():
                self._log_loss(top, step.reason, (top.seq + 1, step.to))
                flow.lose(step.to, step.reason)
            case catchup.GoOn():
                self._log_loss(top, step.reason, step.lost, next_epoch=step.position.epoch)
                flow.next_epoch(step.position, lost=step.lost, reason=step.reason)

    def _fetched(self, item: Item) -> Item:
        if isinstance(item, Release) and self._flow.merge.named(item.seq):
            return msgspec.structs.replace(item, via="fetch")
        return item

    def _log_loss(self, top: Position, reason: str | None, lost: tuple[int, int] | None, **more: str) -> None:
        if reason is not None:
            # What the table should have, and epochs that no chain links, are somebody's mistake.
            level = logging.ERROR if reason in ("broken", "epoch") else logging.WARNING
            log.log(level, "events are not coming", reason=reason, position=str(top), lost=lost, **more)

    def _forget(self, epochs: Iterable[str]) -> None:
        for epoch in epochs:
            self._flow.merge.forget(epoch)
