"""The relay against PostgreSQL and the stand-in: every seq becomes a row or a tombstone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from migctl.config import Settings, Target
from migctl.delivery import Relay
from migctl.delivery.relay import CURSOR
from migctl.errors import Refused
from migctl.events import Position
from migctl.events.ids import uuid7
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.retention import Keep
from migctl.target import Heads, TableWriter
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.relaying import Tables, data_of, publish, relayed, relaying

ELSEWHERE = True

NUL = rb'{"a":"\u0000"}'
HALF_A_PAIR = rb'{"a":"\ud800"}'
VAST = b'{"a":1e400000}'


async def test_thousand_events_become_rows_and_heads_and_cursor_stand_at_the_last(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    events = [event(b'{"n":%d}' % number) for number in range(1000)]
    async with relaying(journal, target) as relay:
        await publish(journal, events, group=97)
        assert await relay.drain(30) == 0
        await relayed(journal, relay)
    assert await tables.seqs() == list(range(1, 1001))
    assert await tables.ids() == [each.id for each in events]
    assert await tables.heads() == [(journal.epoch, 1000, 1000)]
    assert await journal.cursor(CURSOR) == Position(journal.epoch, 1000)
    assert relay.status().rows == 1000


async def test_number_text_reaches_the_table_unrounded(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    text = b'{"a":0.1000000000000000055511151231257827,"b":9007199254740993}'
    async with relaying(journal, target) as relay:
        await publish(journal, [event(text)])
        await relayed(journal, relay)
    rows = await tables._all("select data::text from monitoring_events")
    assert rows == [('{"a": 0.1000000000000000055511151231257827, "b": 9007199254740993}',)]


@pytest.mark.parametrize(
    ("place", "poison"), [(0, NUL), (37, HALF_A_PAIR), (99, VAST)], ids=["first", "middle", "last"]
)
async def test_one_poison_event_becomes_a_tombstone_with_its_text_and_the_rest_rows(
    journal: SqliteJournal, target: Target, tables: Tables, place: int, poison: bytes
) -> None:
    events = [event() for _ in range(100)]
    events[place] = event(poison)
    async with relaying(journal, target) as relay:
        await publish(journal, events)
        await relayed(journal, relay)
        assert await relay.drain(10) == 0
    seq = place + 1
    assert await tables.seqs() == [number for number in range(1, 101) if number != seq]
    tombstones = await tables.tombstones()
    assert list(tombstones) == [seq]
    reason, text = tombstones[seq]
    assert reason == "poison"
    assert poison.decode() in (text or "")
    letters = await journal.dead_letters()
    assert [(letter.position.seq, letter.event_id, letter.code[:2]) for letter in letters] == [
        (seq, events[place].id, "22")
    ]


async def test_nothing_but_poison_is_delivered_from_tombstones(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target) as relay:
        await publish(journal, [event(NUL), event(HALF_A_PAIR), event(VAST)])
        await relayed(journal, relay)
    assert await tables.seqs() == []
    tombstones = await tables.tombstones()
    assert data_of(tombstones[1][1]) == {"a": "\0"}
    assert data_of(tombstones[2][1]) == {"a": "\ud800"}
    assert '"a":1e400000' in (tombstones[3][1] or "")


async def test_id_that_another_epoch_delivered_becomes_a_tombstone_without_text(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    known = event(b'{"a": 1, "b": [1.50]}')
    await tables.run(
        "insert into monitoring_events (id, event_type, timestamp, data, source, epoch, seq, committed_at) values "
        f"('{known.id}', 'cpu', '{known.timestamp.isoformat()}', '{{\"b\":[1.5],\"a\":1}}', 'host-1', 'older', 9, now())"
    )
    async with relaying(journal, target) as relay:
        await publish(journal, [event(), known, event()])
        await relayed(journal, relay)
    assert await tables.tombstones() == {2: ("duplicate_of", None)}
    assert relay.status().tombstones == {"duplicate_of": 1}
    assert await journal.dead_letters() == []


async def test_id_that_stands_for_another_body_becomes_a_conflict_that_keeps_the_text(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    known = event(b'{"a":1}')
    await tables.run(
        "insert into monitoring_events (id, event_type, timestamp, data, source) values "
        f"('{known.id}', 'cpu', '{known.timestamp.isoformat()}', '{{\"a\":2}}', 'host-1')"
    )
    async with relaying(journal, target) as relay:
        await publish(journal, [known, event()])
        await relayed(journal, relay)
    reason, text = (await tables.tombstones())[1]
    assert reason == "conflict"
    assert data_of(text) == {"a": 1}


async def test_relay_goes_on_where_its_cursor_stands(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target) as relay:
        await publish(journal, [event() for _ in range(20)])
        await relayed(journal, relay)
    async with relaying(journal, target) as relay:
        await publish(journal, [event() for _ in range(5)])
        await relayed(journal, relay)
        assert relay.status().rows == 5
    assert await tables.seqs() == list(range(1, 26))


async def test_rows_that_an_unfinished_run_wrote_are_known_as_repeats(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    """As after kill -9 between the answer and the cursor: the same batch comes again."""
    events = [event(b'{"n":%d,"x":1.10,"x":2}' % number) for number in range(120)] + [event(NUL)]
    async with relaying(journal, target) as relay:
        await publish(journal, events)
        await relayed(journal, relay)
    await _forget_cursor(journal)
    async with relaying(journal, target) as relay:
        await relayed(journal, relay)
        assert relay.status().repeats == 120
        assert relay.status().rows == 0
    assert await tables.seqs() == list(range(1, 121))
    assert list(await tables.tombstones()) == [121]


async def _forget_cursor(journal: SqliteJournal) -> None:
    import sqlite3

    def forget() -> None:
        database = sqlite3.connect(journal.location)
        with database:
            database.execute("DELETE FROM cursors")
        database.close()

    await asyncio.to_thread(forget)


async def test_table_of_another_writer_is_refused_before_the_first_write(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    await tables.run(
        "insert into monitoring_heads (epoch, writer_id, started_at, table_head, journal_head) "
        "values ('E0', 'another-writer', now() - interval '1 day', 7, 8)"
    )
    await publish(journal, [event()])
    writer, heads = TableWriter(target, "public"), Heads(target, "public")
    with pytest.raises(Refused, match="writer another-writer: epoch E0, last seq 8"):
        async with asyncio.timeout(10):
            await Relay(journal, writer, heads, Settings()).run()
    await writer.aclose()
    await heads.aclose()
    assert await tables.seqs() == []


async def test_position_taken_by_another_event_pauses_and_blames_nobody(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    await tables.run(
        "insert into monitoring_events (id, event_type, timestamp, data, source, epoch, seq, committed_at) "
        f"values ('{uuid7()}', 'cpu', now(), '{{}}', 'x', '{journal.epoch}', 2, now())"
    )
    async with relaying(journal, target) as relay:
        await publish(journal, [event(), event(), event()])
        await until(lambda: relay.status().state == "paused")
        assert "(epoch, seq)" in relay.status().reason or "epoch_seq" in relay.status().reason
        assert relay.table_head == 0
    assert await journal.dead_letters() == []
    assert await tables.tombstones() == {}


async def test_missing_table_pauses_and_goes_on_once_it_is_there(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    await tables.run("alter table monitoring_events rename to away")
    async with relaying(journal, target) as relay:
        await publish(journal, [event(), event()])
        await until(lambda: relay.status().state == "paused")
        await tables.run("alter table away rename to monitoring_events")
        await relayed(journal, relay)
    assert await tables.seqs() == [1, 2]
    assert await journal.dead_letters() == []


async def test_rows_that_a_trigger_swallows_are_no_rows(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    await tables.run(
        "create function swallow() returns trigger language plpgsql as $$ begin return null; end $$;"
        "create trigger swallow before insert on monitoring_events for each row execute function swallow()"
    )
    async with relaying(journal, target) as relay:
        await publish(journal, [event()])
        await until(lambda: relay.status().state == "paused")
        assert "does not have it" in relay.status().reason
        await tables.run("drop trigger swallow on monitoring_events")
        await relayed(journal, relay)
    assert await tables.seqs() == [1]


async def test_event_of_a_mebibyte_becomes_a_row(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target) as relay:
        await publish(journal, [event(b'{"a":"%b"}' % (b"x" * 1_000_000)) for _ in range(6)])
        await relayed(journal, relay)
        assert relay.status().cuts.get("bytes", 0) >= 1
    assert await tables.seqs() == [1, 2, 3, 4, 5, 6]


async def test_drain_tells_the_backlog_that_is_left(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    await tables.run("alter table monitoring_events rename to away")
    async with relaying(journal, target) as relay:
        await publish(journal, [event(), event(), event()])
        await until(lambda: relay.status().state == "paused")
        assert await relay.drain(0.1) == 3


async def test_a_journal_that_was_trimmed_before_the_relay_ran_begins_at_its_tail_and_says_so(
    tmp_path: Path, target: Target, tables: Tables
) -> None:
    path = tmp_path / "trimmed.db"
    trimmed = await SqliteJournal.open(path, keep=Keep(hours=0.0, min_events=20, check_every_s=0.01))
    await publish(trimmed, [event() for _ in range(50)], group=10)
    await until(lambda: trimmed.tail == 31)
    await trimmed.aclose()
    journal = await SqliteJournal.open(path)
    try:
        async with relaying(journal, target) as relay:
            assert await relay.drain(30) == 0
        assert await tables.seqs() == list(range(31, 51))
        assert await tables._all("select table_tail, table_head from monitoring_heads") == [(31, 50)]
        # A second life changes nothing.
        async with relaying(journal, target) as relay:
            await publish(journal, [event()])
            assert await relay.drain(30) == 0
        assert await tables._all("select table_tail, table_head from monitoring_heads") == [(31, 51)]
    finally:
        await journal.aclose()
