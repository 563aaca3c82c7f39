"""Broadcast over the stand-in's Realtime, received by the official client as `authenticated`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from realtime import RealtimeSubscribeStates

from migctl.config import Target
from migctl.faults import tcp_proxy
from migctl.journal.sqlite import SqliteJournal
from tests.integration.realtime.conftest import Received
from tests.kit.broadcasting import broadcasting, port_of
from tests.kit.conditions import until
from tests.kit.entries import event

Receive = Callable[..., Awaitable[Received]]


async def test_official_client_receives_each_event_once_and_in_order(
    journal: SqliteJournal, standin: Target, receive: Receive
) -> None:
    async with broadcasting(journal, standin) as transport:
        await until(lambda: transport.status().state == "connected")
        received = await receive()
        events = [event(b'{"n":%d}' % number) for number in range(200)]
        for start in range(0, 200, 7):
            await journal.append(events[start : start + 7])
        await until(lambda: len(received.seqs) >= 200)
    assert received.states == [RealtimeSubscribeStates.SUBSCRIBED]
    assert received.seqs == list(range(1, 201))
    assert [each["id"] for each in received.events] == [each.id for each in events]
    assert received.events[3]["data"] == {"n": 3}
    assert {hint["epoch"] for hint in received.hints} == {journal.epoch}


async def test_large_and_unreadable_events_arrive_as_references_and_the_rest_whole(
    journal: SqliteJournal, standin: Target, receive: Receive
) -> None:
    async with broadcasting(journal, standin) as transport:
        await until(lambda: transport.status().state == "connected")
        received = await receive()
        datas = [
            b'{"a":1}',
            b'{"a":"' + b"x" * 900_000 + b'"}',
            rb'{"a":"\ud800"}',
            b'{"a":1e400000}',
            rb'{"a":"\u0000"}',
        ]
        await journal.append([event(data) for data in datas])
        await until(lambda: len(received.seqs) == 5)
    assert [sorted(each) == ["id", "seq"] for each in received.events] == [False, True, True, True, False]
    assert received.events[4]["data"] == {"a": "\0"}


async def test_heartbeat_follows_a_burst_and_tells_both_heads(
    journal: SqliteJournal, standin: Target, receive: Receive
) -> None:
    async with broadcasting(journal, standin, table_head=lambda: min(journal.head, 2)) as transport:
        await until(lambda: transport.status().state == "connected")
        received = await receive()
        await journal.append([event(), event(), event()])
        await until(lambda: len(received.seqs) == 3)
        # Behind by one, so twice a second.
        await until(lambda: len(received.heartbeats) >= 3)
    assert received.heartbeats[-1] == {"v": 1, "epoch": journal.epoch, "journal_head": 3, "table_head": 2}


async def test_new_channel_is_opened_after_the_socket_was_cut_and_serves_the_live_edge(
    journal: SqliteJournal, standin: Target, receive: Receive
) -> None:
    async with tcp_proxy(port_of(standin)) as proxy:
        through = replace(standin, supabase_url=proxy.url)
        async with broadcasting(journal, through) as transport:
            await until(lambda: transport.status().state == "connected")
            received = await receive()
            await journal.append([event()])
            await until(lambda: received.seqs == [1])
            proxy.cut_all()
            await until(lambda: transport.status().channels_opened == 2)
            await until(lambda: transport.status().state == "connected")
            await journal.append([event()])
            await until(lambda: received.seqs[-1] == 2)


async def test_new_channel_is_opened_when_no_acknowledgement_comes(
    journal: SqliteJournal, standin: Target, receive: Receive
) -> None:
    async with tcp_proxy(port_of(standin)) as proxy:
        through = replace(standin, supabase_url=proxy.url)
        async with broadcasting(journal, through) as transport:
            await until(lambda: transport.status().state == "connected")
            received = await receive()
            proxy.swallow_answers()
            await journal.append([event()])
            await until(lambda: "no acknowledgement for 1 s" in (transport.status().reason or ""))
            assert transport.status().state == "connecting"
            proxy.swallow_answers(False)
            await until(lambda: transport.status().state == "connected")
            await journal.append([event()])
            await until(lambda: 2 in received.seqs)


async def test_what_comes_while_there_is_no_channel_is_superseded_and_counted(
    journal: SqliteJournal, standin: Target, receive: Receive
) -> None:
    async with tcp_proxy(port_of(standin)) as proxy:
        proxy.refuse()
        through = replace(standin, supabase_url=proxy.url)
        async with broadcasting(journal, through) as transport:
            await until(lambda: transport.status().reason is not None)
            received = await receive()
            await journal.append([event(), event()])
            await until(lambda: transport.breaker == "open")
            await asyncio.sleep(1)  # whoever tried to send them has been refused
            proxy.let_in()
            await until(lambda: transport.status().events_dropped == 2)
            await until(lambda: transport.status().way == "channel")
            await journal.append([event()])
            await until(lambda: received.seqs == [3])


@pytest.mark.slow
async def test_wrong_key_degrades_and_says_what_to_check(journal: SqliteJournal, standin: Target) -> None:
    wrong = replace(
        standin, service_role_key=standin.anon_key, jwt_secret="another secret of at least thirty-two"
    )
    async with broadcasting(journal, wrong) as transport:
        await until(lambda: transport.status().state == "degraded")
        assert transport.status().reason


async def test_drain_ends_with_everything_acknowledged(
    journal: SqliteJournal, standin: Target, receive: Receive
) -> None:
    async with broadcasting(journal, standin) as transport:
        await until(lambda: transport.status().state == "connected")
        received = await receive()
        await journal.append([event() for _ in range(50)])
        assert await transport.drain(5) == 0
        assert transport.status().sent_to_seq == 50
        await until(lambda: received.heartbeats and received.heartbeats[-1]["journal_head"] == 50)
        assert received.seqs == list(range(1, 51))
