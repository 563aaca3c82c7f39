"""The Realtime subscriber against the stand-in, by the official client: hints lost, dropped, cut off, late; and tokens that end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from migctl.config import Settings, Target
from migctl.errors import Systemic, Transient
from migctl.events import Event, Position
from migctl.events.arrived import Arrived
from migctl.events.codec import MAX_DATA_DEPTH
from migctl.events.jsontext import dumps
from migctl.faults import tcp_proxy
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess
from migctl.subscriber.core.release import Discontinuity
from migctl.subscriber.realtime.official import Link
from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
from migctl.target import TableWriter, Written, mint
from migctl.transports.realtime import hints
from migctl.transports.realtime.channel import Channel, joined
from tests.kit.conditions import until
from tests.kit.deployed import events_going_on
from tests.kit.entries import event, nested
from tests.kit.nonsense import NONSENSE, nonsense_before
from tests.kit.receiving import Received, given, publishing, reader, receiving, token_of
from tests.kit.relaying import Tables, relaying

ELSEWHERE = True

TOPIC = "public.monitoring_events"


def events(count: int, data: bytes = b'{"used": 1.50}') -> list[Event]:
    return [event(data) for _ in range(count)]


@contextlib.asynccontextmanager
async def sending(target: Target) -> AsyncIterator[Channel]:
    """Sends what a test wants sent, where the real sender sends too."""
    key = target.need("service_role_key")
    async with joined(target.supabase_url, apikey=key, topics=[TOPIC], token=given(key)) as channel:
        yield channel


async def heads_moved(journal: SqliteJournal, tables: Tables) -> None:
    """Wait until heads say that the table has what the journal has."""

    async def there() -> bool:
        heads = await tables.heads()
        return bool(heads) and heads[-1][1] == journal.head

    await until(there)


@contextlib.asynccontextmanager
async def at_the_head(
    target: Target, journal: SqliteJournal, tables: Tables
) -> AsyncIterator[tuple[Channel, RealtimeSubscriber, Received]]:
    """A relay that runs, a sender that does what the test says, and a reader that knows where the journal stands."""
    async with sending(target) as channel, relaying(journal, target):
        await heads_moved(journal, tables)
        async with reader(target) as subscriber, receiving(subscriber) as received:
            await until(lambda: subscriber.idle)
            yield channel, subscriber, received


async def hint(channel: Channel, journal: SqliteJournal, *seqs: int) -> None:
    """One hint for these seqs, which are contiguous."""
    entries = await journal.read(seqs[0] - 1, limit=len(seqs))
    for message in hints.hints(entries, table_head=0, max_bytes=200 << 10):
        await channel.push(TOPIC, "events", message.payload)
    await channel.settled()


async def test_live_stream_is_whole_and_in_order(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    before, live = events(7), events(300)
    await journal.append(before)
    async with publishing(journal, target):
        await heads_moved(journal, tables)
        async with reader(target) as subscriber, receiving(subscriber) as received:
            assert await subscriber.ready() == Position(journal.epoch, 7)
            for start in range(0, 300, 10):
                await journal.append(live[start : start + 10])
            await received.count(300)
            assert await subscriber.ask_head() == Position(journal.epoch, 307)
    assert received.ids == [one.id for one in live]
    first = received.releases[0]
    assert (first.data, first.via, first.seq, first.transport) == (b'{"used":1.5}', "live", 8, "realtime")


async def test_reader_that_was_ready_before_anything_was_written_gets_the_first_event(
    target: Target, journal: SqliteJournal
) -> None:
    sent = events(30)
    async with reader(target) as subscriber:
        assert await subscriber.ready() is None
        async with receiving(subscriber) as received, publishing(journal, target):
            await journal.append(sent)
            await received.count(30)
    assert received.ids == [one.id for one in sent]


async def test_lost_hints_are_fetched_from_the_table(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    """Only the last of ten hints comes: the first is lost like the others."""
    sent = events(10)
    async with at_the_head(target, journal, tables) as (channel, subscriber, received):
        await journal.append(sent)
        await heads_moved(journal, tables)
        await hint(channel, journal, 10)
        await received.count(10)
    assert received.ids == [one.id for one in sent]
    assert [release.via for release in received.releases] == ["table"] * 9 + ["live"]
    assert subscriber.merge.gaps_repaired == 1


async def test_hint_before_the_row_is_released_before_the_row_is_there(
    target: Target, journal: SqliteJournal
) -> None:
    """No relay runs: the table is empty, and live delivery does not wait for it."""
    async with relaying(journal, target):
        pass  # it has made the epoch's row in heads
    async with (
        sending(target) as channel,
        reader(target, position=Position(journal.epoch, 0)) as subscriber,
        receiving(subscriber) as received,
    ):
        await until(lambda: subscriber.idle)
        sent = events(3)
        await journal.append(sent)
        await hint(channel, journal, 1, 2, 3)
        await received.count(3)
    assert received.ids == [one.id for one in sent]


async def test_client_never_gets_what_was_taken_from_the_text_and_gets_all_else(target: Target) -> None:
    texts: list[str] = []
    left: list[dict[str, Any]] = []

    def take(text: str, _: Arrived) -> bool:
        texts.append(text)
        return '"mine"' in text

    link = Link(target.supabase_url, target.need("anon_key"), TOPIC, take=take)
    link.on_broadcast("events", lambda payload, _: left.append(payload))
    await link.join(await token_of(target)())
    try:
        async with sending(target) as channel:
            for payload in (b'{"mine":1}', b'{"theirs":2}', b'{"mine":3}', b'{"theirs":4}'):
                await channel.push(TOPIC, "events", payload)
            await channel.settled()
        await until(lambda: len(left) == 2)
    finally:
        await link.close()
    assert left == [{"theirs": 2}, {"theirs": 4}]
    assert sum('"mine"' in text for text in texts) == 2
    assert any("phx_reply" in text for text in texts), "the client's own frames go by it too"


async def test_hints_that_come_twice_and_in_any_order_are_released_once_in_order(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    sent = events(6)
    async with at_the_head(target, journal, tables) as (channel, subscriber, received):
        await journal.append(sent)
        for seqs in ((2, 3), (6,), (1,), (2, 3), (4, 5), (6,)):
            await hint(channel, journal, *seqs)
        await received.count(6)
        await heads_moved(journal, tables)
        assert subscriber.merge.repeats_dropped >= 3
    assert received.ids == [one.id for one in sent]


async def test_last_hint_that_is_lost_shows_by_the_heartbeat(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    sent = events(3)
    async with at_the_head(target, journal, tables) as (channel, _subscriber, received):
        await journal.append(sent)
        await heads_moved(journal, tables)
        await channel.push(
            TOPIC, "heartbeat", hints.heartbeat(epoch=journal.epoch, journal_head=3, table_head=3)
        )
        await received.count(3)
    assert received.ids == [one.id for one in sent]


async def came_live(received: Received, journal: SqliteJournal) -> bool:
    """Publish one event and wait for it: True where it came live."""
    await journal.append([one := event()])
    await until(lambda: received.ids[-1:] == [one.id])
    return received.releases[-1].via == "live"


async def test_what_the_official_client_would_bend_or_drop_arrives_as_it_was_sent(
    target: Target, journal: SqliteJournal
) -> None:
    """References, tombstones with text, and large events; none of them over the hint."""
    odd = [
        b'{"n": 12345678901234567890.123456789}',
        b'{"half": "\\ud800"}',
        b'{"nul": "\\u0000"}',
        b'{"huge": 1e400000}',
        b'{"long": "%b"}' % (b"x" * 300_000),
        b'{"plain": 1}',
    ]
    async with (
        publishing(journal, target),
        reader(target) as subscriber,
        receiving(subscriber) as received,
    ):
        # The first look at the tables is over once something came live; it could see the rows before their hint.
        await until(lambda: came_live(received, journal))
        sent = [event(data) for data in odd]
        await journal.append(sent)
        await until(lambda: received.ids[-1:] == [sent[-1].id])
    assert received.ids[-len(odd) :] == [one.id for one in sent]
    assert [(release.via, release.data) for release in received.releases[-len(odd) :]] == [
        ("fetch", odd[0]),
        ("fetch", odd[1]),
        ("live", b'{"nul":"\\u0000"}'),
        ("fetch", odd[3]),
        ("fetch", odd[4]),
        ("live", b'{"plain":1}'),
    ]


async def test_the_deepest_event_that_is_taken_goes_all_the_way(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    """As a row, and as the text in a tombstone."""
    inner = [b"1", b'"\\ud800"', b"1e400000"]
    sent = [event(nested(levels, each)) for levels in (MAX_DATA_DEPTH - 1, MAX_DATA_DEPTH) for each in inner]
    rows = {sent[0].id, sent[3].id}
    async with (
        publishing(journal, target),
        reader(target) as subscriber,
        receiving(subscriber) as received,
    ):
        await until(lambda: came_live(received, journal))
        start = received.releases[-1].position
        await journal.append(sent)
        assert (await journal.append(sent)).duplicates == len(sent)
        await until(lambda: received.ids[-1:] == [sent[-1].id])
        assert set(rows) <= set(await tables.ids())
        assert len(await tables.tombstones()) == 4
    assert [each.data for each in received.releases[-len(sent) :]] == [one.data for one in sent]
    async with reader(target, position=start) as again, receiving(again) as late:
        await late.count(len(sent))
    assert [each.data for each in late.releases] == [one.data for one in sent]
    writer = TableWriter(target, "public")  # a relay that was killed before it knew writes the rows again
    for entry in await journal.read(start.seq):
        if entry.event.id in rows:
            assert await writer.write([entry]) == Written(0, 1)
    await writer.aclose()


async def test_frame_that_the_official_client_drops_is_repaired(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    """A sender that knows less than ours: its hint is nested more deeply than upstream's validator takes."""
    sent = [event(b'{"a": 1}'), event(b'{"deep": %b1%b}' % (b"[" * 250, b"]" * 250)), event(b'{"b": 2}')]
    async with at_the_head(target, journal, tables) as (channel, _subscriber, received):
        await journal.append(sent)
        await heads_moved(journal, tables)
        await hint(channel, journal, 1)
        (raw,) = await journal.read(1, limit=1)
        item = b'{"id":"%b","seq":2,"event_type":"cpu","timestamp":"t","source":"s","data":%b}' % (
            raw.event.id.encode(),
            raw.event.data,
        )
        await channel.push(
            TOPIC,
            "events",
            b'{"v":1,"epoch":"%b","first":2,"last":2,"table_head":0,"events":[%b]}'
            % (raw.epoch.encode(), item),
        )
        await hint(channel, journal, 3)
        await received.count(3)
    assert received.ids == [one.id for one in sent]
    assert [release.via for release in received.releases] == ["live", "table", "live"]


