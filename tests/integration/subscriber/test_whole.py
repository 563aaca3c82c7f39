"""The whole subscriber, with a gateway and a stand-in that die and come back while events go on."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import migctl
from migctl.config import Settings, Target
from migctl.config.settings import FallbackSection, RealtimeSection
from migctl.errors import MigctlError
from migctl.events import Position
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.standin_process import StandinProcess
from tests.kit import journals
from tests.kit.conditions import until
from tests.kit.deployed import deployed, events_going_on
from tests.kit.entries import event
from tests.kit.receiving import Received, receiving
from tests.kit.relaying import Tables, relayed, relaying

QUICK: dict[str, Any] = {"gone_s": 0.5, "hold_s": 0.6, "spread_s": 0.1}


async def whole(received: Received, journal: SqliteJournal, after: int = 0) -> None:
    """Wait for the head; then everything after `after` was released, in order, each id once."""
    await received.count(journal.head - after)
    entries = await journal.read(after, limit=100_000)
    assert received.seqs == list(range(after + 1, journal.head + 1))
    assert received.ids == [entry.event.id for entry in entries]
    assert received.gaps == []


async def test_assigned_realtime_falls_back_to_the_gateway_when_the_target_is_killed_and_returns(
    process: StandinProcess, target: Target, journal: SqliteJournal
) -> None:
    async with (
        deployed(journal, target, assigned="realtime") as server,
        migctl.Subscriber(server.url, heartbeat_s=5.0, **QUICK) as subscriber,
        receiving(subscriber) as received,
    ):
        assert await subscriber.ready() == Position(journal.epoch, 0)
        async with events_going_on(journal):
            await received.count(50)
            # On a busy machine a hint may take longer than 150 ms; such a gap is repaired from the gateway, as it should be.
            assert {release.transport for release in received.releases if release.via == "live"} == {
                "realtime"
            }
            process.send(signal.SIGKILL)
            await asyncio.to_thread(process.wait, 5.0)
            before = journal.head
            await until(lambda: received.seqs[-1] > before and subscriber.attached == {"websocket"})
            process.begin()
            await asyncio.to_thread(process.wait_ready)
            await until(lambda: subscriber.attached == {"websocket", "realtime"})
            await until(lambda: subscriber.attached == {"realtime"})
            count = len(received.releases)
            await received.count(count + 30)
            assert received.releases[-1].transport == "realtime"
        await whole(received, journal)


async def test_assigned_websocket_is_bridged_over_realtime_and_the_tables_and_returns(
    process: StandinProcess, target: Target, journal: SqliteJournal
) -> None:
    await journal.append([event() for _ in range(20)])
    async with (
        deployed(journal, target, assigned="websocket") as server,
        migctl.Subscriber(server.url, **QUICK) as subscriber,
        receiving(subscriber) as received,
    ):
        assert await subscriber.ready() == Position(journal.epoch, 20)
        async with events_going_on(journal):
            await received.count(50)
            assert {release.transport for release in received.releases} == {"websocket"}
            await server.stop_gateway()
            before = journal.head
            await until(lambda: received.seqs[-1] > before + 20 and subscriber.attached == {"realtime"})
            missed = [release for release in received.releases if release.via == "table"]
            assert missed, "what came while nothing was attached is in the tables only"
            await server.start_gateway()
            await until(lambda: subscriber.attached == {"websocket"})
            count = len(received.releases)
            await received.count(count + 30)
            assert received.releases[-1].transport == "websocket"
        await whole(received, journal, after=20)


async def test_being_told_moves_to_the_gateway_and_back_without_losing_or_repeating(
    target: Target, journal: SqliteJournal
) -> None:
    """Nothing is broken here: only the word of the gateway moves the subscriber."""
    async with (
        deployed(journal, target, assigned="realtime") as server,
        migctl.Subscriber(server.url, **QUICK) as subscriber,
        receiving(subscriber) as received,
        events_going_on(journal),
    ):
        await until(lambda: subscriber.attached == {"realtime"} and server.gateway.status().standby)
        server.gateway.announce("realtime", "websocket", "the breaker is open")
        await until(lambda: subscriber.attached == {"websocket"})
        await received.count(50)
        server.gateway.announce("websocket", "realtime", "the breaker is closed")
        await until(lambda: subscriber.attached == {"realtime"})
        await received.count(len(received.releases) + 30)
        assert received.seqs == list(range(received.seqs[0], received.seqs[-1] + 1))
        assert (received.gaps, len(set(received.ids))) == ([], len(received.ids))


async def test_subscriber_that_is_not_to_go_to_realtime_waits_for_the_gateway(
    target: Target, journal: SqliteJournal
) -> None:
    async with (
        deployed(
            journal, target, assigned="websocket", fallback=FallbackSection(to_realtime=False)
        ) as server,
        migctl.Subscriber(server.url, **QUICK) as subscriber,
        receiving(subscriber) as received,
        events_going_on(journal),
    ):
        await received.count(20)
        await server.stop_gateway()
        await until(lambda: not subscriber.attached)
        left_at = journal.head
        # Three times as long as it takes another to join Realtime.
        await until(lambda: journal.head > left_at + 150)
        assert subscriber.attached == set()
        await server.start_gateway()
        await received.count(left_at + 160)
        assert {release.transport for release in received.releases} == {"websocket"}
        assert received.seqs == list(range(received.seqs[0], received.seqs[-1] + 1))


async def test_hold_time_is_the_servers_unless_the_application_says_another(
    target: Target, journal: SqliteJournal
) -> None:
    """Ten seconds by default: who does not listen to the server returns with the one who says so itself."""
    fallback = FallbackSection(hold_s=0.5)
    own: dict[str, Any] = {"gone_s": 0.5, "spread_s": 0.1}
    async with (
        deployed(journal, target, assigned="realtime", fallback=fallback) as server,
        migctl.Subscriber(server.url, **own) as told,
        migctl.Subscriber(server.url, hold_s=10.0, **own) as stubborn,
        events_going_on(journal),
    ):
        await until(lambda: told.attached == stubborn.attached == {"realtime"})
        await until(lambda: server.gateway.status().standby == 2)
        server.gateway.announce("realtime", "websocket", "the breaker is open")
        await until(lambda: told.attached == stubborn.attached == {"websocket"})
        server.gateway.announce("websocket", "realtime", "the breaker is closed")
        await until(lambda: told.attached == {"realtime"})
        assert stubborn.attached == {"websocket", "realtime"}


async def test_assignment_that_changed_is_noticed_when_the_server_is_back(
    target: Target, journal: SqliteJournal
) -> None:
    """A flag is read when `serve` starts. The token would be renewed after 48 minutes."""
    async with (
        deployed(journal, target, assigned="websocket") as server,
        migctl.Subscriber(server.url, ask_soon_s=0.1, **QUICK) as subscriber,
        receiving(subscriber) as received,
        events_going_on(journal),
    ):
        await received.count(10)
        assert subscriber.attached == {"websocket"}
        await server.stop_gateway()
        server.assigned = "realtime"
        await server.start_gateway()
        await until(lambda: subscriber.attached == {"realtime"})
        await received.count(len(received.releases) + 20)
        assert received.seqs == list(range(received.seqs[0], received.seqs[-1] + 1))


async def test_assignment_that_changed_is_noticed_now_and_then_without_a_word(
    target: Target, journal: SqliteJournal
) -> None:
    async with (
        deployed(journal, target, assigned="websocket") as server,
        migctl.Subscriber(server.url, ask_every_s=0.3, **QUICK) as subscriber,
    ):
        await subscriber.ready()
        asked = server.asked
        await until(lambda: server.asked >= asked + 3)


async def test_what_brings_live_events_may_change_under_a_subscriber(
    target: Target, journal: SqliteJournal
) -> None:
    """The publisher sends no hints: what the subscriber does not join for comes from the table."""
    settings = Settings(realtime=RealtimeSection(live="postgres_changes"))
    async with (
        deployed(journal, target, assigned="realtime", settings=settings) as server,
        migctl.Subscriber(server.url, ask_soon_s=0.1, **QUICK) as subscriber,
        receiving(subscriber) as received,
        events_going_on(journal),
    ):
        await received.count(20)
        assert all(release.via != "live" for release in received.releases)
        await server.stop_gateway()
        server.live = "postgres_changes"
        await server.start_gateway()
        await until(
            lambda: (received.releases[-1].transport, received.releases[-1].via) == ("realtime", "live")
        )
        assert received.seqs == list(range(received.seqs[0], received.seqs[-1] + 1))
        assert received.gaps == []


async def test_heads_that_stay_refused_are_the_end_of_the_first_readiness(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    """Realtime is joined, and the gateway only stands by: nothing but the table says where to begin."""
    await tables.run("revoke select on monitoring_heads from authenticated")
    async with (
        deployed(journal, target, assigned="realtime") as server,
        migctl.Subscriber(server.url, wait_s=1.5, fall_back=False, **QUICK) as subscriber,
    ):
        with pytest.raises(MigctlError, match="monitoring_heads"):
            await asyncio.wait_for(subscriber.ready(), 15.0)


async def test_subscriber_that_got_no_token_at_first_has_a_fallback_once_it_gets_one(
    target: Target, journal: SqliteJournal
) -> None:
    """As where `realtime.token_command` fails at the moment of its first question."""
    async with (
        deployed(journal, replace(target, jwt_secret=None), assigned="websocket") as server,
        migctl.Subscriber(server.url, ask_soon_s=0.1, **QUICK) as subscriber,
        receiving(subscriber) as received,
        events_going_on(journal),
    ):
        await received.count(20)
        await server.stop_gateway()
        server.target, asked = target, server.asked
        await server.start_gateway()
        await until(lambda: server.asked > asked and subscriber.attached == {"websocket"})
        await received.count(len(received.releases) + 20)
        await server.stop_gateway()
        await until(lambda: subscriber.attached == {"realtime"})
        await received.count(len(received.releases) + 20)
        assert received.seqs == list(range(received.seqs[0], received.seqs[-1] + 1))


async def test_token_is_renewed_through_the_server_before_it_ends(
    target: Target, journal: SqliteJournal
) -> None:
    async with (
        deployed(journal, target, assigned="realtime", token_ttl_s=4.0) as server,
        migctl.Subscriber(server.url, **QUICK) as subscriber,
        receiving(subscriber) as received,
    ):
        asked = server.asked
        await until(lambda: server.asked > asked)
        await journal.append([event()])
        await received.count(1)
        assert (subscriber.attached, subscriber.reconnects) == ({"realtime"}, 0)


async def test_what_a_rotated_journal_lost_is_yielded_and_the_old_epoch_is_finished_from_the_tables(
    target: Target, tmp_path: Path
) -> None:
    """The gateway has only the new epoch; the position is of the old one, of which the tables have a part."""
    path = tmp_path / "put_back.db"
    journal = await SqliteJournal.open(path)
    first_epoch = journal.epoch
    async with relaying(journal, target) as relay:
        await journal.append([event() for _ in range(4)])
        await relayed(journal, relay)
    copy = journals.copy_of(path, tmp_path / "copy.db")
    await journal.append([event() for _ in range(5)])
    await journal.aclose()
    journals.put_back(copy, path)
    journal = await SqliteJournal.open(path)
    try:
        async with (
            deployed(journal, target, assigned="websocket") as server,
            migctl.Subscriber(server.url, position=Position(first_epoch, 0), **QUICK) as subscriber,
            receiving(subscriber) as received,
        ):
            await until(lambda: journal.epoch != first_epoch)
            await journal.append([event() for _ in range(2)])
            await received.count(6)
            assert subscriber.attached == {"websocket"}
    finally:
        await journal.aclose()
    assert [(release.epoch, release.seq) for release in received.releases] == [
        *((first_epoch, seq) for seq in range(1, 5)),
        *((journal.epoch, seq) for seq in range(1, 3)),
    ]
    assert [(gap.reason, gap.lost_from, gap.lost_to) for gap in received.gaps] == [("lost", 5, 9)]
