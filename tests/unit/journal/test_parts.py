"""Every part of a journal has an owner: what ends one before its time ends the journal, and is told."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from pathlib import Path

import pytest

from migctl.journal import JournalBroken
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.checkpoint import PASSIVE_BYTES, Checkpointer
from migctl.journal.sqlite.housekeeper import Housekeeper
from migctl.journal.sqlite.layout import Layout
from migctl.journal.sqlite.outlook import Outlook
from migctl.journal.sqlite.parts import Failure, Part, own
from migctl.journal.sqlite.reserve import Reserve
from migctl.journal.sqlite.retention import Keep, Space, Trimmed
from tests.kit.conditions import until
from tests.kit.entries import event

KEEP = Keep(hours=0.0, min_events=0, max_bytes=1 << 30, check_every_s=0.0)


def alter(path: Path, statement: str) -> None:
    with sqlite3.connect(path, isolation_level=None) as database:
        database.execute(statement)


async def test_a_dead_housekeeper_ends_the_journal_so_that_its_bound_never_fails_open(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await SqliteJournal.open(path, keep=KEEP)
    await journal.append([event()])
    alter(path, "DROP TABLE cursors")  # it reads them, and nobody else does here
    cause = await asyncio.wait_for(journal.failure(), 10)
    assert isinstance(cause, sqlite3.OperationalError)
    with pytest.raises(JournalBroken, match="an error of ours: OperationalError: no such table: cursors"):
        await journal.append([event()])
    assert journal.head == 1
    await journal.aclose()


async def test_a_journal_that_nothing_ended_has_no_failure(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db", keep=KEEP)
    failing = asyncio.ensure_future(journal.failure())
    await journal.append([event()])
    await journal.aclose()
    assert not failing.done()
    failing.cancel()


class Ended(Part):
    def __init__(self, failure: Failure, end: BaseException) -> None:
        super().__init__("part", failure)
        self._end = end

    def work(self) -> None:
        raise self._end


@pytest.mark.parametrize("end", [ValueError("a bug"), KeyboardInterrupt()])
async def test_a_thread_that_ends_before_its_time_is_told(end: BaseException) -> None:
    failure = Failure()
    part = Ended(failure, end)
    part.start()
    cause = await asyncio.wait_for(failure.wait(), 10)
    assert cause is end or "KeyboardInterrupt" in str(cause)
    assert isinstance(failure.refusal(cause), JournalBroken)


async def test_a_log_that_cannot_be_moved_into_the_file_ends_the_journal_as_the_disk_s_failure(
    tmp_path: Path,
) -> None:
    layout = Layout.of(tmp_path / "journal.db")
    layout.database.write_bytes(b"this is no database any more " * 200)
    with layout.log.open("wb") as log:
        log.truncate(PASSIVE_BYTES + 1)
    checkpointer = Checkpointer(layout, failure := Failure(), every_s=0.01)
    checkpointer.start()
    cause = await asyncio.wait_for(failure.wait(), 10)
    assert isinstance(cause, JournalBroken)
    assert "the journal's disk failed: file is not a database" in cause.what
    checkpointer.join(10)


async def test_a_task_that_ends_is_told_and_one_that_is_cancelled_is_not() -> None:
    async def ends() -> None:
        return

    failure = Failure()
    waits = own(asyncio.create_task(asyncio.Event().wait()), failure)
    waits.cancel()
    await asyncio.wait([waits])
    assert failure.cause is None
    own(asyncio.create_task(ends(), name="a task"), failure)
    assert "a task ended by itself" in str(await asyncio.wait_for(failure.wait(), 10))


async def test_the_first_cause_stands() -> None:
    failure = Failure()
    failure.fail(ValueError("first"))
    failure.fail(ValueError("second"))
    assert str(failure.cause) == "first"


async def test_room_that_cannot_be_measured_is_no_room_until_it_can(tmp_path: Path) -> None:
    full: list[str | None] = []  # as it is when the housekeeper measures

    async def operate(_: object) -> Trimmed:
        return Trimmed(0, {}, False)

    async def measure() -> Outlook:
        full.append(keeper.full)
        if len(full) == 1:
            raise OSError(5, "Input/output error")
        return Outlook(Space(10, 0, 1 << 40), 1, 1.0, 0.0)

    keeper = Housekeeper(
        KEEP, operate=operate, measure=measure, trimmed=lambda _: None, reserve=Reserve(tmp_path / "reserve")
    )
    running = asyncio.create_task(keeper.run())
    await until(lambda: len(full) >= 3)
    running.cancel()
    assert (full[0], full[2]) == (None, None)
    assert "can't be measured" in str(full[1])


async def test_a_disk_that_others_fill_is_foreseen_while_the_journal_takes_nothing(tmp_path: Path) -> None:
    free = itertools.count(1 << 40, -(1 << 30))

    async def operate(_: object) -> Trimmed:
        return Trimmed(0, {}, False)

    async def measure() -> Outlook:
        return Outlook(Space(10, 0, next(free)), 0, 0.0, 0.0)

    keep = Keep(max_bytes=1 << 40, check_every_s=0.001)
    keeper = Housekeeper(
        keep, operate=operate, measure=measure, trimmed=lambda _: None, reserve=Reserve(tmp_path / "reserve")
    )
    running = asyncio.create_task(keeper.run())
    await until(lambda: keeper.forecast is not None)
    running.cancel()
    assert keeper.forecast is not None
    assert keeper.forecast.bound == "disk"
