"""Rows that somebody deletes in the midst of what was carried, and heads that are gone or older than the rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from migctl import schema
from migctl.config import Settings, Target
from migctl.delivery import Relay
from migctl.delivery.comparing import NOTE
from migctl.delivery.relay import CURSOR
from migctl.events import Position
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.retention import Keep
from migctl.target import Heads, TableWriter
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.receiving import Received, publishing, reader, receiving
from tests.kit.relaying import Tables, publish, relayed, relaying

OFTEN = Settings.model_validate({"relay": {"compare_every_s": 0.2, "heads_apart_s": 0.01}})
# So that a reader meets the hole before the relay does.
SELDOM = Settings.model_validate({"relay": {"compare_every_s": 4, "heads_apart_s": 0.01}})
NEVER = Settings.model_validate({"relay": {"compare_every_s": 0}})

MIDST = "delete from monitoring_events where seq between 5 and 9 or seq = 12"


@asynccontextmanager
async def followed(
    journal: SqliteJournal, target: Target, epoch: str | None = None
) -> AsyncIterator[tuple[Relay, Received]]:
    """A relay that compares often, and what a reader has that began with the epoch, by default the journal's."""
    async with (
        publishing(journal, target, settings=OFTEN) as (relay, _),
        reader(target, position=Position(epoch or journal.epoch, 0)) as subscriber,
        receiving(subscriber) as received,
    ):
        yield relay, received


async def carried(journal: SqliteJournal, relay: Relay, count: int) -> None:
    await publish(journal, [event() for _ in range(count)])
    await relayed(journal, relay)
    await relay.drain(30)


async def compared(journal: SqliteJournal) -> None:
    async def done() -> bool:
        return await journal.note(NOTE) == f"{journal.epoch} {journal.head}"

    await until(done)


async def whole(tables: Tables, seqs: list[int]) -> None:
    async def done() -> bool:
        return sorted([*await tables.seqs(), *await tables.tombstones()]) == seqs

    await until(done)


async def heads_are(tables: Tables, *expected: tuple[str, int, int]) -> None:
    async def done() -> bool:
        return await tables.heads() == list(expected)

    await until(done)


