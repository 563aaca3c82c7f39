"""What the SQLite journal asks and moves beside its events: entries of a range, cursors, bookmarks, notes."""

from __future__ import annotations

import sqlite3

from migctl.events import Entry, Position
from migctl.journal.model import Bookmark
from migctl.journal.sqlite.rows import COLUMNS, Row, id_bytes, to_entry


def between(
    database: sqlite3.Connection, epoch: str, after_pos: int, to_pos: int, limit: int, max_bytes: int
) -> list[Entry]:
    """Entries of one epoch with after_pos < pos <= to_pos, bounded; at least one where there is one."""
    found: list[Entry] = []
    size = 0
    rows = database.execute(
        f"SELECT {COLUMNS} FROM events WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?",  # noqa: S608 - a constant
        (after_pos, to_pos, limit),
    )
    for row in rows:
        size += len(row[5])
        if found and size > max_bytes:
            break
        found.append(to_entry(row, epoch))
    return found


def newest(database: sqlite3.Connection, event_id: str) -> Row | None:
    """The row with this id."""
    row: Row | None = database.execute(
        f"SELECT {COLUMNS} FROM events WHERE id = ?",  # noqa: S608 - a constant
        (id_bytes(event_id),),
    ).fetchone()
    return row


def bookmark(database: sqlite3.Connection, source: str) -> Bookmark | None:
    """How far a file was read."""
    row = database.execute("SELECT source, offset, about FROM offsets WHERE source = ?", (source,)).fetchone()
    return None if row is None else Bookmark(*row)


def cursor(database: sqlite3.Connection, name: str) -> Position | None:
    """Where a cursor stands."""
    row = database.execute("SELECT epoch, seq FROM cursors WHERE name = ?", (name,)).fetchone()
    return None if row is None else Position(*row)


def move_cursor(database: sqlite3.Connection, name: str, position: Position) -> None:
    """In the caller's transaction. Raises ValueError for a move backwards within an epoch."""
    stands = cursor(database, name)
    if stands is not None and stands.epoch == position.epoch and stands.seq > position.seq:
        raise ValueError(f"cursor {name} stands at {stands.seq}, and {position.seq} is before that")
    set_cursor(database, name, position)


def set_cursor(database: sqlite3.Connection, name: str, position: Position) -> None:
    """In the caller's transaction."""
    database.execute(
        "INSERT INTO cursors (name, epoch, seq) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq",
        (name, position.epoch, position.seq),
    )


def note(database: sqlite3.Connection, key: str) -> str | None:
    """The text under this key."""
    row = database.execute("SELECT value FROM meta WHERE key = ?", (_note_key(key),)).fetchone()
    return None if row is None else str(row[0])


def set_note(database: sqlite3.Connection, key: str, text: str) -> None:
    """In the caller's transaction."""
    database.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_note_key(key), text),
    )


# Since which position the journal has taken events without having asked the table. It is written with the first of them, and so a
# copy that was put back can tell which seqs it may have given a second time. The key is spelled as journals on disk have it.
_UNCONFIRMED = "taken_alone_since"


def unconfirmed(database: sqlite3.Connection) -> Position | None:
    """None where a table agreed to all there is, or nothing was taken since the journal was opened."""
    row = database.execute("SELECT value FROM meta WHERE key = ?", (_UNCONFIRMED,)).fetchone()
    if row is None:
        return None
    epoch, _, seq = str(row[0]).rpartition(" ")
    return Position(epoch, int(seq))


def set_unconfirmed(database: sqlite3.Connection, position: Position) -> None:
    """In the caller's transaction. What a life before this one has written stays."""
    database.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
        (_UNCONFIRMED, f"{position.epoch} {position.seq}"),
    )


def confirm(database: sqlite3.Connection) -> None:
    """In the caller's transaction."""
    database.execute("DELETE FROM meta WHERE key = ?", (_UNCONFIRMED,))


def _note_key(key: str) -> str:
    return f"note:{key}"  # beside the journal's identity, which no note may overwrite
