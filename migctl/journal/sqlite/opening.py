"""Opening a journal file: its tables, its identity, and what it means when it is older than its own high-water mark.

A journal that is behind its mark was put back from a copy. The seqs between were given to other events once, so they are never
given again: the epoch is rotated, and the new one says what was lost.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from migctl.clock import mono, now
from migctl.errors import MigctlError, Refused, Usage
from migctl.events import format_time
from migctl.events.ids import uuid7
from migctl.events.times import from_micros, micros_of
from migctl.journal.model import EpochInfo, Lost, Mark
from migctl.journal.sqlite import highwater
from migctl.journal.sqlite.faults import fault_of, stalled
from migctl.journal.sqlite.layout import Layout, connect
from migctl.journal.sqlite.rows import FORMAT, SEQ_BITS, TABLES, has_column

ADOPT = "migctl journal adopt --reason '...'"
# While it is locked, the file is tried this often, and after this time it is said what is waited for.
_AGAIN_S = 0.05
_NOTIFY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A journal's connection for writing, and who it is. rotated: why its epoch was rotated while it was opened."""

    database: sqlite3.Connection
    writer_id: str
    epochs: list[EpochInfo]
    rotated: str | None


def check_place(layout: Layout, *, adopting: bool) -> Mark | None:
    """The mark that stands here. adopting: one of another writer is the caller's to deal with.

    Raises Refused where the journal that it speaks of is gone.
    """
    path, mark = layout.database, highwater.read(layout.database)
    if mark is not None and not adopting and not (path.is_file() and path.stat().st_size):
        raise Refused(
            f"{path}: the journal is gone; its high-water mark is still here: {_words(mark)}",
            do=f"put back the newest copy of it: migctl journal restore FILE; if there is none: {ADOPT}",
        )
    return mark


async def open_database(
    layout: Layout,
    mark: Mark | None,
    *,
    adopting: bool,
    lock_wait_s: float,
    open_wait_s: float,
    notify: Callable[[str], None],
) -> Opened:
    """Open or create the file; the caller holds the writer's lock.

    lock_wait_s: how long a write waits for another process that locks the file, later. open_wait_s: the same, now.
    Raises Usage where it is no journal, or a broken one; Refused where it is not the one that stood here; JournalStalled where it
    is locked for longer.
    """
    began, notified = mono(), False
    while True:
        try:
            return _open_now(layout.database, mark, adopting, lock_wait_s)
        except sqlite3.Error as error:
            if fault_of(error) != "locked":
                raise unreadable(layout.database, error) from None
        waited = mono() - began
        if waited >= open_wait_s:
            raise stalled("locked", layout)
        if waited >= _NOTIFY_AFTER_S and not notified:
            notified = True
            notify(f"{stalled('locked', layout).what}; waiting for it, up to {open_wait_s:g} s")
        await asyncio.sleep(_AGAIN_S)


def _open_now(path: Path, mark: Mark | None, adopting: bool, lock_wait_s: float) -> Opened:
    """One try, which waits for nobody; one that fails may be repeated."""
    database = connect(path, lock_wait_s=0.0)
    try:
        opened = _opened(database, path, mark, adopting)
        database.execute(f"PRAGMA busy_timeout={int(lock_wait_s * 1000)}")
    except BaseException:
        database.close()
        raise
    return opened


def _opened(database: sqlite3.Connection, path: Path, mark: Mark | None, adopting: bool) -> Opened:
    _prepare(database, path)
    writer_id = meta(database, "writer_id")
    _check_whole(database, path)
    if not adopting:
        check_mark(mark, writer_id, path)
    rotated = None
    if mark is not None and mark.writer_id == writer_id:
        rotated = _rotate_if_behind(database, mark)
    return Opened(database, writer_id, read_epochs(database), rotated)


