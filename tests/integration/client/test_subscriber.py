"""The subscriber in JavaScript, run by Node, with a gateway and a stand-in that lose events, die and come back."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace

import pytest

from migctl.config import Settings, Target
from migctl.config.modes import LiveWay
from migctl.config.settings import RealtimeSection
from migctl.events import Position
from migctl.faults import switches
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.standin.faults import Name
from migctl.stack.standin_process import StandinProcess
from migctl.transports import TransportName
from tests.kit.conditions import until
from tests.kit.deployed import deployed, events_going_on
from tests.kit.entries import event
from tests.kit.following import Followed, following
from tests.kit.relaying import relayed, relaying


async def whole(followed: Followed, journal: SqliteJournal, after: int = 0) -> None:
    """Wait for the head; then everything after `after` was released, in order, each id once."""
    await followed.count(journal.head - after)
    entries = await journal.read(after, limit=100_000)
    assert followed.seqs == list(range(after + 1, journal.head + 1))
    assert followed.ids == [entry.event.id for entry in entries]
    assert followed.gaps == []


@pytest.mark.slow
async def test_assigned_realtime_falls_back_to_the_gateway_when_the_target_is_killed_and_returns(
    process: StandinProcess, target: Target, journal: SqliteJournal
) -> None:
    async with deployed(journal, target, assigned="realtime") as server, following(server.url) as followed:
        assert followed.ready == [{"epoch": journal.epoch, "seq": 0}]
        async with events_going_on(journal):
            await followed.count(50)
            assert {one["transport"] for one in followed.releases if one["via"] == "live"} == {"realtime"}
            process.send(signal.SIGKILL)
            await asyncio.to_thread(process.wait, 5.0)
            before = journal.head
            await until(lambda: followed.seqs[-1] > before and followed.attached == ["websocket"])
            process.begin()
            await asyncio.to_thread(process.wait_ready)
            await until(lambda: followed.attached == ["realtime", "websocket"])
            await until(lambda: followed.attached == ["realtime"])
            await followed.count(len(followed.releases) + 30)
            assert followed.releases[-1]["transport"] == "realtime"
        await whole(followed, journal)


async def test_assigned_websocket_is_bridged_over_realtime_and_the_tables_and_returns(
    target: Target, journal: SqliteJournal
) -> None:
    await journal.append([event() for _ in range(20)])
    async with deployed(journal, target, assigned="websocket") as server, following(server.url) as followed:
        assert followed.ready == [{"epoch": journal.epoch, "seq": 20}]
        async with events_going_on(journal):
            await followed.count(50)
            assert {one["transport"] for one in followed.releases} == {"websocket"}
            await server.stop_gateway()
            before = journal.head
            await until(lambda: followed.seqs[-1] > before + 20 and followed.attached == ["realtime"])
            assert any(one["via"] == "table" for one in followed.releases)
            await server.start_gateway()
            await until(lambda: followed.attached == ["websocket"])
            await followed.count(len(followed.releases) + 30)
            assert followed.releases[-1]["transport"] == "websocket"
        await whole(followed, journal, after=20)


async def test_being_told_moves_to_the_gateway_and_back_without_losing_or_repeating(
    target: Target, journal: SqliteJournal
) -> None:
    async with (
        deployed(journal, target, assigned="realtime") as server,
        following(server.url) as followed,
        events_going_on(journal),
    ):
        await until(lambda: followed.attached == ["realtime"] and server.gateway.status().standby)
        server.gateway.announce("realtime", "websocket", "the breaker is open")
        await until(lambda: followed.attached == ["websocket"])
        await followed.count(50)
        server.gateway.announce("websocket", "realtime", "the breaker is closed")
        await until(lambda: followed.attached == ["realtime"])
        await followed.count(len(followed.releases) + 30)
        assert followed.seqs == list(range(followed.seqs[0], followed.seqs[-1] + 1))
        assert followed.gaps == []


@pytest.mark.parametrize(
    ("live", "name"),
    [
        ("postgres_changes", "slot-loss"),
        ("postgres_changes", "rate-skip"),
        ("postgres_changes", "poisoned-poll"),
        ("broadcast", "channel-closed"),
    ],
)
async def test_what_realtime_loses_in_silence_is_released_all_the_same(
    target: Target, journal: SqliteJournal, live: LiveWay, name: Name
) -> None:
    settings = Settings(realtime=RealtimeSection(live=live))
    async with (
        deployed(journal, target, assigned="realtime", live=live, settings=settings) as server,
        following(server.url) as followed,
    ):
        await until(lambda: followed.attached == ["realtime"])
        await journal.append([event() for _ in range(5)])
        await followed.count(5)
        await asyncio.to_thread(switches.switch_on, target, name, for_s=0.5)
        for _ in range(10):
            await journal.append([event() for _ in range(3)])
            await asyncio.sleep(0.02)  # over some polls of the stand-in
        await asyncio.to_thread(switches.clear, target)
        await journal.append([event()])
        await whole(followed, journal)


@pytest.mark.parametrize("assigned", ["websocket", "realtime"])
async def test_page_that_comes_again_goes_on_at_the_position_that_it_kept(
    target: Target, journal: SqliteJournal, assigned: TransportName, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kept = {"keep": "board", "storageFile": str(tmp_path_factory.mktemp("page") / "storage")}
    async with deployed(journal, target, assigned=assigned) as server:
        async with following(server.url, **kept) as first:
            await journal.append([event() for _ in range(10)])
            await first.count(10)
        await journal.append([event() for _ in range(10)])
        async with following(server.url, **kept) as second:
            await journal.append([event() for _ in range(5)])
            await whole(second, journal, after=10)
        assert first.seqs == list(range(1, 11))


async def test_text_that_the_table_does_not_take_is_delivered_from_its_tombstone(
    target: Target, journal: SqliteJournal
) -> None:
    await journal.append(
        [event(b'{"n": 1}'), event(b'{"nul": "\\u0000", "half": "\\ud800"}'), event(b'{"n": 3}')]
    )
    async with relaying(journal, target) as relay:
        await relayed(journal, relay)
    async with deployed(journal, target, assigned="realtime") as server:
        await server.journal.append([event()])
        place = {"epoch": journal.epoch, "seq": 0}
        async with following(server.url, position=place) as followed:
            await followed.count(4)
    assert [one["data"] for one in followed.releases[:3]] == [
        {"n": 1}, {"nul": "\x00", "half": "\ud800"}, {"n": 3},
    ]  # fmt: skip


async def test_position_of_another_journal_is_a_discontinuity_where_only_the_gateway_is_there(
    target: Target, journal: SqliteJournal
) -> None:
    await journal.append([event() for _ in range(5)])
    async with deployed(journal, target, assigned="websocket") as server:
        await server.stop_gateway()
        server.target = replace(target, anon_key=None)
        await server.start_gateway()
        place = {"epoch": "another", "seq": 7}
        async with following(server.url, position=place) as followed:
            await followed.count(5)
    assert followed.seqs == [1, 2, 3, 4, 5]
    assert [gap["reason"] for gap in followed.gaps] == ["epoch"]
    assert Position(**followed.gaps[0]["resumed"]) == Position(journal.epoch, 0)
