"""Claim: makes table and journal agree on who goes on, and where, before the relay's first write.

A journal that was put back, and took events before it could ask the table, has given seqs a second time. Those events lose their
places: they move to a new epoch, so that no seq means two events and nothing that was acknowledged is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from migctl.delivery import ownership
from migctl.events import Position
from migctl.journal import EpochInfo, Journal
from migctl.transports.realtime import Head, Heads, TableWriter


async def claim(
    journal: Journal, heads: Heads, writer: TableWriter, cursor: Position | None
) -> list[EpochInfo]:
    """The journal's epochs, oldest first, as the table may be told of them.

    Opens a new epoch where this journal is older than what it wrote. Raises Refused where another journal owns the table,
    Transient, Systemic.
    """
    epochs = await journal.epochs()
    opened = epochs[-1]
    told = await as_written(await heads.read(), writer, opened)
    regressed = ownership.check(told, epochs, writer_id=journal.writer_id, target=writer.name)
    agreed = await _agreed(journal, writer, told, opened, cursor)
    if agreed < opened.head:
        head = next(head for head in told if head.epoch == opened.epoch)
        why = f"{writer.name} has other events than the journal from seq {agreed + 1} on: an older copy of it was put back"
        regressed = ownership.Regressed(opened.epoch, ownership.loss(head, agreed), why)
    if regressed is not None:
        await journal.open_epoch(
            regressed.prev_epoch, lost=regressed.lost, reason=regressed.reason, keep_to=agreed
        )
        epochs = await journal.epochs()
    known = {head.epoch for head in told}
    for info in epochs:
        if info.epoch not in known and info.prev_epoch is not None:
            lost = ownership.settled(info, told, epochs)
            if lost != info.lost:
                await journal.link_epoch(info.epoch, prev_epoch=info.prev_epoch, lost=lost)
    return await journal.epochs()


async def as_written(told: Sequence[Head], writer: TableWriter, opened: EpochInfo | None) -> list[Head]:
    """Heads with the table head that the rows have: a relay that was killed had written more than it could tell.

    Only of the newest epoch, and of the journal's open one and the one before it.
    """
    newest = ownership.newest(told)
    asked = {newest.epoch} if newest is not None else set()
    if opened is not None:
        asked |= {opened.epoch, opened.prev_epoch or ""}
    return [
        replace(head, table_head=await writer.reach(head.epoch, head.table_head))
        if head.epoch in asked
        else head
        for head in told
    ]


async def _agreed(
    journal: Journal,
    writer: TableWriter,
    told: Sequence[Head],
    opened: EpochInfo,
    cursor: Position | None,
) -> int:
    """Up to which seq of the open epoch journal and table have the same events; the head where nothing says otherwise.

    Where they part, they part for good: so the place is found by halving.
    """
    head = next((head for head in told if head.epoch == opened.epoch), None)
    low = max(cursor.seq if cursor is not None and cursor.epoch == opened.epoch else 0, opened.tail - 1)
    if head is None:
        return opened.head
    high = min(head.table_head, opened.head)
    if high <= low or await _same(journal, writer, opened.epoch, high):
        return opened.head
    while low + 1 < high:
        middle = (low + high) // 2
        if await _same(journal, writer, opened.epoch, middle):
            low = middle
        else:
            high = middle
    return low


async def _same(journal: Journal, writer: TableWriter, epoch: str, seq: int) -> bool:
    entries = await journal.read(seq - 1, epoch=epoch, limit=1)
    found = await writer.id_at(epoch, seq)
    # What the table no longer has can't contradict.
    return found is None or (bool(entries) and entries[0].event.id == found)


__all__ = ["claim"]
