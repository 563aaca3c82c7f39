"""A target that went back in time: restored, reset, emptied. What the journal has comes again, what it has not is lost, aloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.config import Settings, Target
from migctl.delivery import Relay
from migctl.delivery.comparing import NOTE
from migctl.delivery.relay import CURSOR
from migctl.events import Position
from migctl.faults import tcp_proxy
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.retention import Keep
from tests.kit.broadcasting import port_of
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.receiving import reader, receiving
from tests.kit.relaying import Tables, publish, relayed, relaying

ELSEWHERE = True

OFTEN = Settings.model_validate({"relay": {"compare_every_s": 0.2, "heads_apart_s": 0.01}})
NEVER = Settings.model_validate({"relay": {"compare_every_s": 0}})
TABLES = ("monitoring_events", "monitoring_tombstones", "monitoring_heads")


async def back_up(tables: Tables) -> None:
    for name in TABLES:
        await tables.run(f"create table backup_{name} as table {name}")


async def restore(tables: Tables) -> None:
    await tables.run(
        "truncate monitoring_events, monitoring_tombstones, monitoring_heads; "
        + "; ".join(f"insert into {name} select * from backup_{name}" for name in TABLES)
    )


async def set_back(relay: Relay, times: int = 1) -> None:
    async def done() -> bool:
        found = relay.status().set_back
        return found is not None and found.times >= times

    await until(done)


async def test_rows_that_a_restored_target_lacks_come_again_while_the_relay_runs(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await publish(journal, [event() for _ in range(20)], group=5)
        await relayed(journal, relay)
        await back_up(tables)
        await publish(journal, [event() for _ in range(15)])
        await relayed(journal, relay)
        await restore(tables)
        # What comes before anybody compares lies above the hole.
        await publish(journal, [event() for _ in range(10)])
        await set_back(relay)
        await relayed(journal, relay)
        await relay.drain(30)
        found = relay.status().set_back
    assert await tables.seqs() == list(range(1, 46))
    assert await tables.heads() == [(journal.epoch, 45, 45)]
    assert found is not None
    assert (found.times, found.epoch, found.after, found.lost) == (1, journal.epoch, 20, 0)
    assert found.again >= 15


@pytest.mark.parametrize("emptied", [TABLES[:2], TABLES], ids=["rows", "rows and heads"])
async def test_an_emptied_target_gets_everything_again(
    journal: SqliteJournal, target: Target, tables: Tables, emptied: tuple[str, ...]
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await publish(journal, [event(), event(rb'{"a":"\u0000"}'), event()])
        await relayed(journal, relay)
        await tables.run(f"truncate {', '.join(emptied)}")
        await set_back(relay)
        await relayed(journal, relay)
        await relay.drain(30)
    assert await tables.seqs() == [1, 3]
    assert list(await tables.tombstones()) == [2]
    assert await tables.heads() == [(journal.epoch, 3, 3)]


async def test_a_target_that_was_set_back_while_nobody_ran_is_found_at_the_start(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target) as relay:
        await publish(journal, [event() for _ in range(30)])
        await relayed(journal, relay)
    await tables.run("delete from monitoring_events where seq > 12")
    async with relaying(journal, target) as relay:
        await set_back(relay)
        await relayed(journal, relay)
        await relay.drain(30)
    assert await tables.seqs() == list(range(1, 31))


async def test_a_hole_that_the_relay_of_a_life_before_wrote_above_is_found_at_the_start(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await publish(journal, [event() for _ in range(10)])
        await relayed(journal, relay)
        await until(lambda: _noted(journal, 10))
    async with relaying(journal, target, settings=NEVER) as relay:
        await publish(journal, [event() for _ in range(10)])
        await relayed(journal, relay)
        await tables.run("delete from monitoring_events where seq between 11 and 15")
    async with relaying(journal, target) as relay:
        await set_back(relay)
        await relayed(journal, relay)
    assert await tables.seqs() == list(range(1, 21))


async def _noted(journal: SqliteJournal, seq: int) -> bool:
    return await journal.note(NOTE) == f"{journal.epoch} {seq}"


async def test_heads_promise_nothing_that_is_gone_while_it_comes_again(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await publish(journal, [event() for _ in range(30)])
        await relayed(journal, relay)
        await relay.drain(30)
        # What comes again is refused for a while, as by a disk that is full.
        await tables.run(
            "create function full_disk() returns trigger language plpgsql as "
            "$$ begin raise exception 'no room' using errcode = '53100'; end $$; "
            "create trigger full_disk before insert on monitoring_events for each statement execute function full_disk()"
        )
        await tables.run("delete from monitoring_events where seq > 5")
        await set_back(relay)
        assert await tables.heads() == [(journal.epoch, 5, 30)]
        await tables.run("drop trigger full_disk on monitoring_events")
        await relayed(journal, relay)
        await relay.drain(30)
    assert await tables.heads() == [(journal.epoch, 30, 30)]


async def test_what_the_journal_has_no_more_is_lost_and_a_reader_that_was_behind_crosses_it(
    tmp_path: Path, target: Target, tables: Tables
) -> None:
    keep = Keep(hours=0.0, min_events=10, readers=frozenset({"relay"}), check_every_s=0.02)
    journal = await SqliteJournal.open(tmp_path / "trimmed.db", keep=keep)
    async with relaying(journal, target, settings=OFTEN) as relay:
        await publish(journal, [event() for _ in range(30)])
        await relayed(journal, relay)
        await until(lambda: journal.tail == 21)
        await tables.run("delete from monitoring_events where seq > 8")
        await set_back(relay)
        await relayed(journal, relay)
        await relay.drain(30)
        found = relay.status().set_back
    assert found is not None
    assert (found.after, found.again, found.lost) == (20, 10, 12)
    assert await tables.seqs() == [*range(1, 9), *range(21, 31)]
    async with (
        reader(target, position=Position(journal.epoch, 8)) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(10)
    assert received.seqs == list(range(21, 31))
    assert [(gap.reason, gap.lost_from, gap.lost_to) for gap in received.gaps] == [("pruned", 9, 20)]
    await journal.aclose()


async def test_epochs_of_before_come_again_too(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await publish(journal, [event() for _ in range(7)])
        await relayed(journal, relay)
        await relay.drain(30)
    first = journal.epoch
    await journal.rotate_epoch(first, lost=None, reason="a test")
    async with relaying(journal, target, settings=OFTEN) as relay:
        await publish(journal, [event() for _ in range(4)])
        await relayed(journal, relay)
        await relay.drain(30)
        await tables.run("truncate monitoring_events, monitoring_heads")
        await set_back(relay)
        await relayed(journal, relay)
        await relay.drain(30)
    rows = await tables._all("select epoch, count(*) from monitoring_events group by epoch")
    assert dict(rows) == {first: 7, journal.epoch: 4}
    assert await tables.heads() == [(first, 7, 7), (journal.epoch, 4, 4)]
    assert await journal.cursor(CURSOR) == Position(journal.epoch, 4)


async def test_who_ends_while_heads_are_told_again_leaves_the_order_of_epochs_as_it_was(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    """The newest is told first, and by then the relay is back at the oldest."""
    order = [journal.epoch]
    for more in range(3):
        async with relaying(journal, target, settings=OFTEN) as relay:
            await publish(journal, [event() for _ in range(3)])
            await relayed(journal, relay)
            await relay.drain(30)
        if more < 2:
            await journal.rotate_epoch(order[-1], lost=None, reason="a test")
            order.append(journal.epoch)
    await tables.run("truncate monitoring_events, monitoring_heads")
    async with tcp_proxy(port_of(target)) as proxy:
        proxy.lose_next_answer_to(b"POST /rest/v1/rpc/monitoring_move_head", then_refuse=True)
        async with relaying(journal, target, through=proxy.url, settings=OFTEN):
            await until(tables.heads)
    assert [epoch for epoch, *_ in await tables.heads()] == order[-1:]
    await journal.rotate_epoch(order[-1], lost=None, reason="a test")
    order.append(journal.epoch)
    async with relaying(journal, target, settings=OFTEN) as relay:
        await publish(journal, [event()])
        await relayed(journal, relay)
        await relay.drain(30)
    links = await tables._all("select epoch, prev_epoch from monitoring_heads order by started_at")
    assert links == list(zip(order, [None, *order], strict=False))
    rows = await tables._all("select epoch, count(*) from monitoring_events group by epoch")
    assert dict(rows) == dict(zip(order, (3, 3, 3, 1), strict=True))


async def test_a_tail_that_was_pruned_is_not_taken_for_gone_and_nothing_is_asked_where_it_is_off(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target, settings=OFTEN) as relay:
        await publish(journal, [event() for _ in range(30)])
        await relayed(journal, relay)
        await relay.drain(30)
        for tail in range(2, 25):
            await tables.run(f"select monitoring_move_tail('{journal.epoch}', {tail})")
            await tables.run(f"delete from monitoring_events where seq < {tail}")
        await until(lambda: _noted(journal, 30))
        assert relay.status().set_back is None
    async with relaying(journal, target, settings=NEVER) as relay:
        await tables.run("delete from monitoring_events where seq > 28")
        await publish(journal, [event()])
        await relayed(journal, relay)
        assert relay.status().set_back is None
    assert await tables.seqs() == [24, 25, 26, 27, 28, 31]
