"""A reader that comes after a prune, or while one runs, is told what is gone and gets all the rest."""

from __future__ import annotations

import asyncio
from pathlib import Path

from migctl.config import Target
from migctl.events import Position
from migctl.journal.sqlite import SqliteJournal
from migctl.schema import Pace, prune, prune_plan
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.receiving import reader, receiving
from tests.kit.relaying import Tables, relaying


async def filled(journal: SqliteJournal, target: Target, tables: Tables, count: int, old: int) -> None:
    """So many events in the table, the first `old` of them a day old; seq 3 is a tombstone."""
    data = [b'{"nul": "\\u0000"}' if seq == 3 else b"{}" for seq in range(1, count + 1)]
    await journal.append([event(text) for text in data])
    async with relaying(journal, target):

        async def there() -> bool:
            heads = await tables.heads()
            return bool(heads) and heads[-1][1] == count

        await until(there)
    for table in ("monitoring_events", "monitoring_tombstones"):
        await tables.run(
            f"update {table} set committed_at = committed_at - interval '1 day',"
            f" created_at = created_at - interval '1 day' where seq <= {old}"
        )


async def test_a_reader_below_the_tail_is_told_pruned_and_gets_the_rest(
    standin: Target, migrated: str, tmp_path: Path
) -> None:
    tables = Tables(migrated)
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    try:
        await filled(journal, standin, tables, 9, 5)
        done = await prune(
            migrated, "public", await prune_plan(migrated, "public", 3600), Pace(batch=2, pause_s=0)
        )
        assert [(e.new_tail, e.rows, e.tombstones) for e in done.epochs] == [(6, 4, 1)]
        async with (
            reader(standin, position=Position(journal.epoch, 1)) as subscriber,
            receiving(subscriber) as received,
        ):
            await received.count(4)
    finally:
        await journal.aclose()
    assert [(gap.reason, gap.lost_from, gap.lost_to) for gap in received.gaps] == [("pruned", 2, 5)]
    assert received.seqs == [6, 7, 8, 9]


async def test_a_reader_in_the_middle_of_pages_while_rows_go_meets_no_broken_hole(
    standin: Target, migrated: str, tmp_path: Path
) -> None:
    """Every seq is either released or declared pruned, each once and in order, however the two interleave."""
    tables = Tables(migrated)
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    try:
        await filled(journal, standin, tables, 1500, 1200)
        chosen = await prune_plan(migrated, "public", 3600)
        async with reader(standin, position=Position(journal.epoch, 0)) as subscriber:
            pruning = asyncio.create_task(prune(migrated, "public", chosen, Pace(batch=25, pause_s=0.0)))
            async with receiving(subscriber) as received:
                await until(lambda: received.seqs[-1:] == [1500])
            await pruning
    finally:
        await journal.aclose()
    assert {gap.reason for gap in received.gaps} <= {"pruned"}
    gone = [
        seq
        for gap in received.gaps
        if gap.lost_from is not None and gap.lost_to is not None
        for seq in range(gap.lost_from, gap.lost_to + 1)
    ]
    assert sorted([*gone, *received.seqs]) == list(range(1, 1501))
    assert received.seqs == sorted(received.seqs)
    assert not gone or max(gone) <= 1200
