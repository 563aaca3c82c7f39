"""Subscribers that are moved from one transport to the other by a flag, while events go on: none is lost, none comes twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.client import connect

import migctl
from migctl import clock
from migctl.config import Target
from migctl.events.ids import uuid7
from migctl.faults import tcp_proxy
from migctl.journal.sqlite import SqliteJournal
from migctl.transports.protocol import TransportName
from tests.kit.assigning import HeldFlags
from tests.kit.broadcasting import port_of
from tests.kit.conditions import until
from tests.kit.deployed import Deployed, deployed, events_going_on
from tests.kit.receiving import Received, receiving

QUICK: dict[str, Any] = {"gone_s": 0.5, "hold_s": 0.6, "spread_s": 0.1}
# Such that a gateway which is soon back is waited for.
PATIENT: dict[str, Any] = {**QUICK, "gone_s": 20.0}


@asynccontextmanager
async def moved(
    journal: SqliteJournal,
    target: Target,
    *,
    percent: float,
    count: int = 1,
    options: dict[str, Any] = QUICK,
    **more: Any,
) -> AsyncIterator[tuple[Deployed, HeldFlags, list[migctl.Subscriber], list[Received]]]:
    """A deployment whose flag a test turns, with subscribers that are where it says, and events that go on."""
    flags = HeldFlags()
    await flags.share(percent)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(deployed(journal, target, flags=flags, **more))
        made = [
            await stack.enter_async_context(migctl.Subscriber(server.url, user=f"user-{n}", **options))
            for n in range(count)
        ]
        received = [await stack.enter_async_context(receiving(each)) for each in made]
        await stack.enter_async_context(events_going_on(journal))
        where = {"realtime"} if percent else {"websocket"}
        await until(lambda: all(each.attached == where for each in made))
        await until(lambda: all(len(each.releases) > 10 for each in received))
        yield server, flags, made, received
        head = journal.head
        await until(lambda: all(each.seqs[-1] >= head for each in received))
    for each in received:
        assert each.seqs == list(range(each.seqs[0], each.seqs[-1] + 1))
        assert (len(set(each.ids)), each.gaps) == (len(each.ids), [])


def moving(server: Deployed) -> int | None:
    moves = server.gateway.status().moves
    assert moves is not None
    return moves.moving


async def test_raised_to_all_everybody_moves_up_in_turn_and_lowered_down_at_once(
    target: Target, journal: SqliteJournal
) -> None:
    async with moved(journal, target, percent=0, count=6, joins_per_s=2.0) as (server, flags, made, _):
        assert moving(server) == 0
        began = clock.mono()
        await flags.share(100)
        await until(lambda: all(each.attached == {"realtime"} for each in made))
        up_s = clock.mono() - began
        assert up_s > 2.4, "one after the other"
        await until(lambda: moving(server) == 0)
        status = server.gateway.status()
        assert (status.subscribers_v2, status.standby) == (0, 6)
        assert status.moves is not None
        assert status.moves.actual == status.moves.assigned == {"websocket": 0, "realtime": 6}

        began = clock.mono()
        await flags.share(0)
        await until(lambda: all("websocket" in each.attached for each in made))
        down_s = clock.mono() - began
        await until(lambda: all(each.attached == {"websocket"} for each in made))
        await until(lambda: moving(server) == 0)
    assert down_s < up_s


async def test_a_move_runs_both_until_the_new_one_has_caught_up(
    target: Target, journal: SqliteJournal
) -> None:
    async with moved(journal, target, percent=0) as (_, flags, (one,), (received,)):
        seen: list[frozenset[str]] = []

        async def watch() -> None:
            while True:
                if not seen or seen[-1] != one.attached:
                    seen.append(one.attached)
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        await flags.share(100)
        await until(lambda: one.attached == {"realtime"})
        count = len(received.releases)
        await received.count(count + 20)
        await flags.share(0)
        await until(lambda: one.attached == {"websocket"} and seen[-1] == {"websocket"})
        watching.cancel()
        assert {release.transport for release in received.releases} == {"websocket", "realtime"}
    assert [set(each) for each in seen] == [
        {"websocket"},
        {"websocket", "realtime"},
        {"realtime"},
        {"websocket", "realtime"},
        {"websocket"},
    ]


async def test_nobody_moves_up_while_realtime_is_away_and_who_is_on_fallback_takes_the_new_assignment_after_it(
    target: Target, journal: SqliteJournal
) -> None:
    async with moved(journal, target, percent=100) as (server, flags, (fallen,), (received,)):
        server.gateway.announce("realtime", "websocket", "the breaker is open")
        await until(lambda: fallen.attached == {"websocket"})
        await until(lambda: moving(server) == 0)
        await flags.share(0)
        await until(lambda: server.gateway.subscribers().subscribers[0].assigned == "websocket")
        await flags.share(100)
        async with migctl.Subscriber(server.url, user="another", **QUICK) as another:
            await another.ready()
            await until(lambda: another.attached == {"websocket"})
            await received.count(len(received.releases) + 100)
            assert fallen.attached == another.attached == {"websocket"}
            server.gateway.announce("websocket", "realtime", "the breaker is closed", spread_s=0.1)
            await until(lambda: fallen.attached == another.attached == {"realtime"})


async def test_who_is_assigned_the_websocket_does_not_join_realtime_when_a_fallback_ends(
    target: Target, journal: SqliteJournal
) -> None:
    async with moved(journal, target, percent=0) as (server, _, (one,), (received,)):
        server.gateway.announce("realtime", "websocket", "the breaker is open")
        server.gateway.announce("websocket", "realtime", "the breaker is closed", spread_s=0.0)
        await received.count(len(received.releases) + 100)
        assert one.attached == {"websocket"}


@pytest.mark.slow
async def test_a_brake_ends_a_ramp_and_an_older_word_does_not_begin_it_again(
    target: Target, journal: SqliteJournal
) -> None:
    async with moved(journal, target, percent=0, count=4, joins_per_s=4.0, options=PATIENT) as (
        server,
        flags,
        made,
        received,
    ):
        n = await flags.share(100)
        await until(lambda: any("realtime" in each.attached for each in made))
        await flags.brake()
        await until(lambda: _told(server, "websocket") >= 4)  # also those that had not gone up yet
        await until(lambda: all(each.attached == {"websocket"} for each in made))
        # One that was changing its socket hears it twice: the others have time for it, too.
        await received[0].count(len(received[0].releases) + 100)
        # Another server, which has the share and has not heard of the brake.
        behind = HeldFlags()
        await behind.share(100, n=n)
        await server.stop_gateway()
        server.flags = behind
        await server.start_gateway()
        await until(lambda: server.gateway.count_v2() == 4)
        await until(lambda: _told(server) == 4)
        await until(lambda: all(each.attached for each in made))
        await received[0].count(len(received[0].releases) + 50)
        assert [each.attached for each in made] == [{"websocket"}] * 4
        await behind.share(100, n=n + 1)
        await until(lambda: all(each.attached == {"realtime"} for each in made))


def _told(server: Deployed, transport: TransportName = "realtime") -> int:
    moves = server.gateway.status().moves
    assert moves is not None
    return moves.notified.get(transport, 0)


async def test_a_server_that_dies_in_the_middle_of_a_move_sends_on_who_has_not_moved(
    target: Target, journal: SqliteJournal
) -> None:
    async with moved(journal, target, percent=0, count=6, joins_per_s=5.0, options=PATIENT) as (
        server,
        flags,
        made,
        _,
    ):
        await flags.share(100)
        await until(lambda: sum(each.attached == {"realtime"} for each in made) >= 2)
        await server.stop_gateway()
        server.joins_per_s = 100.0
        await server.start_gateway()
        await until(lambda: all(each.attached == {"realtime"} for each in made))


async def test_realtime_that_can_not_be_joined_leaves_who_is_sent_there_where_it_is(
    target: Target, journal: SqliteJournal
) -> None:
    """Until it can: nobody counts it as moved before."""
    flags = HeldFlags()
    await flags.share(0)
    async with tcp_proxy(port_of(target)) as proxy:
        shown = replace(target, supabase_url=proxy.url)
        proxy.refuse_requests(b"GET /realtime/v1/websocket")
        async with (
            deployed(journal, target, shown=shown, flags=flags) as server,
            migctl.Subscriber(server.url, user=uuid7(), **QUICK) as one,
            receiving(one) as received,
            events_going_on(journal),
        ):
            await received.count(10)
            await flags.share(100)
            await until(lambda: _told(server) == 1)
            await received.count(len(received.releases) + 50)
            assert (one.attached, moving(server)) == ({"websocket"}, 1)
            proxy.refuse_requests(None)
            await until(lambda: one.attached == {"realtime"})
            await until(lambda: moving(server) == 0)
            assert received.seqs == list(range(received.seqs[0], received.seqs[-1] + 1))


async def test_a_move_ends_though_there_are_new_events_in_each_answer(
    target: Target, journal: SqliteJournal
) -> None:
    """A round trip takes as long as ten events: who asked up to an empty page would ask for ever, and stay on both."""
    flags = HeldFlags()
    await flags.share(0)
    async with deployed(journal, target, flags=flags) as server:
        port = int(server.url.rpartition(":")[2])
        async with (
            tcp_proxy(port, delay_s=0.05) as proxy,
            migctl.Subscriber(proxy.url, user=uuid7(), **QUICK) as one,
            receiving(one) as received,
            events_going_on(journal),
        ):
            await received.count(10)
            await flags.share(100)
            await until(lambda: one.attached == {"realtime"})
            await until(lambda: moving(server) == 0)
            assert received.seqs == list(range(received.seqs[0], received.seqs[-1] + 1))


async def test_legacy_sockets_and_those_that_name_no_user_never_hear_of_an_assignment(
    target: Target, journal: SqliteJournal
) -> None:
    async with (
        moved(journal, target, percent=0) as (server, flags, (one,), _),
        connect(server.url.replace("http", "ws") + "/ws") as legacy,
        connect(server.url.replace("http", "ws") + "/ws?v=2") as nobody,
    ):
        await flags.share(100)
        await until(lambda: one.attached == {"realtime"})
        await flags.share(0)
        await until(lambda: one.attached == {"websocket"})
        for socket in (legacy, nobody):
            types = [json.loads(await socket.recv())["type"] for _ in range(50)]
            assert "sys.assignment" not in types
        hello = "sys.hello"
        async with connect(server.url.replace("http", "ws") + "/ws") as again:
            assert json.loads(await again.recv())["type"] not in (hello, "sys.assignment")
