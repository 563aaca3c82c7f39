"""Reading a journal file beside its writer: short reads on a connection that can't write."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from migctl.errors import Usage
from migctl.events import Entry
from migctl.journal.sqlite.faults import fault_of, stalled
from migctl.journal.sqlite.layout import Layout, connect
from migctl.journal.sqlite.opening import unreadable
from migctl.journal.sqlite.rows import COLUMNS, SEQ_BITS, to_entry

PAGE = 5000
# How long a command that only reads waits for a process that locks the journal.
LOCK_WAIT_S = 10.0


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection.

    Raises Usage where the file is not there or no journal, JournalStalled where another process locks it for long.
    """
    if not path.is_file():
        raise Usage(f"{path}: no such file", do="name a journal file")
    try:
        database = connect(path, read_only=True, lock_wait_s=LOCK_WAIT_S)
        try:
            yield database
        finally:
            database.close()
    except sqlite3.Error as error:
        if fault_of(error) == "locked":
            raise stalled("locked", Layout.of(path)) from None
        raise unreadable(path, error) from None


def read_file(path: Path) -> Iterator[Entry]:
    """All entries of a journal file, oldest first, also while it is being written. Raises Usage where it is no journal."""
    with opened(path) as database:
        yield from entries(database, 0, (1 << 63) - 1)


def entries(database: sqlite3.Connection, after_pos: int, to_pos: int) -> Iterator[Entry]:
    """Entries with after_pos < pos <= to_pos, oldest first."""
    epochs = dict(database.execute("SELECT ord, epoch FROM epochs").fetchall())
    while True:
        # Short reads: one long one would keep the log of a live journal from being cut.
        rows = database.execute(
            f"SELECT {COLUMNS} FROM events WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT {PAGE}",  # noqa: S608 - constants
            (after_pos, to_pos),
        ).fetchall()
        if not rows:
            return
        if rows[-1][0] >> SEQ_BITS not in epochs:  # opened since
            epochs = dict(database.execute("SELECT ord, epoch FROM epochs").fetchall())
        for row in rows:
            yield to_entry(row, epochs[row[0] >> SEQ_BITS])
        after_pos = rows[-1][0]