def check_mark(mark: Mark | None, writer_id: str, path: Path) -> None:
    """Raises Refused where the mark that stands here is of another journal than the one of this writer."""
    if mark is not None and mark.writer_id != writer_id:
        raise Refused(
            f"{path}: this journal's writer is {writer_id}, and its high-water mark is another's: {_words(mark)}",
            do=f"put back that journal; if it is gone for good: {ADOPT}",
        )


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        for statement in TABLES.split(";"):
            if statement.strip():
                database.execute(statement)
        row = database.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
        if row is None:
            database.execute(
                "INSERT INTO meta VALUES ('format', ?), ('writer_id', ?)", (str(FORMAT), uuid7())
            )
            database.execute(
                "INSERT INTO epochs (epoch, started_at) VALUES (?, ?)", (uuid7(), micros_of(now()))
            )
        elif int(row[0]) != FORMAT:
            raise Usage(
                f"{path}: a journal of format {row[0]}, and this migctl reads format {FORMAT}",
                do="use the migctl that wrote it, or name another journal",
            )
        else:
            _add_columns(database)
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
    if row is None:
        # Who writes is kept in the file itself: a log that is torn at its beginning must not make it a stranger's.
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _add_columns(database: sqlite3.Connection) -> None:
    """What the tables of an earlier migctl lack."""
    if not has_column(database, "epochs", "reason"):
        database.execute("ALTER TABLE epochs ADD COLUMN reason TEXT")
    if not has_column(database, "offsets", "about"):
        database.execute("ALTER TABLE offsets ADD COLUMN about TEXT NOT NULL DEFAULT ''")
    if not has_column(database, "dead_letters", "outcome"):
        for column in ("outcome TEXT", "settled_at INTEGER", "new_id TEXT"):
            database.execute(f"ALTER TABLE dead_letters ADD COLUMN {column}")
    if not has_column(database, "dead_letters", "why"):
        for column in ("settled_by TEXT", "why TEXT"):
            database.execute(f"ALTER TABLE dead_letters ADD COLUMN {column}")


def _check_whole(database: sqlite3.Connection, path: Path) -> None:
    """The last event must be where the counter says: a copy beside another's write-ahead log shows here, before a write."""
    ordinal, head, tail = database.execute(
        "SELECT ord, head, tail FROM epochs ORDER BY ord DESC LIMIT 1"
    ).fetchone()
    last = database.execute("SELECT max(pos) FROM events").fetchone()[0]
    there = 0 if last is None or last >> SEQ_BITS != ordinal else last - (ordinal << SEQ_BITS)
    if there != head and not (there == 0 and tail == head + 1):
        raise Usage(
            f"{path}: the journal counts {head} events in its open epoch, and the last one there is {there}",
            do="put back a copy made by `migctl journal backup`, without the -wal and -shm files of another; "
            "`migctl journal verify` says what is wrong",
        )


def _rotate_if_behind(database: sqlite3.Connection, mark: Mark) -> str | None:
    """Rotate the epoch where the mark knows of more than the journal. Returns what to say of it.

    What the mark knows of and the journal does not, stands in it as epochs without an event: so each loss is said, and readers
    find the way from one to the next.
    """
    epochs = read_epochs(database)
    opened = epochs[-1]
    marked = {**dict(mark.before), mark.epoch: mark.head}
    known = {info.epoch for info in epochs}
    if mark.epoch in known and marked.get(opened.epoch, 0) <= opened.head:
        return None  # the mark may also be from just before a rotation that the journal remembers
    reason = f"the journal is behind its high-water mark ({_words(mark)}): an older copy of it was put back"
    prev, head = opened.epoch, opened.head
    database.execute("BEGIN IMMEDIATE")
    for info, after in pairwise(epochs):
        if (lost := _above(max(info.head, after.lost_to or 0), marked.get(info.epoch, 0))) is not None:
            database.execute(
                "UPDATE epochs SET lost_from = ?, lost_to = ? WHERE epoch = ? AND prev_epoch = ?",
                (after.lost_from or lost[0], lost[1], after.epoch, info.epoch),
            )
    for epoch in [epoch for epoch in marked if epoch not in known]:
        info = insert_epoch(database, prev, _above(head, marked.get(prev, 0)), reason, epoch=epoch)
        prev, head = epoch, 0
    info = insert_epoch(database, prev, _above(head, marked.get(prev, 0)), reason)
    database.execute("COMMIT")
    return words_of_rotation(info)


