"""Comparing: does the target still have what was carried to it? It may have gone back in time: restored, reset, emptied.

What comes after the last row that it kept is carried again under its own positions, as far as the journal still has it, and until
then heads don't promise it. What the journal no longer has is lost: the epoch's tail moves above it, so that readers cross it and
say so. Heads that say less than is there, or are gone themselves, are told again.

A backup is a moment of the past, and the relay may have gone on after it came back, before it compared. So there is one hole at
most since the last comparison, and it begins above the rows of that moment:

| the row of the last comparison | what came after it       | the hole begins                      |
|--------------------------------|--------------------------|--------------------------------------|
| is there                       | is there, without a gap  | nowhere                              |
| is there                       | has a gap                | at the gap                           |
| is gone                        | (not asked)              | above the last row before that one   |

Where only some rows are gone, from the midst of what was compared before, they are found by counting, a part at a time (`holes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from migctl import clock
from migctl.delivery.attempts import Attempts
from migctl.delivery.holes import Part, Turns, first_hole, how_many
from migctl.events import Entry, Position
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
    """An epoch of which the target lacks what was carried, up to `carried`.

    has: there is no hole up to here. tail..head: what the target has of it, or is to begin with. lost: where what nobody has is,
    and `missing` is how much of it.
    """

    epoch: EpochInfo
    has: int
    tail: int
    head: int
    carried: int
    lost: Lost | None = None
    missing: int = 0

    @property
    def again(self) -> int:
        """So many are carried again."""
        return self.carried - self.head


def behind(epoch: EpochInfo, *, has: int, carried: int, tail: int) -> Behind:
    """Where to go on, where rows are there up to `has` (at least tail - 1) without a hole, of those up to `carried`. Pure.

    | the journal begins       | carried again        | lost, but for what is there |
    |--------------------------|----------------------|-----------------------------|
    | at has + 1, or before it | all of it            | nothing                     |
    | after it                 | from its tail on     | what is before its tail     |
    """
    head = max(has, min(epoch.tail - 1, carried))
    if head == has:
        return Behind(epoch, has, tail, head, carried)
    return Behind(epoch, has, head + 1, head, carried, (has + 1, head), head - has)


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
        self._turns = Turns()
        self._again_to: dict[str, int] = {}  # of each epoch that is carried again

    def follow(self, *, every_s: float) -> None:
        """As often from now on."""
        self._every_s = every_s

    async def begin(self, cursor: Position | None) -> None:
        """Before the first write of this life: `gone` says what is to be carried again. cursor: None where nothing was carried."""
        first = (await self._journal.epochs())[0]
        self._agreed = await self._noted() or cursor or Position(first.epoch, 0)
        if cursor is not None and self._every_s:
            self.gone = await self._table.until_done(partial(self.ask, cursor))
        if not self.gone:
            await self._pass_what_is_trimmed()

    async def until_gone(self, carried: Callable[[], Position]) -> None:
        """Look now and then, and soon after the target was away; return once something is gone."""
        failures, at = self._failures(), clock.mono()
        while not self.gone:
            await asyncio.sleep(min(_RETURN_S, self._every_s or _RETURN_S))
            was_away = self._failures() != failures and self._table.state == "running"
            if self._every_s and (was_away or clock.mono() - at >= self._every_s):
                failures, at = self._failures(), clock.mono()
                self.gone = await self._table.once(lambda: self.ask(carried())) or []

    async def is_there(self, entries: Sequence[Entry]) -> bool:
        """Whether what is carried again is there, all of it: it need not be sent. entries: contiguous, of one epoch."""
        epoch, first, last = entries[0].epoch, entries[0].seq, entries[-1].seq
        if last > self._again_to.get(epoch, 0):
            return False
        return await self._table.until_done(partial(self._writer.count, epoch, first, last)) >= len(entries)

    def _failures(self) -> int:
        return self._table.retries + self._heads_attempts.retries

    async def ask(self, cursor: Position) -> list[Behind]:
        """The epochs that are behind what was carried, oldest first; none where all is there. cursor: the last that was carried.

        Raises Transient, Systemic.
        """
        epochs = await self._journal.epochs()
        parts = self._turns.next(self._extents(epochs, cursor, await self._heads.read()))
        found = await self._find(cursor, parts)
        # It takes several requests, and what somebody prunes or restores in between is a hole elsewhere: twice the same is one.
        while found and _places(again := await self._find(cursor, parts)) != _places(found):
            found = again
        if not found:
            await self._note(cursor)
        return found

    def _extents(self, epochs: Sequence[EpochInfo], cursor: Position, heads: Sequence[Head]) -> list[Part]:
        """What is to be there of each epoch up to the cursor, the oldest first."""
        tails = {head.epoch: head.table_tail for head in heads}
        return [
            Part(info.epoch, tails.get(info.epoch, 1), _upto(info, cursor))
            for info in _up_to_cursor(epochs, cursor)
        ]

    async def _find(self, cursor: Position, parts: Sequence[Part]) -> list[Behind]:
        """parts: what is counted."""
        epochs = _up_to_cursor(await self._journal.epochs(), cursor)
        heads = {head.epoch: head for head in await self._heads.read()}
        order = [info.epoch for info in epochs]
        found: list[Behind] = []
        is_whole = (
            False  # who has the end of an epoch has those before it, but for what is counted, or has no head
        )
        for place in range(len(epochs) - 1, -1, -1):
            info = epochs[place]
            head, upto = heads.get(info.epoch), _upto(info, cursor)
            counted = [part for part in parts if part.epoch == info.epoch]
            if is_whole and not counted and not _is_short(head, upto):
                continue
            one = await self._gone_of(info, head, self._agreed_of(place, order, upto), upto, counted)
            if one is not None:
                found.append(one)
                continue
            is_whole = is_whole or upto >= info.tail
            if _is_short(head, upto):
                if head is None:
                    _log.warning("heads did not know an epoch that was carried", epoch=info.epoch, seq=upto)
                await self._heads.move(
                    info, writer_id=self._journal.writer_id, table_head=upto, journal_head=upto
                )
        return found[::-1]

    def _agreed_of(self, place: int, order: Sequence[str], upto: int) -> int:
        """Up to which seq of an epoch the last comparison found all there: of a later one than its own nothing was there yet."""
        since = self._agreed
        if since is None or since.epoch not in order:
            return upto
        at = order.index(since.epoch)
        return min(since.seq, upto) if place == at else (0 if place > at else upto)

    async def _gone_of(
        self, info: EpochInfo, head: Head | None, agreed: int, carried: int, counted: Sequence[Part]
    ) -> Behind | None:
        tail = head.table_tail if head is not None else 1
        if carried < tail:
            return None
        writer, epoch = self._writer, info.epoch
        has = max(await writer.last_to(epoch, agreed), tail - 1)
        if has >= agreed:
            hole = await first_hole(writer, Part(epoch, has + 1, carried))
            has = await writer.reach(epoch, max(has, carried)) if hole is None else hole - 1
        if has >= carried and await writer.first_from(epoch, tail) != tail:
            has = tail - 1
        for part in counted:
            hole = await first_hole(writer, Part(epoch, max(part.first, tail), min(part.last, has)))
            has = has if hole is None else hole - 1
        if has < carried or (head is not None and head.table_head > has):
            return await self._weigh(behind(info, has=min(has, carried), carried=carried, tail=tail))
        return None

    async def _weigh(self, one: Behind) -> Behind:
        """With what of the lost is there nevertheless, and as far as all is there above it: of that nothing is carried again."""
        if one.lost is None:
            return one
        epoch = one.epoch.epoch
        there = await how_many(self._writer, Part(epoch, *one.lost))
        hole = await first_hole(self._writer, Part(epoch, one.head + 1, one.carried))
        return replace(one, missing=one.missing - there, head=one.carried if hole is None else hole - 1)

    async def go_back(self) -> None:
        """Let journal and heads agree to carry again what is gone. Says aloud what is carried again, and what is lost."""
        found, self.gone = self.gone, []
        cursor = await self._journal.cursor(CURSOR)
        if cursor is not None:  # while it was compared, more was carried
            found = [replace(one, carried=max(one.carried, _upto(one.epoch, cursor))) for one in found]
        if any(one.again for one in found):
            # In this order: whoever is killed in between finds the same hole again.
            await self._hold(found)
            # Until the cursor held them the journal's oldest may have gone.
            found = await self._table.until_done(partial(self._as_is, found))
            await self._hold(found)
        for one in reversed(found):
            await self._heads_attempts.until_done(partial(self._set_back, one))
            _log.error(
                "the target went back in time",
                epoch=one.epoch.epoch, has=one.has, carried=one.carried, again=one.again,
                lost=list(one.lost) if one.lost is not None else None, missing=one.missing,
                do="nothing: what the journal has is carried again" if one.lost is None
                else "readers that were behind cross what is lost; bring it back from a newer backup, if there is one",
            )  # fmt: skip
        await self._pass_what_is_trimmed()
        self._again_to |= {one.epoch.epoch: one.carried for one in found}
        first = next((one for one in found if one.again), found[0])
        self.set_back = SetBackStatus(
            at=clock.now(),
            times=self.set_back.times + 1 if self.set_back is not None else 1,
            epoch=first.epoch.epoch,
            after=first.head,
            again=sum(one.again for one in found),
            lost=sum(one.missing for one in found),
        )

    async def _hold(self, found: Sequence[Behind]) -> None:
        """The first that is carried again is where the relay goes on, and what comes after it is not trimmed from now on."""
        for one in found:
            if one.again:
                position = Position(one.epoch.epoch, one.head)
                await self._note(position)
                await self._journal.set_cursor_back(CURSOR, position)
                return

    async def _pass_what_is_trimmed(self) -> None:
        """Whoever was killed while the cursor held what was going has it where the journal has nothing to read."""
        cursor = await self._journal.cursor(CURSOR)
        if cursor is None:
            return
        upto = max(_upto(info, cursor) for info in await self._journal.epochs() if info.epoch == cursor.epoch)
        if upto > cursor.seq:
            await self._journal.move_cursor(CURSOR, Position(cursor.epoch, upto))

    async def _as_is(self, found: Sequence[Behind]) -> list[Behind]:
        """The same holes, by what the journal has now."""
        now = {info.epoch: info for info in await self._journal.epochs()}
        tails = {one.epoch.epoch: one.tail if one.lost is None else one.lost[0] for one in found}
        return [
            one
            if now[one.epoch.epoch].tail == one.epoch.tail
            else await self._weigh(
                behind(now[one.epoch.epoch], has=one.has, carried=one.carried, tail=tails[one.epoch.epoch])
            )
            for one in found
        ]

    async def _set_back(self, one: Behind) -> None:
        await self._heads.set_back(
            one.epoch,
            writer_id=self._journal.writer_id,
            tail=one.tail,
            head=one.head,
            reason=f"the target has no seq {one.has + 1}, and {one.carried} was carried",
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


def _up_to_cursor(epochs: Sequence[EpochInfo], cursor: Position) -> Sequence[EpochInfo]:
    """The epochs of which something may have been carried, the oldest first."""
    return epochs[: [info.epoch for info in epochs].index(cursor.epoch) + 1]


def _upto(info: EpochInfo, cursor: Position) -> int:
    """How far an epoch was carried. What the journal no longer has was, wherever the cursor stands: it may have been set back."""
    return max(cursor.seq, info.tail - 1) if info.epoch == cursor.epoch else info.head


def _is_short(head: Head | None, upto: int) -> bool:
    """Heads know less of an epoch than what was carried of it."""
    return head is None or head.table_head < upto


def _places(found: Sequence[Behind]) -> list[tuple[str, int, int, Lost | None]]:
    """What is the same of two that found the same; the journal's head moves meanwhile."""
    return [(one.epoch.epoch, one.has, one.head, one.lost) for one in found]
