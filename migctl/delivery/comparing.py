"""Comparing: does the target still have what was carried to it? It may have gone back in time: restored, reset, emptied.

What comes after the last row that it kept is carried again under its own positions, as far as the journal still has it, and until
then heads don't promise it. What the journal no longer has is lost: the epoch's tail moves above it, so that readers cross it and
say so.

A backup is a moment of the past, and the relay may have gone on after it came back, before it compared. So there is one hole at
most since the last comparison, and it begins above the rows of that moment:

| the row of the last comparison | what came after it       | the hole begins                      |
|--------------------------------|--------------------------|--------------------------------------|
| is there                       | is there, without a gap  | nowhere                              |
| is there                       | has a gap                | at the gap                           |
| is gone                        | (not asked)              | above the last row before that one   |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from migctl import clock
from migctl.delivery.attempts import Attempts
from migctl.errors import MigctlError
from migctl.events import Position
from migctl.journal import EpochInfo, Journal, Lost
from migctl.status import SetBackStatus
from migctl.target import Head, Heads, TableWriter
from migctl.telemetry import get_logger

CURSOR = "relay"
# How soon a target that was away is compared once it is back.
_RETURN_S = 0.5
# Up to where target and journal were found to agree, for the life after this one.
NOTE = "compared"

_log = get_logger("relay")


@dataclass(frozen=True, slots=True)
class Behind:
    """An epoch of which the target lacks what was carried. tail..head: what it has, or is to begin with; lost: what nobody has."""

    epoch: EpochInfo
    tail: int
    head: int
    carried: int
    lost: Lost | None


def behind(epoch: EpochInfo, *, has: int, carried: int, tail: int) -> Behind:
    """Where to go on, where rows are there up to `has` (at least tail - 1) only, of those up to `carried`. Pure.

    | the journal begins       | carried again        | lost                    |
    |--------------------------|----------------------|-------------------------|
    | at has + 1, or before it | all of it            | nothing                 |
    | after it                 | from its tail on     | what is before its tail |
    """
    head = max(has, min(epoch.tail - 1, carried))
    if head == has:
        return Behind(epoch, tail, head, carried, None)
    return Behind(epoch, head + 1, head, carried, (has + 1, head))


class Comparer:
    """Of one relay. gone: epochs that are behind what was carried, oldest first; set_back: what came of the last that were.

    table, heads_attempts: by which target and heads are asked. every_s: seconds between two comparisons; 0: never.
    """

    def __init__(
        self,
        journal: Journal,
        writer: TableWriter,
        heads: Heads,
        table: Attempts,
        heads_attempts: Attempts,
        *,
        every_s: float,
    ) -> None:
        self.gone: list[Behind] = []
        self.set_back: SetBackStatus | None = None
        self._journal = journal
        self._writer = writer
        self._heads = heads
        self._table = table
        self._heads_attempts = heads_attempts
        self._every_s = every_s
        self._agreed: Position | None = None

    def follow(self, *, every_s: float) -> None:
        """As often from now on."""
        self._every_s = every_s

    async def begin(self, cursor: Position | None) -> None:
        """Before the first write of this life: `gone` says what is to be carried again. cursor: None where nothing was carried."""
        first = (await self._journal.epochs())[0]
        self._agreed = await self._noted() or cursor or Position(first.epoch, 0)
        if cursor is not None and self._every_s:
            self.gone = await self._table.until_done(partial(self.ask, cursor))

    async def until_gone(self, carried: Callable[[], Position]) -> None:
        """Look now and then, and soon after the target was away; return once something is gone."""
        failures, at = self._failures(), clock.mono()
        while not self.gone:
            await asyncio.sleep(min(_RETURN_S, self._every_s or _RETURN_S))
            due = clock.mono() - at >= self._every_s or self._failures() != failures
            if self._every_s and due and self._table.state == "running":
                failures, at = self._failures(), clock.mono()
                with suppress(MigctlError):  # who carries finds out by itself, and waits for it
                    self.gone = await self.ask(carried())

    def _failures(self) -> int:
        return self._table.retries + self._heads_attempts.retries

    async def ask(self, cursor: Position) -> list[Behind]:
        """The epochs that are behind what was carried, oldest first; none where all is there. cursor: the last that was carried.

        Raises Transient, Systemic.
        """
        found = await self._find(cursor)
        # It takes several requests, and what somebody prunes or restores in between is a hole elsewhere: twice the same is one.
        while found and _places(again := await self._find(cursor)) != _places(found):
            found = again
        return found

    async def _find(self, cursor: Position) -> list[Behind]:
        epochs = {info.epoch: info for info in await self._journal.epochs()}
        heads = {head.epoch: head for head in await self._heads.read()}
        order = list(epochs)
        found: list[Behind] = []
        for place in range(order.index(cursor.epoch), -1, -1):
            info = epochs[order[place]]
            upto = cursor.seq if info.epoch == cursor.epoch else info.head
            agreed = self._agreed_of(place, order, upto)
            one = await self._gone_of(info, heads.get(info.epoch), agreed, upto)
            if one is not None:
                found.append(one)
            elif upto >= info.tail:
                break  # who has the end of an epoch has those before it
        if not found:
            await self._note(cursor)
        return found[::-1]

    def _agreed_of(self, place: int, order: Sequence[str], upto: int) -> int:
        """Up to which seq of an epoch the last comparison found all there: of a later one than its own nothing was there yet."""
        since = self._agreed
        if since is None or since.epoch not in order:
            return upto
        at = order.index(since.epoch)
        return min(since.seq, upto) if place == at else (0 if place > at else upto)

    async def _gone_of(self, info: EpochInfo, head: Head | None, agreed: int, carried: int) -> Behind | None:
        tail = head.table_tail if head is not None else 1
        if carried < tail:
            return None
        writer, epoch = self._writer, info.epoch
        has = max(await writer.last_to(epoch, agreed), tail - 1)
        if has >= agreed:
            has = await writer.reach(epoch, has)
        if has >= carried and await writer.first_from(epoch, tail) != tail:
            has = tail - 1
        if has < carried or (head is not None and head.table_head > has):
            return behind(info, has=min(has, carried), carried=carried, tail=tail)
        return None

    async def go_back(self) -> None:
        """Let journal and heads agree to carry again what is gone. Says aloud what is carried again, and what is lost."""
        found, self.gone = self.gone, []
        position = Position(found[0].epoch.epoch, found[0].head)
        # In this order: whoever is killed in between finds the same hole again.
        await self._note(position)
        await self._journal.set_cursor_back(CURSOR, position)
        for one in reversed(found):
            await self._heads_attempts.until_done(partial(self._set_back, one))
            _log.error(
                "the target went back in time",
                epoch=one.epoch.epoch, has=one.head, carried=one.carried, again=one.carried - one.head,
                lost=list(one.lost) if one.lost is not None else None,
                do="nothing: what the journal has is carried again" if one.lost is None
                else "readers that were behind cross what is lost; bring it back from a newer backup, if there is one",
            )  # fmt: skip
        self.set_back = SetBackStatus(
            at=clock.now(),
            times=self.set_back.times + 1 if self.set_back is not None else 1,
            epoch=position.epoch,
            after=position.seq,
            again=sum(one.carried - one.head for one in found),
            lost=sum(one.lost[1] - one.lost[0] + 1 for one in found if one.lost is not None),
        )

    async def _set_back(self, one: Behind) -> None:
        await self._heads.set_back(
            one.epoch,
            writer_id=self._journal.writer_id,
            tail=one.tail,
            head=one.head,
            reason=f"the target has seq {one.head}, and {one.carried} was carried",
        )

    async def _noted(self) -> Position | None:
        text = await self._journal.note(NOTE)
        if text is None:
            return None
        epoch, _, seq = text.rpartition(" ")
        return Position(epoch, int(seq))

    async def _note(self, position: Position) -> None:
        if position != self._agreed:
            await self._journal.set_note(NOTE, f"{position.epoch} {position.seq}")
            self._agreed = position


def _places(found: Sequence[Behind]) -> list[tuple[str, int, int, Lost | None]]:
    """What is the same of two that found the same; the journal's head moves meanwhile."""
    return [(one.epoch.epoch, one.tail, one.head, one.lost) for one in found]
