"""Dead letters against PostgreSQL and the stand-in: storms are held, retries become rows, and readers see each event once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web

from migctl.config import Target
from migctl.delivery import Relay
from migctl.delivery.dead_letters import DeadLetters
from migctl.errors import Transient
from migctl.events import Position
from migctl.events.ids import id_of_renewal
from migctl.faults import tcp_proxy
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.retention import Keep
from migctl.target import RetryTable
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.receiving import reader, receiving
from tests.kit.relaying import Tables, publish, relayed, relaying

ELSEWHERE = True

NUL = rb'{"a":"\u0000"}'
REFUSE_COLD = "alter table monitoring_events add constraint cold check ((data->>'cold') is null) not valid"
ALLOW_COLD = "alter table monitoring_events drop constraint cold"
COLD = b'{"cold":true,"precise":0.1000000000000000055511151231257827}'


@pytest.fixture
async def retries(target: Target) -> AsyncIterator[RetryTable]:
    table = RetryTable(target, "public")
    yield table
    await table.aclose()


async def seen_by_a_fresh_reader(journal: SqliteJournal, target: Target, count: int) -> list[tuple[int, str]]:
    async with (
        reader(target, position=Position(journal.epoch, 0)) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(count)
    return [(release.seq, release.id) for release in received.releases]


def paused(relay: Relay) -> bool:
    return bool(relay.status().state == "paused")


async def test_a_storm_of_50_is_held_after_20_until_it_is_accepted(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target) as relay:
        await tables.run(REFUSE_COLD)
        await publish(journal, [event(COLD) for _ in range(50)] + [event()])
        await until(lambda: paused(relay))
        assert "20 dead letters in a minute; next is seq 21" in relay.status().reason
        assert "migctl deadletter accept --minutes 10" in relay.status().do
        assert relay.burying.status().waiting == relay.table_head == 20
        assert relay.burying.status().held_since is not None
        await relay.burying.accept(10, "ann@host")
        await relayed(journal, relay)
        told = relay.burying.status()
        assert (told.waiting, told.held_since, told.accepted_by) == (50, None, "ann@host")
        assert told.by_code == {"23514": 50}
    assert await tables.seqs() == [51]
    assert list(await tables.tombstones()) == list(range(1, 51))


@pytest.mark.slow
async def test_events_that_no_table_could_hold_are_no_storm_and_hold_nobody(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    never = [NUL, rb'{"a":"\ud800"}', b'{"a":1e400000}', b'{"a":1e-20000}']
    async with relaying(journal, target) as relay:
        await publish(journal, [event(never[n % 4]) for n in range(100)] + [event()])
        await relayed(journal, relay)
        told = relay.burying.status()
        assert (told.waiting, told.held_since) == (100, None)
        assert told.by_code == {"22P05": 25, "22P02": 25, "22003": 50}
        # Nor are they any part of one that follows, in this process or in the next.
        await tables.run(REFUSE_COLD)
        await publish(journal, [event(COLD) for _ in range(19)])
        await relayed(journal, relay)
    async with relaying(journal, target) as relay:
        await publish(journal, [event(NUL), event(COLD), event(NUL)])
        await relayed(journal, relay)
        await publish(journal, [event(COLD)])
        await until(lambda: paused(relay))
        assert relay.burying.status().held_since is not None
    assert await tables.seqs() == [101]


async def test_a_column_that_somebody_made_too_narrow_is_a_storm(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    await tables.run(
        "create function narrow() returns trigger language plpgsql as $$ begin "
        "raise exception 'integer out of range' using errcode = '22003'; end $$; "
        "create trigger narrow before insert on monitoring_events for each row execute function narrow()"
    )
    try:
        async with relaying(journal, target) as relay:
            await publish(journal, [event() for _ in range(30)])
            await until(lambda: paused(relay))
            assert relay.table_head == 20
    finally:
        await tables.run("drop trigger narrow on monitoring_events; drop function narrow()")


async def test_a_hold_outlives_the_process_and_ends_by_itself_once_the_table_takes_the_event(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    await tables.run("alter table monitoring_events add constraint never check (false) not valid")
    await publish(journal, [event() for _ in range(30)])
    async with relaying(journal, target) as relay:
        await until(lambda: paused(relay))
        since = relay.burying.status().held_since
    async with relaying(journal, target) as relay:
        await until(lambda: paused(relay))
        assert relay.burying.status().held_since == since
        assert relay.table_head == 20
        await tables.run("alter table monitoring_events drop constraint never")
        await relayed(journal, relay)
        assert relay.burying.status().held_since is None
        assert relay.status().state == "running"
    assert await tables.seqs() == list(range(21, 31))
    assert len(await journal.dead_letters()) == 20


async def test_an_acceptance_outlives_the_process(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target) as relay:
        await relay.burying.accept(10, "ann@host")
    async with relaying(journal, target) as relay:
        await tables.run(REFUSE_COLD)
        await publish(journal, [event(COLD) for _ in range(30)])
        await relayed(journal, relay)
    assert len(await tables.tombstones()) == 30


async def test_an_acceptance_that_has_ended_lets_the_next_storm_be_held(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    await tables.run(REFUSE_COLD)
    async with relaying(journal, target) as relay:
        await relay.burying.accept(0.0001, "ann@host")
        await until(lambda: relay.burying.status().accepted_until is None)
        await publish(journal, [event(COLD) for _ in range(21)])
        await until(lambda: paused(relay))
        assert relay.table_head == 20


async def test_what_a_dropped_constraint_refused_is_retried_into_a_row_and_read_once(
    journal: SqliteJournal, target: Target, tables: Tables, retries: RetryTable
) -> None:
    await tables.run(REFUSE_COLD)
    events = [event(), event(COLD), event()]
    async with relaying(journal, target) as relay:
        await publish(journal, events)
        await relayed(journal, relay)
        assert await relay.drain(10) == 0
    assert list(await tables.tombstones()) == [2]
    letters = DeadLetters(journal)
    await letters.load()
    (letter,) = await journal.dead_letters()
    assert (letter.code, letter.state, letters.waiting) == ("23514", "waiting", 1)

    again = await letters.retry(letter, retries)
    assert again.result == "refused" and "cold" in str(again.reason)
    assert list(await tables.tombstones()) == [2]
    assert (await journal.dead_letters())[0].state == "waiting"

    await tables.run(ALLOW_COLD)
    assert (await letters.retry(letter, retries)).result == "written"
    assert (await tables.tombstones(), await tables.seqs()) == ({}, [1, 2, 3])
    assert await tables._all("select data::text from monitoring_events where seq = 2") == [
        ('{"cold": true, "precise": 0.1000000000000000055511151231257827}',)
    ]
    (settled,) = await journal.dead_letters()
    assert (settled.state, settled.settled_at is not None, letters.waiting) == ("retried", True, 0)
    expected = [(seq, each.id) for seq, each in enumerate(events, 1)]
    assert await seen_by_a_fresh_reader(journal, target, 3) == expected
    assert (await letters.retry(letter, retries)).result == "repeated"


async def test_a_retry_whose_answer_was_lost_is_known_when_it_is_repeated(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    await tables.run(REFUSE_COLD)
    async with relaying(journal, target) as relay:
        await publish(journal, [event(COLD)])
        await relayed(journal, relay)
    await tables.run(ALLOW_COLD)
    (letter,) = await journal.dead_letters()
    letters = DeadLetters(journal)
    async with tcp_proxy(urlsplit(target.supabase_url).port or 0) as proxy:
        through = Target(proxy.url, service_role_key=target.service_role_key)
        table = RetryTable(through, "public")
        proxy.lose_next_answer_to(b"rpc/monitoring_retry")
        with pytest.raises(Transient):
            await letters.retry(letter, table)

        async def done() -> bool:
            return await tables.seqs() == [1]

        await until(done)
        assert (await journal.dead_letters())[0].state == "waiting"
        assert (await letters.retry(letter, table)).result == "repeated"
        await table.aclose()
    assert (await journal.dead_letters())[0].state == "retried"


async def test_an_event_that_is_renewed_twice_is_one_new_event_and_its_tombstone_stays(
    journal: SqliteJournal, target: Target, tables: Tables, retries: RetryTable
) -> None:
    await tables.run(REFUSE_COLD)
    first = event(COLD)
    async with relaying(journal, target) as relay:
        await publish(journal, [first])
        await relayed(journal, relay)
        await tables.run(ALLOW_COLD)
        (letter,) = await journal.dead_letters()
        new_id = id_of_renewal(journal.epoch, 1)
        for _ in range(2):
            tried = await relay.burying.dead_letters.renew(letter, retries)
            assert (tried.result, tried.new_seq, tried.new_id) == ("renewed", 2, new_id)
        assert await relay.drain(10) == 0
    assert (await tables.seqs(), list(await tables.tombstones())) == ([2], [1])
    (renewed,) = await journal.dead_letters()
    assert (renewed.state, renewed.new_id) == ("renewed", new_id)
    entry = await journal.get(new_id)
    assert entry is not None and entry.event.source_id == first.id
    assert await seen_by_a_fresh_reader(journal, target, 2) == [(1, first.id), (2, new_id)]


async def test_a_letter_is_retried_after_the_journal_has_let_its_event_go(
    tmp_path: Path, target: Target, tables: Tables, retries: RetryTable
) -> None:
    await tables.run(REFUSE_COLD)
    keep = Keep(hours=0.0, min_events=1, check_every_s=0.01, readers=frozenset({"relay"}))
    journal = await SqliteJournal.open(tmp_path / "trimming.db", keep=keep)
    cold = event(COLD)
    try:
        async with relaying(journal, target) as relay:
            await publish(journal, [cold, event(), event()])
            await relayed(journal, relay)
        await until(lambda: journal.tail == 3)
        assert await journal.get(cold.id) is None
        await tables.run(ALLOW_COLD)
        (letter,) = await journal.dead_letters()
        assert (await DeadLetters(journal).retry(letter, retries)).result == "written"
        assert (await tables.ids())[0] == cold.id
    finally:
        await journal.aclose()


async def test_a_retry_changes_nothing_where_another_row_has_the_id_or_the_tombstone_is_gone(
    journal: SqliteJournal, target: Target, tables: Tables, retries: RetryTable
) -> None:
    poison = [event(NUL), event(NUL)]
    async with relaying(journal, target) as relay:
        await publish(journal, poison)
        await relayed(journal, relay)
    await tables.run(
        "insert into monitoring_events (id, event_type, timestamp, data, source) "
        f"values ('{poison[0].id}', 'cpu', now(), '{{}}', 'x')"
    )
    await tables.run("delete from monitoring_tombstones where seq = 2")
    letters = DeadLetters(journal)
    second, first = await journal.dead_letters()
    # What jsonb refuses is refused before the id is looked at.
    assert (await letters.retry(first, retries)).result == "refused"
    assert (await letters.retry(second, retries)).result == "gone"
    assert list(await tables.tombstones()) == [1]
    await tables.run(
        f"""update monitoring_tombstones set event = replace(event, '\\u0000', 'x') where id = '{poison[0].id}'"""
    )
    assert (await letters.retry(first, retries)).result == "taken"
    assert list(await tables.tombstones()) == [1]
    assert [letter.state for letter in await journal.dead_letters()] == ["waiting", "waiting"]


@asynccontextmanager
async def small_proxy(upstream: str, most_bytes: int) -> AsyncIterator[str]:
    """A proxy that answers 413 to a larger body, as nginx does."""

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        if len(body) > most_bytes:
            return web.Response(status=413, text="<html>413 Request Entity Too Large</html>")
        headers = {key: value for key, value in request.headers.items() if key not in ("Host",)}
        async with session.request(
            request.method, f"{upstream}{request.raw_path}", data=body, headers=headers
        ) as answer:
            return web.Response(
                status=answer.status, body=await answer.read(), content_type=answer.content_type
            )

    app = web.Application(client_max_size=16 << 20)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with ClientSession(auto_decompress=False) as session:
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_where_a_proxy_takes_not_even_the_tombstone_the_relay_pauses_and_loses_nothing(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    events = [event() for _ in range(60)]
    events[7] = event(b'{"a":"%b"}' % (b"x" * 20_000))
    async with (
        small_proxy(target.supabase_url, 20_000) as small,
        relaying(journal, target, through=small) as relay,
    ):
        await publish(journal, events)
        await until(lambda: paused(relay))
        assert "write tombstones for seq 8" in relay.status().reason
        assert "HTTP 413" in relay.status().reason
        assert relay.table_head == 7
    async with relaying(journal, target) as relay:
        await relayed(journal, relay)
    assert await tables.seqs() == list(range(1, 61))
    assert (await tables.tombstones(), await journal.dead_letters()) == ({}, [])


async def test_a_batch_that_a_proxy_calls_too_large_is_written_in_parts(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with (
        small_proxy(target.supabase_url, 20_000) as small,
        relaying(journal, target, through=small) as relay,
    ):
        await publish(journal, [event() for _ in range(300)])
        await relayed(journal, relay)
    assert await tables.seqs() == list(range(1, 301))
    assert await journal.dead_letters() == []
