"""The events that wait for the table: how many are held, in which order they are taken, and what a hole is."""

from __future__ import annotations

import pytest

from migctl.delivery.batches import Batch, Bound, Rules
from migctl.delivery.classes import Classifier, Rates
from migctl.delivery.reading import Reader
from migctl.errors import Refused
from migctl.journal.sqlite import SqliteJournal
from tests.kit.entries import event

BOUNDS = {"high": Bound(100, 0.1), "medium": Bound(50, 0.5), "low": Bound(10, 2.0)}


def reader(journal: SqliteJournal, *, max_bytes: int = 1 << 20, rows: int = 500) -> Reader:
    rules = Rules(BOUNDS, max_bytes, rows)  # type: ignore[arg-type]
    return Reader(journal, rules, Classifier({"cpu": "high"}, Rates()))


async def test_it_reads_to_the_goal_and_gives_the_events_in_order(journal: SqliteJournal) -> None:
    await journal.append([event() for _ in range(5)])
    one = reader(journal)
    assert one.oldest is None
    await one.read_on(journal.head)
    assert (one.read_to, len(one.waiting)) == (5, 5)
    assert {each.event_class for each in one.waiting} == {"high"}
    taken = one.take(Batch(3, "count"))
    assert [entry.seq for entry in taken] == [1, 2, 3]
    assert len(one.waiting) == 2
    assert one.oldest == (await journal.read(3, limit=1))[0].committed_at


@pytest.mark.parametrize(("max_bytes", "rows"), [(2000, 500), (1 << 20, 2)])
async def test_it_holds_two_full_requests_and_leaves_the_rest_in_the_journal(
    journal: SqliteJournal, max_bytes: int, rows: int
) -> None:
    await journal.append([event(b'{"text":"%b"}' % (b"x" * 500)) for _ in range(50)])
    one = reader(journal, max_bytes=max_bytes, rows=rows)
    await one.read_on(journal.head)
    held = len(one.waiting)
    assert held >= 4 if rows == 2 else 3 <= held < 50
    await one.read_on(journal.head)
    assert len(one.waiting) == held, "it is full"
    seqs: list[int] = []
    while one.waiting:
        seqs += [entry.seq for entry in one.take(Batch(1, "count"))]
        await one.read_on(journal.head)
    assert seqs == list(range(1, 51))


async def test_a_hole_in_the_journal_is_refused_and_never_read_over(journal: SqliteJournal) -> None:
    await journal.append([event() for _ in range(3)])
    one = reader(journal)
    one.begin(journal.epoch, 4)
    with pytest.raises(Refused, match="no seq 5"):
        await one.read_on(9)