async def test_frame_of_two_mebibytes_is_no_reason_to_lose_the_socket(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    async with at_the_head(target, journal, tables) as (channel, subscriber, received):
        payload = {"v": 1, "epoch": journal.epoch, "first": 1, "last": 1, "table_head": 0}
        one = {
            "id": event().id,
            "seq": 1,
            "event_type": "cpu",
            "timestamp": "2026-01-31T12:00:00Z",
            "source": "s",
            "data": {"long": "x" * (2 << 20)},
        }
        await channel.push(TOPIC, "events", dumps({**payload, "events": [one]}))
        await received.count(1)
        assert subscriber.reconnects == 0
    assert len(received.releases[0].data) > 2 << 20


async def test_target_that_is_killed_for_two_seconds_loses_nothing_and_repeats_nothing(
    target: Target, journal: SqliteJournal, process: StandinProcess
) -> None:
    sent: list[str] = []
    stop = asyncio.Event()

    async def publish() -> None:
        while not stop.is_set():
            batch = events(5)
            await journal.append(batch)
            sent.extend(one.id for one in batch)
            await asyncio.sleep(0.02)

    async with publishing(journal, target), reader(target) as subscriber, receiving(subscriber) as received:
        async with asyncio.TaskGroup() as group:
            group.create_task(publish())
            await received.count(100)
            process.send(signal.SIGKILL)
            await asyncio.to_thread(process.wait, 5)
            down_from = len(sent)
            await until(lambda: len(sent) > down_from + 300)  # two seconds and more
            process.begin()  # in this thread: a child dies with the thread that started it
            await asyncio.to_thread(process.wait_ready)
            await until(lambda: len(received.releases) > down_from and subscriber.idle)
            came_back = len(received.releases)
            await until(
                lambda: "live" in {release.via for release in received.releases[came_back:]}, within_s=30
            )
            stop.set()
        await received.count(len(sent), within_s=30)
    assert received.ids == sent
    assert subscriber.reconnects == 1
    assert received.gaps == []


async def test_connection_that_is_cut_is_taken_up_again_by_a_new_client(
    target: Target, journal: SqliteJournal, process: StandinProcess
) -> None:
    sent: list[str] = []
    async with (
        publishing(journal, target),
        tcp_proxy(process.port) as proxy,
        reader(target, through=proxy.url) as subscriber,
        receiving(subscriber) as received,
    ):
        for _ in range(5):
            batch = events(20)
            sent += [one.id for one in batch]
            await journal.append(batch)
            await received.count(len(sent) - 5)
            proxy.cut_all()
        await received.count(len(sent))
        assert subscriber.reconnects >= 1
    assert received.ids == sent


@pytest.mark.slow
async def test_token_that_ends_is_renewed_before_the_server_closes_the_channel(
    target: Target, journal: SqliteJournal
) -> None:
    asked = 0

    async def access_token() -> str:
        nonlocal asked
        asked += 1
        return mint(target.need("jwt_secret"), "authenticated", 3.0)

    async with (
        publishing(journal, target),
        reader(target, access_token=access_token) as subscriber,
        receiving(subscriber) as received,
    ):
        sent: list[str] = []
        while asked < 4:
            batch = events(1)
            await journal.append(batch)
            sent += [one.id for one in batch]
            await received.count(len(sent))
        assert subscriber.reconnects == 0
    assert received.ids == sent
    assert {release.via for release in received.releases} == {"live"}


async def test_token_that_expires_midway_costs_a_reconnect_and_no_event(
    target: Target, journal: SqliteJournal
) -> None:
    """The first token is dead on renewal: whoever gives tokens gives an old one once, and the server closes the channel."""
    secret = target.need("jwt_secret")
    lives = iter([2.0, -5.0])

    async def access_token() -> str:
        return mint(secret, "authenticated", next(lives, 3600.0))

    async with (
        publishing(journal, target),
        reader(target, access_token=access_token) as subscriber,
        receiving(subscriber) as received,
    ):
        sent: list[str] = []
        while subscriber.reconnects == 0:
            batch = events(1)
            await journal.append(batch)
            sent += [one.id for one in batch]
            await asyncio.sleep(0.05)
        await received.count(len(sent))
    assert received.ids == sent


async def test_channel_that_goes_silent_is_left(target: Target, journal: SqliteJournal) -> None:
    """Nobody sends heartbeats: after 2.5 of them the channel is not believed any more, though its socket is fine."""
    async with relaying(journal, target), reader(target, heartbeat_s=0.1) as subscriber:
        await subscriber.ready()
        await until(lambda: subscriber.reconnects >= 2)


@pytest.mark.slow
async def test_wrong_key_and_a_role_that_may_not_receive_are_refused_with_the_way_out(target: Target) -> None:
    """Both at once: the server takes five seconds over each refusal."""

    async def refusal(access_token: Callable[[], Awaitable[str]]) -> Systemic:
        async with reader(target, access_token=access_token) as subscriber:
            with pytest.raises(Systemic) as told:
                await subscriber.ready()
        return told.value

    async def anon() -> str:
        return mint(target.need("jwt_secret"), "anon", 60.0)

    wrong, denied = await asyncio.gather(
        refusal(token_of(Target(target.supabase_url, jwt_secret="x" * 40))), refusal(anon)
    )
    assert "SUPABASE_JWT_SECRET" in wrong.do
    assert "Unauthorized" in denied.what


@pytest.mark.parametrize("what", ["a page", "half of it", "a list of numbers", "no end", "too many"])
async def test_nonsense_for_heads_is_asked_again_until_the_reader_is_ready(
    target: Target, journal: SqliteJournal, tables: Tables, what: str
) -> None:
    async with relaying(journal, target), nonsense_before(target.supabase_url) as front:
        await journal.append(events(2))
        await heads_moved(journal, tables)
        front.next("read heads", [NONSENSE[what]] * 2)
        async with reader(target, through=front.url) as subscriber:
            assert await subscriber.ready() == Position(journal.epoch, 2)
            front.next("read heads", [NONSENSE[what]] * 2)
            asking = asyncio.create_task(subscriber.ask_head())

            async def answered() -> bool:
                await journal.append(events(1))
                return asking.done()

            await until(answered)
            head = asking.result()
            assert head is not None and head.seq > 2
        assert front.left("read heads") == 0


async def test_a_target_that_says_nothing_but_nonsense_of_heads_is_named_after_a_while(
    target: Target,
) -> None:
    async with nonsense_before(target.supabase_url) as front:
        front.always("read heads", NONSENSE["a page"])
        async with reader(target, through=front.url, wait_s=0.5) as subscriber:
            with pytest.raises(Systemic, match="not what was asked for") as told:
                await subscriber.ready()
        assert "SUPABASE_URL" in told.value.do
        assert front.counts["read heads"] > 1


async def test_target_that_never_comes_is_named() -> None:
    url = f"http://127.0.0.1:{any_free_port()}"
    nowhere = Target(url, anon_key="k", jwt_secret="x" * 40)
    async with reader(nowhere, wait_s=0.2) as subscriber:
        with pytest.raises(Transient, match=url):
            await subscriber.ready()


async def test_next_epoch_follows_once_the_one_before_is_at_its_end(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    sent = events(4)
    await journal.append(sent)
    async with relaying(journal, target):
        await heads_moved(journal, tables)
    # What an older journal that was put back leaves: it relayed up to 4, had given 5 and 6, and began anew.
    await tables.run(
        "insert into monitoring_heads (epoch, prev_epoch, lost_from, lost_to, writer_id, started_at, table_head, journal_head)"
        f" values ('next', '{journal.epoch}', 5, 6, 'w', now() + interval '1 second', 2, 2)"
    )
    await tables.run(
        "insert into monitoring_events (id, event_type, timestamp, data, source, epoch, seq, committed_at) select"
        " gen_random_uuid(), 'cpu', now(), '{}', 's', 'next', n, now() from generate_series(1, 2) n"
    )
    async with (
        reader(target, position=Position(journal.epoch, 1)) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(5)
    assert received.seqs == [2, 3, 4, 1, 2]
    assert received.gaps == [Discontinuity(Position(journal.epoch, 4), Position("next", 0), "lost", 5, 6)]


async def test_pruned_and_broken_are_told_apart_and_the_rest_is_delivered(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    await journal.append(events(9))
    async with relaying(journal, target):
        await heads_moved(journal, tables)
    await tables.run("update monitoring_heads set table_tail = 3")
    await tables.run("delete from monitoring_events where seq < 3 or seq in (6, 7)")
    async with (
        reader(target, position=Position(journal.epoch, 0), patience_s=1.0) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(5)
    assert received.seqs == [3, 4, 5, 8, 9]
    assert [(gap.reason, gap.lost_from, gap.lost_to) for gap in received.gaps] == [
        ("pruned", 1, 2),
        ("broken", 6, 7),
    ]


async def rows_beyond_heads(tables: Tables, epoch: str, first: int, last: int) -> None:
    """What a `serve` leaves that dies between its rows and its heads."""
    await tables.run(
        "insert into monitoring_events (id, event_type, timestamp, data, source, epoch, seq, committed_at) select"
        f" gen_random_uuid(), 'cpu', now(), '{{}}', 's', '{epoch}', n, now() from generate_series({first}, {last}) n"
    )


async def test_rows_beyond_heads_are_released_on_joining_on_coming_back_and_at_the_poll(
    target: Target,
    journal: SqliteJournal,
    tables: Tables,
    process: StandinProcess,
) -> None:
    epoch = journal.epoch
    await journal.append(events(5))
    async with relaying(journal, target):
        await heads_moved(journal, tables)
    await rows_beyond_heads(tables, epoch, 6, 8)
    async with (
        tcp_proxy(process.port) as proxy,
        reader(target, through=proxy.url, position=Position(epoch, 5), poll_s=1.5) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(3)
        proxy.cut_all()
        await rows_beyond_heads(tables, epoch, 9, 11)
        await received.count(6)
        await rows_beyond_heads(tables, epoch, 12, 13)
        await received.count(8)
        assert (await tables.heads())[-1][1] == 5
        # A row behind a hole that heads do not vouch for has to wait: what is missing may be on its way.
        await rows_beyond_heads(tables, epoch, 15, 15)
        await until(lambda: subscriber.merge.behind)
        assert received.seqs == list(range(6, 14))
        await rows_beyond_heads(tables, epoch, 14, 14)
        await received.count(10)
    assert received.seqs == list(range(6, 16))
    assert received.gaps == []


async def test_catching_up_ends_though_events_come_quicker_than_answers(
    target: Target, journal: SqliteJournal, tables: Tables, process: StandinProcess
) -> None:
    """A round trip takes as long as ten events: a reader that reads up to an empty page never gets one."""
    await journal.append(events(500))
    async with publishing(journal, target):
        await heads_moved(journal, tables)
        async with (
            tcp_proxy(process.port, delay_s=0.05) as proxy,
            reader(target, through=proxy.url, position=Position(journal.epoch, 0)) as subscriber,
            events_going_on(journal),
            receiving(subscriber) as received,
        ):
            await received.count(600)
            await until(lambda: subscriber.idle)
            assert received.seqs == list(range(1, received.seqs[-1] + 1))


async def test_catch_up_of_many_pages_meets_the_live_edge(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    """More than the row cap of the project, while more comes."""
    sent = events(3000)
    for start in range(0, 2500, 500):
        await journal.append(sent[start : start + 500])
    async with publishing(journal, target):
        await heads_moved(journal, tables)
        async with (
            reader(target, position=Position(journal.epoch, 0)) as subscriber,
            receiving(subscriber) as received,
        ):
            for start in range(2500, 3000, 50):
                await journal.append(sent[start : start + 50])
            await received.count(3000)
    assert received.ids == [one.id for one in sent]


@pytest.mark.parametrize("live", ["postgres_changes"])
async def test_changes_of_the_table_as_hints_bring_the_same_stream(
    target: Target, journal: SqliteJournal, live: Any, tables: Tables
) -> None:
    settings = Settings()
    async with relaying(journal, target, settings=settings), reader(target, live=live) as subscriber:
        await heads_moved(journal, tables)
        async with receiving(subscriber) as received:
            sent = [*events(20), event(b'{"nul": "\\u0000"}'), *events(5)]
            await journal.append(sent)
            await received.count(26)
    assert received.ids == [one.id for one in sent]
