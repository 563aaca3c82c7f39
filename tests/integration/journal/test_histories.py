"""Copies put back more than once, or while the table could not be asked: one chain of epochs, and each loss is said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.events import Event, Position
from migctl.journal.sqlite import SqliteJournal, highwater
from migctl.subscriber.core.release import Discontinuity
from migctl.target import Heads
from tests.kit import journals
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.receiving import Received, reader, receiving
from tests.kit.relaying import Tables, relayed, relaying
from tests.kit.world import SETTINGS, TableReader


def events(count: int) -> list[Event]:
    return [event() for _ in range(count)]


def ids(*groups: list[Event]) -> list[str]:
    return [each.id for group in groups for each in group]


@dataclass(frozen=True)
class Backup:
    """A copy of a journal, and its mark of that moment."""

    copy: Path
    mark: bytes

    @classmethod
    def of(cls, path: Path, to: Path) -> Backup:
        return cls(journals.copy_of(path, to), highwater.path_of(path).read_bytes())

    def put_back(self, path: Path, *, mark_too: bool = False) -> None:
        journals.put_back(self.copy, path)
        if mark_too:
            highwater.path_of(path).write_bytes(self.mark)


async def rotated(journal: SqliteJournal) -> str:
    return (await journal.rotate_epoch(journal.epoch, lost=None, reason="an operator wanted it")).epoch


async def take_unconfirmed(path: Path, *, rotate: bool, taken: list[Event]) -> str:
    """A life of the journal in which the table is never asked; the epoch that it ended in."""
    journal = await SqliteJournal.open(path)
    if rotate:
        await rotated(journal)
    await journal.append(taken)
    await journal.aclose()
    return journal.epoch


async def relay_what_is_there(path: Path, target: Target) -> None:
    journal = await SqliteJournal.open(path)
    async with relaying(journal, target) as relay:
        await until(lambda: relay.announced_head == journal.head and relay.table_head == journal.head)
        await relayed(journal, relay)
    await journal.aclose()


async def read_from(target: Target, start: Position, count: int) -> Received:
    async with reader(target, position=start) as subscriber, receiving(subscriber) as received:
        await received.count(count)
        return received


def losses(received: Received) -> list[tuple[str, int | None, int | None]]:
    return [(gap.after.epoch, gap.lost_from, gap.lost_to) for gap in received.gaps]


async def test_epochs_that_the_table_never_heard_of_are_crossed_and_what_each_of_them_lost_is_said(
    standin: Target, path: Path, tmp_path: Path
) -> None:
    kept, last = events(2), events(1)
    first = await take_unconfirmed(path, rotate=False, taken=kept)
    await relay_what_is_there(path, standin)
    backup = Backup.of(path, tmp_path / "copy.db")
    second = await take_unconfirmed(path, rotate=True, taken=events(5))
    backup.put_back(path)
    third = await take_unconfirmed(path, rotate=False, taken=events(3))
    backup.put_back(path)
    await take_unconfirmed(path, rotate=False, taken=last)
    await relay_what_is_there(path, standin)
    received = await read_from(standin, Position(first, 0), 3)
    assert received.ids == ids(kept, last)
    assert losses(received) == [(second, 1, 5), (third, 1, 3)]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("count", [3, 7])
async def test_events_taken_alone_at_seqs_that_the_table_heard_of_move_and_those_that_were_there_are_said_to_be_lost(
    standin: Target, path: Path, tmp_path: Path, count: int, restarted: bool
) -> None:
    before, alone = events(4), events(count)
    epoch = await take_unconfirmed(path, rotate=False, taken=before)
    await relay_what_is_there(path, standin)
    backup = Backup.of(path, tmp_path / "copy.db")
    journal = await SqliteJournal.open(path)
    await journal.append(events(5))
    heads = Heads(standin, "public")  # the relay told of them, and was killed before it wrote one
    info = (await journal.epochs())[-1]
    await heads.move(info, writer_id=journal.writer_id, table_head=4, journal_head=9)
    await heads.aclose()
    await journal.aclose()
    backup.put_back(path, mark_too=True)

    await take_unconfirmed(path, rotate=False, taken=alone[:2])
    if restarted:
        await take_unconfirmed(path, rotate=False, taken=alone[2:])
        await relay_what_is_there(path, standin)
    else:
        journal = await SqliteJournal.open(path)
        await journal.append(alone[2:])
        async with relaying(journal, standin) as relay:
            await until(lambda: journal.epoch != epoch)
            await relayed(journal, relay)
        await journal.aclose()
    received = await read_from(standin, Position(epoch, 0), 4 + count)
    assert received.ids == ids(before, alone)
    assert losses(received) == [(epoch, 5, 9)]
    journals.assert_no_seq_means_two_events(journals.seen_in(path))


@pytest.mark.slow
async def test_what_a_copy_has_beyond_the_end_of_an_epoch_that_readers_left_reaches_them_in_a_later_one(
    standin: Target, path: Path, tmp_path: Path
) -> None:
    before, beyond, after = events(4), events(2), events(3)
    epoch = await take_unconfirmed(path, rotate=False, taken=before)
    await relay_what_is_there(path, standin)
    old = Backup.of(path, tmp_path / "old.db")
    await take_unconfirmed(path, rotate=False, taken=beyond)
    newer = Backup.of(path, tmp_path / "newer.db")
    old.put_back(path)
    await take_unconfirmed(path, rotate=False, taken=after)
    await relay_what_is_there(path, standin)
    async with (
        reader(standin, position=Position(epoch, 0)) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(7)
        newer.put_back(path)
        await relay_what_is_there(path, standin)
        await received.count(9)
    assert received.ids == ids(before, after, beyond)
    assert losses(received) == [(epoch, 5, 6)]  # as it seemed at the time


async def test_an_older_copy_says_nothing_of_an_epoch_to_be_lost_whose_end_the_table_has(
    standin: Target, tables: Tables, path: Path, tmp_path: Path
) -> None:
    """By its mark alone it can't know: the epoch that follows was told to the table with nothing lost before it."""
    before, beyond, after, last = events(1), events(2), events(3), events(1)
    first = await take_unconfirmed(path, rotate=False, taken=before)
    backup = Backup.of(path, tmp_path / "copy.db")
    await take_unconfirmed(path, rotate=False, taken=beyond)
    second = await take_unconfirmed(path, rotate=True, taken=after)
    await relay_what_is_there(path, standin)
    backup.put_back(path)
    third = await take_unconfirmed(path, rotate=False, taken=last)
    journal = await SqliteJournal.open(path)
    assert [info.lost for info in await journal.epochs()] == [None, (2, 3), (1, 3)]
    async with relaying(journal, standin) as relay:
        await relayed(journal, relay)
    assert [(info.epoch, info.prev_epoch, info.lost) for info in await journal.epochs()] == [
        (first, None, None),
        (second, first, None),
        (third, second, None),
    ]
    await journal.aclose()
    assert await tables.lost() == {first: None, second: None, third: None}
    received = await read_from(standin, Position(first, 0), 7)
    assert received.ids == ids(before, beyond, after, last)
    assert received.gaps == []