async def test_rows_that_are_deleted_in_the_midst_come_again_while_the_relay_runs(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await carried(journal, relay, 20)
        await compared(journal)
        await tables.run(MIDST)
        await whole(tables, list(range(1, 21)))
        await heads_are(tables, (journal.epoch, 20, 20))
        found = relay.status().set_back
    assert found is not None
    assert (found.after, found.again, found.lost) == (4, 16, 0)


async def test_rows_that_were_deleted_in_the_midst_while_nobody_ran_come_again(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await carried(journal, relay, 20)
        await compared(journal)
    await tables.run(MIDST)
    async with relaying(journal, target, settings=SELDOM):
        await whole(tables, list(range(1, 21)))


async def test_tombstones_alone_that_are_deleted_come_again(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await publish(journal, [event(), event(rb'{"a":"\u0000"}'), event(), event()])
        await relayed(journal, relay)
        await compared(journal)
        await tables.run("truncate monitoring_tombstones")
        await whole(tables, [1, 2, 3, 4])
    assert list(await tables.tombstones()) == [2]


async def test_rows_of_an_epoch_of_before_come_again(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await carried(journal, relay, 7)
    first = journal.epoch
    await journal.rotate_epoch(first, lost=None, reason="a test")
    async with relaying(journal, target, settings=OFTEN) as relay:
        await carried(journal, relay, 4)
        await tables.run(f"delete from monitoring_events where epoch = '{first}' and seq in (3, 7)")
        await whole(tables, [1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7])
        await heads_are(tables, (first, 7, 7), (journal.epoch, 4, 4))


async def test_of_what_the_journal_has_no_more_only_the_hole_is_lost(
    tmp_path: Path, target: Target, tables: Tables
) -> None:
    keep = Keep(hours=0.0, min_events=10, readers=frozenset({"relay"}), check_every_s=0.02)
    journal = await SqliteJournal.open(tmp_path / "trimmed.db", keep=keep)
    async with relaying(journal, target, settings=OFTEN) as relay:
        await carried(journal, relay, 30)
        await until(lambda: journal.tail == 21)
        await tables.run("delete from monitoring_events where seq in (5, 6, 12, 25)")
        there = [n for n in range(1, 31) if n not in (5, 6, 12)]
        await whole(tables, there)
        await relay.drain(30)
        found = relay.status().set_back
    assert found is not None
    assert (found.after, found.again, found.lost) == (24, 6, 3)
    async with (
        reader(target, position=Position(journal.epoch, 0)) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(27)
    assert received.seqs == there
    gaps = [(gap.reason, gap.lost_from, gap.lost_to) for gap in received.gaps]
    assert gaps == [("pruned", 5, 6), ("pruned", 12, 12)]
    await journal.aclose()


@pytest.mark.parametrize(
    "statement",
    [
        "truncate monitoring_heads",
        "update monitoring_heads set table_head = 7, journal_head = 8",
    ],
    ids=["gone", "older"],
)
async def test_heads_alone_that_went_back_are_told_again_though_no_event_comes(
    journal: SqliteJournal, target: Target, tables: Tables, statement: str
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await carried(journal, relay, 20)
        await tables.run(statement)
        await heads_are(tables, (journal.epoch, 20, 20))
        assert relay.status().set_back is None


async def test_a_table_that_is_gone_is_said_while_no_event_comes_and_is_filled_once_it_is_there(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    """`supabase db reset` under a running serve; its subscriber misses nothing, and nothing is said to be lost."""
    url = target.need("database_url")
    async with followed(journal, target) as (relay, received):
        await carried(journal, relay, 35)
        await received.count(35)
        await schema.rollback(url, "public", who="a test", to=0, drop_data=True)
        # Its first refusal may be of the moment in which the rights were gone, and the tables were not.
        await until(lambda: "migctl schema apply" in (relay.status().do or ""))
        assert relay.status().state == "paused"
        await publish(journal, [event() for _ in range(5)])
        await schema.apply(url, "public", who="a test")
        await whole(tables, list(range(1, 41)))
        await heads_are(tables, (journal.epoch, 40, 40))
        await received.count(40)
    assert received.gaps == []


RESTORED = "; update monitoring_heads set table_head = 20, journal_head = 20"


@pytest.mark.parametrize(
    "statement",
    [
        "truncate monitoring_events, monitoring_tombstones, monitoring_heads",
        "truncate monitoring_heads",
        "delete from monitoring_events where seq > 20",
        f"delete from monitoring_events where seq > 20{RESTORED}",
        "delete from monitoring_events where seq between 10 and 12",
        f"delete from monitoring_events where seq between 10 and 12{RESTORED}",
    ],
    ids=["emptied", "heads emptied", "rows gone", "restored", "a hole", "a hole and older heads"],
)
async def test_a_live_reader_gets_each_event_once_whatever_goes_back(
    journal: SqliteJournal, target: Target, tables: Tables, statement: str
) -> None:
    async with followed(journal, target) as (relay, received):
        await carried(journal, relay, 35)
        await received.count(35)
        await tables.run(statement)
        await publish(journal, [event() for _ in range(5)])
        await received.count(40)
        await whole(tables, list(range(1, 41)))
        await heads_are(tables, (journal.epoch, 40, 40))
        await publish(journal, [event() for _ in range(5)])
        await received.count(45)
    assert received.seqs == list(range(1, 46))
    assert received.gaps == []


@pytest.mark.slow
async def test_a_reader_that_meets_the_hole_before_the_relay_does_waits_for_it(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with publishing(journal, target, settings=SELDOM) as (relay, _):
        await carried(journal, relay, 35)
        await tables.run("delete from monitoring_events where seq > 20")
        async with (
            reader(target, position=Position(journal.epoch, 5)) as subscriber,
            receiving(subscriber) as received,
        ):
            await received.count(30)
    assert received.seqs == list(range(6, 36))
    assert received.gaps == []


async def test_a_target_that_was_set_back_to_before_an_epoch_gives_its_readers_one_run(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await carried(journal, relay, 7)
    first = journal.epoch
    await journal.rotate_epoch(first, lost=None, reason="a test")
    async with followed(journal, target, first) as (relay, received):
        await carried(journal, relay, 4)
        await received.count(11)
        await tables.run(to_before(first))
        await publish(journal, [event() for _ in range(4)])
        await heads_are(tables, (first, 7, 7), (journal.epoch, 8, 8))
        await received.count(15)
    assert received.seqs == [*range(1, 8), *range(1, 9)]
    assert received.gaps == []


async def test_a_start_after_that_says_nothing_to_be_lost_that_the_journal_has(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await carried(journal, relay, 7)
    first = journal.epoch
    await journal.rotate_epoch(first, lost=None, reason="a test")
    async with relaying(journal, target, settings=OFTEN) as relay:
        await carried(journal, relay, 4)
    await tables.run(to_before(first))
    async with relaying(journal, target, settings=OFTEN):
        await heads_are(tables, (first, 7, 7), (journal.epoch, 4, 4))
    assert await tables.lost() == {first: None, journal.epoch: None}


def to_before(first: str) -> str:
    """As it was while the first epoch was carried."""
    return (
        f"delete from monitoring_events where epoch <> '{first}' or seq > 5; "
        f"delete from monitoring_heads where epoch <> '{first}'; "
        "update monitoring_heads set table_head = 5, journal_head = 7"
    )


async def test_what_the_journal_trims_between_comparing_and_going_back_is_lost_and_said(
    tmp_path: Path, target: Target, tables: Tables
) -> None:
    keep = Keep(hours=0.0, min_events=10, readers=frozenset({"relay", "other"}), check_every_s=0.02)
    journal = await SqliteJournal.open(tmp_path / "trimmed.db", keep=keep)
    async with relaying(journal, target, settings=NEVER) as relay:
        await carried(journal, relay, 30)
    await tables.run("delete from monitoring_events where seq > 8")
    writer, heads = TableWriter(target, "public"), Heads(target, "public")
    relay = Relay(journal, writer, heads, OFTEN)
    comparer = relay.comparer
    await comparer.begin(Position(journal.epoch, 30))
    assert [one.head for one in comparer.gone] == [8]
    await journal.move_cursor("other", Position(journal.epoch, 30))
    await until(lambda: journal.tail == 21)
    await comparer.go_back()
    assert await journal.cursor(CURSOR) == Position(journal.epoch, 20)
    assert comparer.set_back is not None
    assert (comparer.set_back.after, comparer.set_back.again, comparer.set_back.lost) == (20, 10, 12)
    await writer.aclose()
    await heads.aclose()
    await journal.aclose()


async def test_who_was_killed_while_it_went_back_goes_on_where_the_journal_begins(
    tmp_path: Path, target: Target, tables: Tables
) -> None:
    keep = Keep(hours=0.0, min_events=10, readers=frozenset({"relay"}), check_every_s=0.02)
    journal = await SqliteJournal.open(tmp_path / "trimmed.db", keep=keep)
    async with relaying(journal, target, settings=NEVER) as relay:
        await carried(journal, relay, 30)
        await until(lambda: journal.tail == 21)
    await tables.run("delete from monitoring_events where seq > 8")
    await journal.set_cursor_back(CURSOR, Position(journal.epoch, 8))
    async with relaying(journal, target, settings=OFTEN) as relay:
        await whole(tables, [*range(1, 9), *range(21, 31)])
        found = relay.status().set_back
    assert found is not None
    assert found.lost == 12
    await journal.aclose()
