"""How a source without an answer to give brings its events to the journal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from migctl.ingest.deposit import Deposit, Item, finish
from migctl.ingest.rejected import Rejected
from migctl.journal import Bookmark
from migctl.journal.sqlite import SqliteJournal
from tests.kit.entries import event


def items(*datas: bytes, ids: list[str | None] | None = None) -> list[Item]:
    made = [
        event(data, id=name) if name else event(data)
        for data, name in zip(datas, ids or [None] * len(datas), strict=True)
    ]
    return [Item(each, each.data, place) for place, each in enumerate(made)]


@pytest.fixture
def deposit(journal: SqliteJournal, tmp_path: Path) -> Deposit:
    return Deposit(journal, source="s", rejected=Rejected(tmp_path / "rejected.ndjson"))


async def test_what_is_put_is_in_the_journal_with_its_offset_and_counted(
    journal: SqliteJournal, deposit: Deposit
) -> None:
    batch = items(b'{"n":0}', b'{"n":1}')
    await deposit.put(batch, read=Bookmark("file", 20))
    await deposit.put(batch, read=Bookmark("file", 40))
    assert (journal.head, await journal.bookmark("file")) == (2, Bookmark("file", 40))
    assert (deposit.accepted, deposit.duplicates, deposit.waiting_for) == (2, 2, None)
    await deposit.put([], read=Bookmark("file", 50))
    assert await journal.bookmark("file") == Bookmark("file", 50)


async def test_what_conflicts_is_set_aside_and_the_rest_of_its_batch_goes_on(
    journal: SqliteJournal, deposit: Deposit, tmp_path: Path
) -> None:
    (first,) = items(b'{"n":0}')
    await deposit.put([first])
    await deposit.put(items(b'{"n":1}', b'{"n":2}', b'{"n":3}', ids=[None, first.event.id, None]))
    assert [entry.event.data for entry in await journal.read(0)] == [b'{"n":0}', b'{"n":1}', b'{"n":3}']
    assert (deposit.accepted, deposit.conflicts) == (3, 1)
    assert first.event.id in (tmp_path / "rejected.ndjson").read_text()


async def test_work_that_is_seen_through_ends_before_the_cancellation_does() -> None:
    begun, may_end, done = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await may_end.wait()
        done.append(True)

    task = asyncio.ensure_future(finish(work(), within_s=10))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    await asyncio.wait([task])
    assert (task.cancelled(), done) == (True, [True])


async def test_work_that_takes_too_long_after_a_cancellation_is_cancelled_too() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(finish(work(), within_s=0.001))
    await begun.wait()
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([task])
    assert task.cancelled()