@pytest.mark.parametrize("mark", ["kept", "put back too"])
async def test_an_epoch_of_another_branch_follows_what_the_table_has(
    standin: Target, path: Path, tmp_path: Path, mark: str
) -> None:
    before, branch, went_on, last = events(2), events(3), events(2), events(1)
    epoch = await take_unconfirmed(path, rotate=False, taken=before)
    await relay_what_is_there(path, standin)
    trunk = Backup.of(path, tmp_path / "trunk.db")
    await take_unconfirmed(path, rotate=True, taken=branch)
    other = Backup.of(path, tmp_path / "branch.db")
    trunk.put_back(path, mark_too=True)
    await take_unconfirmed(path, rotate=True, taken=went_on)
    await relay_what_is_there(path, standin)
    other.put_back(path, mark_too=mark == "put back too")
    await take_unconfirmed(path, rotate=False, taken=last)
    await relay_what_is_there(path, standin)
    received = await read_from(standin, Position(epoch, 0), 8)
    assert received.ids == ids(before, went_on, branch, last)
    assert received.gaps == []


async def test_no_row_is_written_in_an_epoch_that_heads_do_not_know(
    standin: Target, path: Path, tables: Tables
) -> None:
    """No reader would ever look for it, should the journal be lost then."""
    journal = await SqliteJournal.open(path)
    await journal.append(events(3))
    moving = "execute on all functions in schema public"
    await tables.run(f"revoke {moving} from service_role")
    async with relaying(journal, standin, settings=SETTINGS) as relay:
        await until(lambda: relay.connections().heads.state == "paused")
        assert await tables.seqs() == []
        await tables.run(f"grant {moving} to service_role")
        await relayed(journal, relay)
    await journal.aclose()
    assert await tables.seqs() == [1, 2, 3]


async def test_a_reader_does_not_wait_for_ever_where_no_chain_of_epochs_leads_on(
    standin: Target, tables: Tables, path: Path
) -> None:
    first = await take_unconfirmed(path, rotate=False, taken=events(2))
    await relay_what_is_there(path, standin)
    second = await take_unconfirmed(path, rotate=True, taken=events(3))
    await relay_what_is_there(path, standin)
    await tables.run("update monitoring_heads set prev_epoch = 'nobody knows' where prev_epoch is not null")
    waiting = TableReader(standin, Position(first, 0), patience_s=1.0)

    async def all_there() -> bool:
        await waiting.poll()
        waiting.take()
        return len(waiting.items) == 6

    await until(all_there)
    await waiting.aclose()
    (gap,) = [item for item in waiting.items if isinstance(item, Discontinuity)]
    assert (gap.reason, gap.after, gap.resumed) == ("epoch", Position(first, 2), Position(second, 0))
