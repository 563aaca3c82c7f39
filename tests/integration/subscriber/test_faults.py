"""The ways in which the real service loses events in silence, switched on at the stand-in, and the official client in between."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

import migctl
from migctl.config import Target
from migctl.events import Position
from migctl.faults import switches
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.standin.faults import NAMES, Name
from migctl.subscriber.core.merge import Merge
from migctl.transports.realtime import hints
from migctl.transports.realtime.channel import joined
from tests.kit.conditions import until
from tests.kit.deployed import deployed
from tests.kit.entries import event
from tests.kit.receiving import given, publishing, reader, receiving
from tests.kit.relaying import Tables, relayed, relaying

TOPIC = "public.monitoring_events"
LARGE = b'{"long": "%b"}' % (b"x" * 300_000)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("live", ["broadcast", "postgres_changes"])
async def test_what_the_service_loses_in_silence_is_released_all_the_same(
    target: Target, journal: SqliteJournal, name: Name, live: Literal["broadcast", "postgres_changes"]
) -> None:
    async with (
        publishing(journal, target),
        reader(target, live=live) as subscriber,
        receiving(subscriber) as received,
    ):
        await journal.append([event() for _ in range(5)])
        await received.count(5)
        await asyncio.to_thread(switches.switch_on, target, name, for_s=0.5)
        for _ in range(10):
            await journal.append([event() for _ in range(3)])
            await asyncio.sleep(0.02)  # over some polls of the stand-in
        await asyncio.to_thread(switches.clear, target)
        await journal.append([event()])
        await received.count(36)
    assert received.seqs == list(range(1, 37))
    assert received.gaps == []
    if name in ("clean-close", "channel-closed"):
        assert subscriber.reconnects >= 1


async def test_subscribed_that_is_said_too_early_is_not_readiness(
    target: Target, journal: SqliteJournal
) -> None:
    """What is committed from readiness on arrives, though the reply to the join came two seconds before the subscription held."""
    await asyncio.to_thread(switches.switch_on, target, "early-reply")
    async with (
        publishing(journal, target),
        reader(target, live="postgres_changes") as subscriber,
        receiving(subscriber) as received,
    ):
        await journal.append([event() for _ in range(5)])
        await received.count(5)
    assert received.seqs == list(range(1, 6))


@pytest.mark.parametrize(
    "merge", [{"max_gap": 50}, {"max_buffer_bytes": 20_000}], ids=["gap above the bound", "buffer full"]
)
async def test_buffer_that_is_dropped_is_paged_for(
    target: Target, journal: SqliteJournal, merge: dict[str, Any]
) -> None:
    key = target.need("service_role_key")
    small = Merge(**merge)
    async with (
        joined(target.supabase_url, apikey=key, topics=[TOPIC], token=given(key)) as channel,
        relaying(journal, target) as relay,
    ):
        await journal.append([event()])
        await relayed(journal, relay)
        start = Position(journal.epoch, 1)
        async with (
            reader(target, merge=small, position=start) as subscriber,
            receiving(subscriber) as received,
        ):
            await until(lambda: subscriber.idle)
            await journal.append([event() for _ in range(200)])
            await relayed(journal, relay)
            entries = await journal.read(101, limit=100)  # the first hundred hints are lost
            for hint in hints.hints(entries, table_head=0, max_bytes=8 << 10):
                await channel.push(TOPIC, "events", hint.payload)
            await received.count(200)
            assert small.bytes <= merge.get("max_buffer_bytes", 1 << 20)
    assert received.seqs == list(range(2, 202))
    assert received.gaps == []
    # What came live was let go of, and came again from the table.
    assert "max_gap" in merge or small.buffers_dropped >= 1
    assert received.releases[-1].via == "table"


async def test_text_that_a_hint_left_out_is_asked_of_the_gateway_while_it_lives_else_of_the_table(
    target: Target, journal: SqliteJournal
) -> None:
    async with (
        deployed(journal, target, assigned="realtime") as server,
        migctl.Subscriber(server.url) as subscriber,
        receiving(subscriber) as received,
    ):
        await until(lambda: subscriber.idle and server.gateway.status().standby == 1)
        await journal.append([event(LARGE)])
        await received.count(1)
        await server.stop_gateway()
        await journal.append([event(LARGE)])
        await received.count(2)
        assert subscriber.attached == {"realtime"}
    assert [(one.transport, one.via) for one in received.releases] == [
        ("websocket", "resume"),
        ("realtime", "fetch"),
    ]
    assert {one.data for one in received.releases} == {LARGE}


async def test_row_wins_over_a_tombstone_and_a_tombstones_text_is_delivered(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    """A dead letter that was retried is a row first, and loses its tombstone after."""
    await journal.append([event(b'{"n": 1}'), event(b'{"nul": "\\u0000"}'), event(b'{"n": 3}')])
    async with relaying(journal, target) as relay:
        await relayed(journal, relay)
    assert list(await tables.tombstones()) == [2]
    await tables.run(
        "insert into monitoring_tombstones (epoch, seq, id, reason, event, committed_at)"
        " select epoch, 3, id, reason, event, committed_at from monitoring_tombstones where seq = 2"
    )
    async with (
        reader(target, position=Position(journal.epoch, 0)) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(3)
    assert [one.data for one in received.releases] == [b'{"n": 1}', b'{"nul": "\\u0000"}', b'{"n": 3}']
