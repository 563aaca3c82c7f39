"""What an error of SQLite means: only some are the disk's, and a bug of ours is none of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from migctl.events import Position
from migctl.journal import JournalBroken, JournalUnavailable
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.faults import Fault, fault_of
from migctl.journal.sqlite.layout import connect
from tests.kit.entries import event


def coded(code: int) -> sqlite3.OperationalError:
    """As SQLite's own error arrives from a disk that no test has."""
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (sqlite3.SQLITE_BUSY, "locked"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "locked"),
        (sqlite3.SQLITE_BUSY_RECOVERY, "locked"),
        (sqlite3.SQLITE_LOCKED, "locked"),
        (sqlite3.SQLITE_PROTOCOL, "locked"),
        (sqlite3.SQLITE_FULL, "full"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "full"),
        (sqlite3.SQLITE_IOERR, "disk"),
        (sqlite3.SQLITE_IOERR_FSYNC, "disk"),
        (sqlite3.SQLITE_IOERR_WRITE, "disk"),
        (sqlite3.SQLITE_CORRUPT, "disk"),
        (sqlite3.SQLITE_NOTADB, "disk"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "disk"),
        (sqlite3.SQLITE_CANTOPEN, "disk"),
        (sqlite3.SQLITE_ERROR, "bug"),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, "bug"),
        (sqlite3.SQLITE_MISUSE, "bug"),
        (sqlite3.SQLITE_MISMATCH, "bug"),
        (sqlite3.SQLITE_TOOBIG, "bug"),
        (sqlite3.SQLITE_INTERRUPT, "bug"),
    ],
)
def test_each_code_of_sqlite_is_one_kind_of_fault(code: int, fault: Fault) -> None:
    assert fault_of(coded(code)) == fault


def no_room(path: Path) -> None:
    with sqlite3.connect(path, isolation_level=None) as database:
        database.execute("PRAGMA max_page_count=2")
        database.execute("CREATE TABLE filled (text)")
        for _ in range(20):
            database.execute("INSERT INTO filled VALUES (zeroblob(4000))")


def another_writes(path: Path) -> None:
    first, second = (sqlite3.connect(path, isolation_level=None, timeout=0) for _ in range(2))
    first.execute("BEGIN IMMEDIATE")
    second.execute("BEGIN IMMEDIATE")


def no_database(path: Path) -> None:
    path.write_bytes(b"this is no database at all " * 200)
    connect(path)


def may_not_write(path: Path) -> None:
    connect(path).close()
    connect(path, read_only=True).execute("CREATE TABLE t (x)")


def no_such_table(path: Path) -> None:
    connect(path).execute("SELECT * FROM nothing")


def used_after_its_end(path: Path) -> None:
    database = connect(path)
    database.close()
    database.execute("SELECT 1")


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (no_room, "full"),
        (another_writes, "locked"),
        (no_database, "disk"),
        (may_not_write, "disk"),
        (no_such_table, "bug"),
        (used_after_its_end, "bug"),
    ],
)
def test_what_sqlite_really_raises_is_told_apart(
    tmp_path: Path, wrong: Callable[[Path], None], fault: Fault
) -> None:
    with pytest.raises(sqlite3.Error) as raised:
        wrong(tmp_path / "some.db")
    assert fault_of(raised.value) == fault


def alter(path: Path, statement: str) -> None:
    with sqlite3.connect(path, isolation_level=None) as database:
        database.execute(statement)


async def test_a_bug_in_what_one_asks_is_raised_to_him_as_it_is_and_the_others_go_on(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    alter(tmp_path / "journal.db", "DROP TABLE cursors")
    with pytest.raises(sqlite3.OperationalError, match="no such table: cursors"):
        await journal.move_cursor("relay", Position(journal.epoch, 0))
    assert (await journal.append([event()])).last_seq == 1
    assert journal.stalled is None
    await journal.aclose()


async def test_a_bug_in_the_writer_itself_ends_the_journal_and_is_told_as_a_bug(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    alter(tmp_path / "journal.db", "ALTER TABLE epochs RENAME COLUMN head TO heads")
    for _ in range(2):
        with pytest.raises(JournalUnavailable) as refused:
            await journal.append([event()])
        assert isinstance(refused.value, JournalBroken)
        assert "an error of ours: OperationalError: no such column: head" in refused.value.what
        assert "disk" not in refused.value.what
    cause = await journal.failure()
    assert isinstance(cause, sqlite3.OperationalError)
    assert cause.__traceback__ is not None
    await journal.aclose()


async def test_a_journal_without_room_is_not_ended_by_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await SqliteJournal.open(path)
    # A disk that has no room, as SQLite sees it, for this connection alone.
    pages = journal._store.writer._db.execute("PRAGMA page_count").fetchone()[0]
    journal._store.writer._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(JournalUnavailable, match="disk is full") as refused:
        await journal.append([event(b'{"pad":"%s"}' % (b"x" * 9000))])
    assert not isinstance(refused.value, JournalBroken)
    assert journal.stalled == "the journal's disk is full"
    journal._store.writer._db.execute("PRAGMA max_page_count=100000")
    assert (await journal.append([event()])).last_seq == 1
    assert journal.stalled is None
    assert await journal.unconfirmed() == Position(journal.epoch, 0)
    await journal.aclose()
