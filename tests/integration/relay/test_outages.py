"""The relay while its target fails: nothing is lost, nothing is there twice, the order stays."""

from __future__ import annotations

import asyncio
import signal

from migctl.config import Target
from migctl.delivery.relay import CURSOR
from migctl.events import Position
from migctl.faults import tcp_proxy
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.postgres import Postgres
from migctl.stack.standin_process import StandinProcess
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.relaying import Tables, publish, relayed, relaying

ELSEWHERE = True

WRITE = b"POST /rest/v1/monitoring_events"
TOMBSTONE = b"POST /rest/v1/monitoring_tombstones"
HEADS = b"POST /rest/v1/rpc/monitoring_move_head"


async def test_cursor_stays_when_response_is_lost_after_commit_and_moves_when_the_rows_are_found(
    journal: SqliteJournal, target: Target, tables: Tables, process: StandinProcess
) -> None:
    async with tcp_proxy(process.port) as proxy, relaying(journal, target, through=proxy.url) as relay:
        await publish(journal, [event() for _ in range(10)])
        await relayed(journal, relay)
        proxy.lose_next_answer_to(WRITE, then_refuse=True)
        await publish(journal, [event() for _ in range(10)])
        await until(lambda: relay.status().state == "retrying")
        assert await tables.seqs() == list(range(1, 21))
        assert await journal.cursor(CURSOR) == Position(journal.epoch, 10)
        assert relay.table_head == 10
        proxy.let_in()
        await relayed(journal, relay)
        status = relay.status()
    assert (status.rows, status.repeats) == (10, 10)
    assert status.retries >= 1
    assert await tables.seqs() == list(range(1, 21))
    assert await tables.tombstones() == {}


async def test_tombstone_whose_response_is_lost_is_written_once(
    journal: SqliteJournal, target: Target, tables: Tables, process: StandinProcess
) -> None:
    async with tcp_proxy(process.port) as proxy, relaying(journal, target, through=proxy.url) as relay:
        proxy.lose_next_answer_to(TOMBSTONE)
        await publish(journal, [event(), event(rb'{"a":"\u0000"}'), event()])
        await relayed(journal, relay)
        assert proxy.counts.cuts == 1
    assert await tables.seqs() == [1, 3]
    assert list(await tables.tombstones()) == [2]
    assert len(await journal.dead_letters()) == 1


async def test_heads_come_again_when_their_response_is_lost(
    journal: SqliteJournal, target: Target, tables: Tables, process: StandinProcess
) -> None:
    async with tcp_proxy(process.port) as proxy, relaying(journal, target, through=proxy.url) as relay:
        proxy.lose_next_answer_to(HEADS)
        await publish(journal, [event() for _ in range(3)])
        assert await relay.drain(15) == 0
        assert proxy.counts.cuts == 1
    assert await tables.heads() == [(journal.epoch, 3, 3)]


async def test_events_published_while_the_target_is_dead_arrive_once_it_is_back(
    journal: SqliteJournal, target: Target, tables: Tables, process: StandinProcess
) -> None:
    async with relaying(journal, target) as relay:
        feeding = asyncio.ensure_future(_feed(journal, 600))
        await until(lambda: relay.table_head >= 100)
        process.send(signal.SIGKILL)
        process.wait(60)
        await until(lambda: relay.status().state == "retrying")
        assert relay.status().reason
        await feeding
        assert relay.table_head < 600
        process.begin()  # from the main thread: a child dies with the thread that started it
        await asyncio.to_thread(process.wait_ready)
        await relayed(journal, relay)
        assert await relay.drain(15) == 0
        assert relay.status().state == "running"
    assert await tables.seqs() == list(range(1, 601))
    assert await tables.heads() == [(journal.epoch, 600, 600)]


async def test_target_that_was_dead_from_the_start_is_awaited(
    journal: SqliteJournal, target: Target, tables: Tables, process: StandinProcess
) -> None:
    process.send(signal.SIGKILL)
    process.wait(60)
    await publish(journal, [event() for _ in range(5)])
    async with relaying(journal, target) as relay:
        await until(lambda: relay.status().state == "retrying")
        process.begin()  # from the main thread: a child dies with the thread that started it
        await asyncio.to_thread(process.wait_ready)
        await relayed(journal, relay)
    assert await tables.seqs() == [1, 2, 3, 4, 5]


async def test_events_survive_a_restart_of_postgres(
    journal: SqliteJournal, target: Target, tables: Tables, postgres: Postgres
) -> None:
    async with relaying(journal, target) as relay:
        feeding = asyncio.ensure_future(_feed(journal, 600))
        await until(lambda: relay.table_head >= 100)
        await asyncio.to_thread(postgres.stop)
        try:
            await until(lambda: relay.status().state in ("retrying", "paused"))
        finally:
            postgres.begin()
            await asyncio.to_thread(postgres.wait_ready)
        await feeding
        await relayed(journal, relay)
    assert await tables.seqs() == list(range(1, 601))
    assert await tables.tombstones() == {}
    assert await journal.dead_letters() == []


async def _feed(journal: SqliteJournal, count: int) -> None:
    """Publish in small groups for as long as the test looks on."""
    for _ in range(0, count, 10):
        await journal.append([event() for _ in range(10)])
        await asyncio.sleep(0.01)  # a rate, not a wait for anything
