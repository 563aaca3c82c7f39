"""A target that answers what nobody asked for: the relay pauses, says so and tries again, and no answer is the end of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from migctl.config import Settings, Target
from migctl.config.settings import ResilienceSection, RetrySection
from migctl.delivery import Relay
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.retention import Keep
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.nonsense import BLAMES, NONSENSE, PACKED, Answer, Front, Request, nonsense_before
from tests.kit.relaying import Tables, publish, relaying

SOON = RetrySection(first_delay_s=0.01, max_delay_s=0.05)
SETTINGS = Settings(resilience=ResilienceSection(retry=SOON, systemic_retry=SOON))
ALL = [*NONSENSE.values(), *PACKED.values(), *BLAMES.values()]
NOT_ASKED = Answer(body=b"[]", forwarded=True)


@pytest.fixture
async def front(target: Target) -> AsyncIterator[Front]:
    async with nonsense_before(target.supabase_url) as front:
        yield front


async def _carried(
    journal: SqliteJournal, target: Target, front: Front, asked: Request, answers: Sequence[Answer]
) -> None:
    """A relay's life: it hears all of these answers, and then carries what there is."""
    front.next(asked, answers)
    async with relaying(journal, target, through=front.url, settings=SETTINGS) as relay:
        await until(lambda: front.left(asked) == 0)
        await until(_well(journal, relay))


def _well(journal: SqliteJournal, relay: Relay) -> Callable[[], bool]:
    return lambda: relay.announced_head == journal.head and relay.status().state == "running"


async def _forget_cursor(journal: SqliteJournal) -> None:
    def forget() -> None:
        database = sqlite3.connect(journal.location)
        with database:
            database.execute("DELETE FROM cursors")
        database.close()

    await asyncio.to_thread(forget)


@pytest.mark.parametrize("asked", ["read heads", "move", "probe"])
async def test_nonsense_where_the_relay_begins(
    journal: SqliteJournal, target: Target, tables: Tables, front: Front, asked: Request
) -> None:
    await publish(journal, [event() for _ in range(6)])
    # Also that heads are another's, which the row itself does not say.
    await _carried(journal, target, front, asked, ALL)
    assert await tables.seqs() == [1, 2, 3, 4, 5, 6]
    assert await journal.dead_letters() == []


@pytest.mark.parametrize("asked", ["reach", "id at"])
@pytest.mark.slow
async def test_nonsense_where_journal_and_table_are_compared(
    journal: SqliteJournal, target: Target, tables: Tables, front: Front, asked: Request
) -> None:
    await publish(journal, [event() for _ in range(6)])
    async with relaying(journal, target) as relay:
        await until(_well(journal, relay))
    await _forget_cursor(journal)
    await publish(journal, [event()])
    await _carried(journal, target, front, asked, ALL)
    assert await tables.seqs() == [1, 2, 3, 4, 5, 6, 7]
    assert [epoch.epoch for epoch in await journal.epochs()] == [journal.epoch]


async def test_nonsense_where_a_trimmed_epoch_begins(
    tmp_path: Path, target: Target, tables: Tables, front: Front
) -> None:
    path = tmp_path / "trimmed.db"
    trimmed = await SqliteJournal.open(path, keep=Keep(hours=0.0, min_events=20, check_every_s=0.01))
    await publish(trimmed, [event() for _ in range(50)], group=10)
    await until(lambda: trimmed.tail == 31)
    await trimmed.aclose()
    journal = await SqliteJournal.open(path)
    try:
        await _carried(journal, target, front, "begin", ALL)
    finally:
        await journal.aclose()
    assert await tables.seqs() == list(range(31, 51))
    assert await tables._all("select table_tail, table_head from monitoring_heads") == [(31, 50)]


async def test_nonsense_for_rows(
    journal: SqliteJournal, target: Target, tables: Tables, front: Front
) -> None:
    await publish(journal, [event() for _ in range(64)])
    # What blames a batch is heard between the rest: each halves it, and no event is alone.
    answers = [*list(BLAMES.values())[:2], *NONSENSE.values(), *list(BLAMES.values())[2:]]
    await _carried(journal, target, front, "write", answers)
    assert await tables.seqs() == list(range(1, 65))
    assert await tables.tombstones() == {}
    assert await journal.dead_letters() == []


async def test_nonsense_for_rows_that_are_looked_up(
    journal: SqliteJournal, target: Target, tables: Tables, front: Front
) -> None:
    await publish(journal, [event() for _ in range(6)])
    front.next("write", [NOT_ASKED])
    await _carried(journal, target, front, "read back", ALL)
    assert await tables.seqs() == [1, 2, 3, 4, 5, 6]
    assert await tables.tombstones() == {}


@pytest.mark.parametrize("asked", ["tombstones", "read tombstones back"])
async def test_nonsense_for_tombstones(
    journal: SqliteJournal, target: Target, tables: Tables, front: Front, asked: Request
) -> None:
    await publish(journal, [event(), event(rb'{"a":"\u0000"}'), event()])
    if asked != "tombstones":
        front.next("tombstones", [NOT_ASKED])
    await _carried(journal, target, front, asked, ALL)
    assert await tables.seqs() == [1, 3]
    assert list(await tables.tombstones()) == [2]
    assert [letter.position.seq for letter in await journal.dead_letters()] == [2]


async def test_a_tombstone_is_there_only_once_the_table_says_so(
    journal: SqliteJournal, target: Target, tables: Tables, front: Front
) -> None:
    await publish(journal, [event(rb'{"a":"\u0000"}')])
    front.always("tombstones", Answer(201, b"[]"))
    async with relaying(journal, target, through=front.url, settings=SETTINGS) as relay:
        await until(lambda: relay.status().state == "paused")
        assert "does not have it" in relay.status().reason
        assert relay.table_head == 0
        front.always("tombstones", None)
        await until(_well(journal, relay))
    assert list(await tables.tombstones()) == [1]


async def test_a_row_of_a_time_that_no_event_has_is_anothers(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    taken = [event() for _ in range(3)]
    for one, time in zip(taken, ("infinity", "0044-03-15 BC", "294276-01-01"), strict=True):
        await tables.run(
            "insert into monitoring_events (id, event_type, timestamp, data, source) "
            f"values ('{one.id}', 'cpu', '{time}', '{{}}', '{one.source}')"
        )
    await publish(journal, [*taken, event()])
    async with relaying(journal, target, settings=SETTINGS) as relay:
        await until(_well(journal, relay))
    assert {seq: reason for seq, (reason, _) in (await tables.tombstones()).items()} == {
        1: "conflict", 2: "conflict", 3: "conflict"
    }  # fmt: skip


async def test_an_old_event_is_known_again_where_the_database_tells_seconds_in_its_offset(
    journal: SqliteJournal, target: Target, tables: Tables, front: Front
) -> None:
    from datetime import UTC, datetime

    from msgspec.structs import replace

    await tables.run("alter role service_role set timezone to 'Europe/Amsterdam'")
    try:
        old = replace(event(), timestamp=datetime(1890, 1, 1, tzinfo=UTC))
        await publish(journal, [old])
        front.next("write", [NOT_ASKED])
        async with relaying(journal, target, through=front.url, settings=SETTINGS) as relay:
            await until(_well(journal, relay))
            assert relay.status().repeats == 1
    finally:
        await tables.run("alter role service_role reset timezone")
    assert await tables.tombstones() == {}
