"""Claim: makes table and journal agree on who goes on, and where, before the relay's first write.

A journal that was put back, and took events before it could ask the table, has given seqs a second time. Those events lose their
places: they move to a new epoch, so that no seq means two events and nothing that was acknowledged is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from migctl.delivery import ownership
from migctl.events import Position
from migctl.journal import EpochInfo, Log
from migctl.target import Head, Heads, TableWriter
from migctl.target.chain import newest


async def claim(journal: Log, heads: Heads, writer: TableWriter, cursor: Position | None) -> list[EpochInfo]:
    """The journal's epochs, oldest first, as they may be written to the table.

    Rotates the epoch where this journal is older than what it wrote. Raises Refused where another journal owns the table,
    Transient, Systemic.
    """
    epochs = await journal.epochs()
    unconfirmed = await journal.unconfirmed()  # after the epochs, so that it covers all that they have
    carried = from_cursor(epochs, cursor)
    written = await as_written(await heads.read(), writer, carried)
    ownership.check(written, epochs, writer_id=journal.writer_id, target=writer.name)
    keep = await _kept(journal, writer, written, carried, cursor, unconfirmed)
    regressed = ownership.regressed(written, carried, keep, writer.name)
    if regressed is not None:
        await journal.rotate_epoch(
            epochs[-1].epoch,
            prev_epoch=regressed.prev_epoch,
            lost=regressed.lost,
            reason=regressed.reason,
            keep_to=keep,
        )
    now = {info.epoch: info for info in await journal.epochs()}
    every = list(now.values())
    for link in ownership.links(written, from_cursor(every, cursor), every):
        info = now[link.epoch]
        if (info.prev_epoch, info.lost) != (link.prev_epoch, link.lost):
            await journal.link_epoch(link.epoch, prev_epoch=link.prev_epoch, lost=link.lost)
    await journal.confirm()
    return await journal.epochs()


def from_cursor(epochs: Sequence[EpochInfo], cursor: Position | None) -> Sequence[EpochInfo]:
    """The epochs that are not carried to their end yet: the cursor's, and those after it."""
    places = [n for n, info in enumerate(epochs) if cursor is not None and info.epoch == cursor.epoch]
    return epochs[places[0] if places else 0 :]


async def as_written(
    written: Sequence[Head], writer: TableWriter, carried: Sequence[EpochInfo]
) -> list[Head]:
    """Heads with the table head that the rows have: a relay that was killed had written more than it could report.

    Only of the newest epoch, and of those that are carried.
    """
    end = newest(written)
    asked = {info.epoch for info in carried} | ({end.epoch} if end is not None else set())
    return [
        replace(head, table_head=await writer.reach(head.epoch, head.table_head))
        if head.epoch in asked
        else head
        for head in written
    ]


async def _kept(
    journal: Log,
    writer: TableWriter,
    written: Sequence[Head],
    carried: Sequence[EpochInfo],
    cursor: Position | None,
    unconfirmed: Position | None,
) -> dict[str, int]:
    """Of each epoch that may not keep all its events: the last seq that keeps its place."""
    by_epoch = {head.epoch: head for head in written}
    end = newest(written)
    keep: dict[str, int] = {}
    for info in carried:
        head = by_epoch.get(info.epoch)
        if head is None:
            continue
        low = max(cursor.seq if cursor is not None and cursor.epoch == info.epoch else 0, info.tail - 1)
        agreed = await _agreed(journal, writer, info.epoch, low, min(head.table_head, info.head))
        sure = ownership.certain(info, carried, unconfirmed)
        to = ownership.kept(head, info, max(low, agreed), sure, is_end=head is end)
        if to is not None:
            keep[info.epoch] = to
    return keep


class Parting:
    """Up to which seq, from `low` to `high`, journal and table have the same events. Pure: `ask` names a seq, `answer` says of it.

    Where they part, they part for good: so the place is found by halving, the end first, where they mostly agree. Where `high` is
    not above `low` nothing is asked, and it is `high`.

    | asked          | the same                       | another                                      |
    |----------------|--------------------------------|----------------------------------------------|
    | `high`         | all of them: `at` is `high`    | it lies from `low` to below `high`           |
    | one between    | it lies from there on          | it lies below                                |
    """

    def __init__(self, low: int, high: int) -> None:
        self._low = min(low, high)
        self._high = high
        self.ask: int | None = high if high > low else None

    @property
    def at(self) -> int:
        """Once there is nothing to ask."""
        return self._low

    def answer(self, *, same: bool) -> None:
        """Whether the event of `ask` is the same in both."""
        assert self.ask is not None
        if same:
            self._low = self.ask
        else:
            self._high = self.ask
        middle = (self._low + self._high) // 2
        self.ask = middle if self._low < middle < self._high else None


async def _agreed(journal: Log, writer: TableWriter, epoch: str, low: int, high: int) -> int:
    parting = Parting(low, high)
    while (seq := parting.ask) is not None:
        parting.answer(same=await _same(journal, writer, epoch, seq))
    return parting.at


async def _same(journal: Log, writer: TableWriter, epoch: str, seq: int) -> bool:
    entries = await journal.read(seq - 1, epoch=epoch, limit=1)
    found = await writer.id_at(epoch, seq)
    # What the table no longer has can't contradict.
    return found is None or (bool(entries) and entries[0].event.id == found)


__all__ = ["claim"]