def renew(path: Path, mark: Mark | None, reason: str) -> EpochInfo:
    """Begin the next epoch in a copy that nobody writes to: the one that it goes on in.

    Whatever its journal went on to write after the copy was made has the next seqs, so none of them is given again. mark: what is
    known of that. Raises Usage where it is no journal, Refused where the mark is another's.
    """
    try:
        database = connect(path, lock_wait_s=0.0)
        try:
            opened = _opened(database, path, mark, adopting=False)
            if opened.rotated is None:
                database.execute("BEGIN IMMEDIATE")
                insert_epoch(database, opened.epochs[-1].epoch, None, reason)
                database.execute("COMMIT")
            database.execute("PRAGMA journal_mode=DELETE")  # one file, until it is opened for writing
            return read_epochs(database)[-1]
        finally:
            database.close()
    except sqlite3.Error as error:
        raise unreadable(path, error) from None


def _above(head: int, known: int) -> Lost | None:
    return (head + 1, known) if known > head else None


def insert_epoch(
    database: sqlite3.Connection,
    prev_epoch: str | None,
    lost: Lost | None,
    reason: str | None,
    *,
    epoch: str | None = None,
) -> EpochInfo:
    """Add the next epoch, in the caller's transaction. epoch: its name, where it has one."""
    lost_from, lost_to = lost or (None, None)
    started = now()
    info = EpochInfo(epoch or uuid7(), prev_epoch, lost_from, lost_to, started, reason=reason)
    database.execute(
        "INSERT INTO epochs (epoch, prev_epoch, lost_from, lost_to, started_at, reason) VALUES (?, ?, ?, ?, ?, ?)",
        (info.epoch, prev_epoch, lost_from, lost_to, micros_of(started), reason),
    )
    return info


def link_epoch(
    database: sqlite3.Connection, epoch: str, prev_epoch: str | None, lost: Lost | None, reason: str | None
) -> list[EpochInfo]:
    """Say what an epoch follows, in the caller's transaction; all epochs then. Raises ValueError for one that is not there."""
    linked = database.execute(
        "UPDATE epochs SET prev_epoch = ?, lost_from = ?, lost_to = ?, reason = coalesce(?, reason) WHERE epoch = ?",
        (prev_epoch, *(lost or (None, None)), reason, epoch),
    )
    if not linked.rowcount:
        raise ValueError(f"the journal has no epoch {epoch}")
    return read_epochs(database)


def words_of_rotation(info: EpochInfo) -> str:
    """What the operator is told."""
    lost = "nothing is known to be lost"
    if info.lost is not None:
        lost = f"lost, unless the table has them: seq {info.lost[0]} to {info.lost[1]} of epoch {info.prev_epoch}"
    return f"the journal rotated its epoch, and goes on in {info.epoch}: {info.reason}; {lost}"


def read_epochs(database: sqlite3.Connection) -> list[EpochInfo]:
    """All epochs, oldest first."""
    reason = "reason" if has_column(database, "epochs", "reason") else "NULL"
    rows = database.execute(
        f"SELECT epoch, prev_epoch, lost_from, lost_to, started_at, head, tail, {reason} FROM epochs ORDER BY ord"  # noqa: S608
    )
    return [
        EpochInfo(row[0], row[1], row[2], row[3], from_micros(row[4]), row[5], row[6], row[7]) for row in rows
    ]


def meta(database: sqlite3.Connection, key: str) -> str:
    return str(database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])


def unreadable(path: Path, error: sqlite3.Error) -> MigctlError:
    return Usage(
        f"{path}: not a journal that can be opened: {error}",
        do="name a journal file, or a path where a new one can be made",
    )


def _words(mark: Mark) -> str:
    return f"writer {mark.writer_id}, epoch {mark.epoch}, last seq {mark.head}, at {format_time(mark.at)}"
