"""A copy of the journal that was put back, and a journal that was lost: a new epoch that readers cross, never in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from migctl import server
from migctl.config import Settings, Target
from migctl.delivery import Relay
from migctl.errors import Refused
from migctl.events import Event, Position
from migctl.journal.sqlite import SqliteJournal, highwater
from migctl.journal.sqlite.copies import restore
from migctl.stack.launcher import any_free_port
from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
from migctl.target import Heads, TableWriter
from migctl.transports.websocket import Gateway
from tests.kit import journals
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.receiving import Received, publishing, reader, receiving
from tests.kit.relaying import Tables, relayed, relaying
from tests.kit.statuses import status_of


def events(count: int) -> list[Event]:
    return [event() for _ in range(count)]


@asynccontextmanager
async def served(journal: SqliteJournal, port: int) -> AsyncIterator[str]:
    """The gateway of this journal on a port that its successor takes over."""
    gateway = Gateway(journal, heartbeat_s=0.2)
    app = server.build(
        journal=journal,
        gateway=gateway,
        settings=Settings(),
        status=lambda http: status_of(journal, gateway, http),
    )
    running = asyncio.create_task(gateway.run())
    try:
        async with server.listening(app, "127.0.0.1", port, shutdown_s=0.2) as listener:
            yield listener.ws_url
            await gateway.drain(2.0)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def compared(journal: SqliteJournal, target: Target) -> None:
    """What `serve` does before it takes an event."""
    writer, heads = TableWriter(target, "public"), Heads(target, "public")
    assert await Relay(journal, writer, heads, Settings()).claim(within_s=10)
    await writer.aclose()
    await heads.aclose()


def places(received: Received) -> list[tuple[str, int, str]]:
    return [(release.epoch, release.seq, release.id) for release in received.releases]


@pytest.mark.parametrize("mark", ["kept", "put back too", "gone"])
async def test_a_copy_put_back_begins_an_epoch_that_both_kinds_of_reader_cross_with_a_discontinuity(
    standin: Target, tables: Tables, path: Path, tmp_path: Path, mark: str
) -> None:
    port = any_free_port()
    before, lost, after = events(10), events(7), events(5)
    said: list[str] = []
    async with AsyncExitStack() as readers:
        journal = await SqliteJournal.open(path)
        first_epoch = journal.epoch
        async with served(journal, port) as url, publishing(journal, standin) as (relay, _):
            await journal.append(before)
            await relayed(journal, relay)
            copy = journals.copy_of(path, tmp_path / "copy.db")
            high_water = highwater.path_of(path).read_bytes()
            socket = await readers.enter_async_context(
                WebsocketSubscriber(url, position=Position(first_epoch, 0))
            )
            realtime = await readers.enter_async_context(reader(standin, position=Position(first_epoch, 0)))
            by_socket = await readers.enter_async_context(receiving(socket))
            by_realtime = await readers.enter_async_context(receiving(realtime))
            await journal.append(lost)
            await relayed(journal, relay)
            await by_socket.count(17)
            await by_realtime.count(17)
        await journal.aclose()
        if mark == "gone":
            journals.lose(path, mark=True)
            restore(copy, path, replace=False)
        else:
            journals.put_back(copy, path)
        if mark == "put back too":
            highwater.path_of(path).write_bytes(high_water)

        journal = await SqliteJournal.open(path, notify=said.append)
        await compared(journal, standin)
        async with served(journal, port), publishing(journal, standin) as (relay, _):
            await journal.append(after)
            await relayed(journal, relay)
            await by_socket.count(22)
            await by_realtime.count(22)
            head = journal.head
        epochs = await journal.epochs()
        await journal.aclose()

    assert [info.prev_epoch for info in epochs] == [None, first_epoch]
    assert head == 5
    # The table has what the copy lacks, so nothing is lost; the socket's readers can't know.
    assert epochs[1].lost is None
    assert [("older copy" in words) for words in said] == ([] if mark == "gone" else [True])
    assert by_realtime.ids == by_socket.ids == [each.id for each in [*before, *lost, *after]]
    assert by_realtime.gaps == []
    assert [(gap.reason, gap.resumed) for gap in by_socket.gaps] == [("epoch", Position(epochs[1].epoch, 0))]
    journals.assert_no_seq_means_two_events(places(by_socket), places(by_realtime), journals.seen_in(path))
    assert [head[0] for head in await tables.heads()] == [first_epoch, epochs[1].epoch]


async def test_what_neither_journal_nor_table_has_is_said_to_both_readers_and_the_old_epoch_is_finished_first(
    standin: Target, tables: Tables, path: Path, tmp_path: Path
) -> None:
    journal = await SqliteJournal.open(path)
    first_epoch = journal.epoch
    async with relaying(journal, standin) as relay:
        await journal.append(events(4))
        await relayed(journal, relay)
    await journal.append(events(3))  # in the copy, not in the table
    copy = journals.copy_of(path, tmp_path / "copy.db")
    await journal.append(events(5))  # in neither
    await journal.aclose()
    journals.put_back(copy, path)

    journal = await SqliteJournal.open(path)
    async with (
        reader(standin, position=Position(first_epoch, 0)) as realtime,
        receiving(realtime) as received,
        publishing(journal, standin) as (relay, _),
    ):
        await journal.append(events(2))
        await relayed(journal, relay)
        await received.count(9)
    info = (await journal.epochs())[-1]
    await journal.aclose()
    assert (info.prev_epoch, info.lost) == (first_epoch, (8, 12))
    assert received.seqs == [1, 2, 3, 4, 5, 6, 7, 1, 2]
    assert [(gap.reason, gap.lost_from, gap.lost_to) for gap in received.gaps] == [("lost", 8, 12)]
    assert await tables.seqs() == [1, 1, 2, 2, 3, 4, 5, 6, 7]


async def test_events_taken_before_the_table_could_be_asked_move_to_the_new_epoch_and_reach_the_table(
    standin: Target, tables: Tables, path: Path, tmp_path: Path
) -> None:
    journal = await SqliteJournal.open(path)
    first_epoch = journal.epoch
    async with relaying(journal, standin) as relay:
        await journal.append(events(4))
        await relayed(journal, relay)
        copy = journals.copy_of(path, tmp_path / "copy.db")
        high_water = highwater.path_of(path).read_bytes()
        await journal.append(events(5))
        await relayed(journal, relay)
    await journal.aclose()
    journals.put_back(copy, path)
    highwater.path_of(path).write_bytes(high_water)

    journal = await SqliteJournal.open(path)
    acknowledged = events(8)  # more than the table's 5: the head alone shows nothing
    assert (await journal.append(acknowledged)).first_seq == 5
    async with relaying(journal, standin) as relay:
        await until(lambda: journal.epoch != first_epoch)
        await relayed(journal, relay)
    assert [entry.event.id for entry in await journal.read(0)] == [each.id for each in acknowledged]
    assert [entry.seq for entry in await journal.read(0, epoch=first_epoch)] == [1, 2, 3, 4]
    await journal.aclose()
    assert len(await tables.seqs()) == 17
    assert await tables.tombstones() == {}


async def test_an_epoch_that_is_opened_under_open_sockets_is_crossed_by_them(path: Path) -> None:
    journal = await SqliteJournal.open(path)
    first_epoch = journal.epoch
    async with (
        served(journal, any_free_port()) as url,
        WebsocketSubscriber(url) as subscriber,
        receiving(subscriber) as received,
    ):
        await journal.append(events(3))
        await received.count(3)
        info = await journal.rotate_epoch(first_epoch, lost=(4, 5), reason="an older copy was put back")
        await journal.append(events(2))
        await received.count(5)
        await until(lambda: subscriber.idle)
        await journal.append(events(1))
        await received.count(6)
    await journal.aclose()
    assert [(release.epoch, release.seq) for release in received.releases] == [
        *((first_epoch, seq) for seq in (1, 2, 3)),
        *((info.epoch, seq) for seq in (1, 2, 3)),
    ]
    assert [gap.reason for gap in received.gaps] == ["epoch"]


async def test_a_journal_that_is_gone_is_not_made_anew_in_silence(path: Path) -> None:
    journal = await SqliteJournal.open(path)
    writer = journal.writer_id
    await journal.append(events(3))
    await journal.aclose()
    journals.lose(path)
    with pytest.raises(Refused, match=rf"is gone.*writer {writer}.*last seq 3") as refused:
        await SqliteJournal.open(path)
    assert "migctl journal adopt --reason" in refused.value.do
    assert not path.exists()


async def test_the_mark_follows_by_itself_and_never_leads(path: Path) -> None:
    journal = await SqliteJournal.open(path)
    leads: list[int] = []

    def head() -> int:
        mark = highwater.read(path)
        assert mark is not None
        leads.append(mark.head - journal.head)
        return mark.head

    await journal.append(events(3))
    await until(lambda: head() == 3)
    for _ in range(20):
        await journal.append(events(2))
        head()
    await until(lambda: head() == 43)
    assert max(leads) <= 0
    await journal.append(events(1))
    await journal.aclose()
    assert head() == 44
