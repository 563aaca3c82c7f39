"""Dead letters in a SQLite journal: how they lie there, and how they are read beside the process that writes it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from migctl.events import Entry, Position
from migctl.events.ids import canonical_id
from migctl.events.times import from_micros, micros_of
from migctl.journal.model import DeadLetter, Outcome
from migctl.journal.sqlite.files import opened
from migctl.journal.sqlite.queries import newest
from migctl.journal.sqlite.rows import has_column, to_entry


def add(database: sqlite3.Connection, letter: DeadLetter) -> bool:
    """In the caller's transaction. False where the position has one."""
    done = database.execute(
        "INSERT OR IGNORE INTO dead_letters (epoch, seq, event_id, code, reason, at) VALUES (?, ?, ?, ?, ?, ?)",
        (*letter.position, letter.event_id, letter.code, letter.reason, micros_of(letter.at)),
    )
    return done.rowcount == 1


def settle(
    database: sqlite3.Connection,
    position: Position,
    outcome: Outcome,
    at: datetime,
    new_id: str | None,
    by: str | None,
    why: str | None,
) -> None:
    """In the caller's transaction."""
    # A row under its own seq is the better end: a renewal before or after it does not hide it.
    database.execute(
        "UPDATE dead_letters SET new_id = coalesce(?, new_id), settled_by = coalesce(settled_by, ?), why = coalesce(why, ?), "
        "settled_at = CASE WHEN outcome = 'retried' THEN settled_at ELSE ? END, "
        "outcome = CASE WHEN outcome = 'retried' THEN outcome ELSE ? END WHERE epoch = ? AND seq = ?",
        (new_id, by, why, micros_of(at), outcome, *position),
    )


def newest_first(database: sqlite3.Connection, limit: int) -> list[DeadLetter]:
    """limit: -1 is all of them."""
    known = has_column(database, "dead_letters", "outcome")
    settled = "outcome, settled_at, new_id" if known else "NULL, NULL, NULL"
    settled += ", settled_by, why" if has_column(database, "dead_letters", "why") else ", NULL, NULL"
    rows = database.execute(
        f"SELECT epoch, seq, event_id, code, reason, at, {settled} FROM dead_letters "  # noqa: S608 - constants
        "ORDER BY at DESC, seq DESC LIMIT ?",
        (limit,),
    )
    return [
        DeadLetter(
            position=Position(row[0], row[1]),
            event_id=row[2],
            code=row[3],
            reason=row[4],
            at=from_micros(row[5]),
            outcome=row[6],
            settled_at=None if row[7] is None else from_micros(row[7]),
            new_id=row[8],
            settled_by=row[9],
            why=row[10],
        )
        for row in rows
    ]


def count(database: sqlite3.Connection) -> tuple[int, dict[str, int]]:
    """How many wait, and how many there ever were, by code."""
    waiting = database.execute("SELECT count(*) FROM dead_letters WHERE outcome IS NULL").fetchone()[0]
    by_code = database.execute("SELECT code, count(*) FROM dead_letters GROUP BY code ORDER BY code")
    return int(waiting), dict(by_code.fetchall())


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """event_type, source_id: of its event; None where retention has let that go. source_id also where its id is its producer's."""

    letter: DeadLetter
    event_type: str | None
    source_id: str | None

    def is_called(self, name: str) -> bool:
        """By its seq, its event's id, or that of the event's producer."""
        of = self.letter
        if name == str(of.position.seq) or name == self.source_id:
            return True
        try:
            return canonical_id(name)[0] == of.event_id
        except ValueError:
            return False


def read_dead_letters(path: Path) -> list[KeptLetter]:
    """All dead letters of a journal file, the newest first, also while it is written. Raises Usage where it is no journal."""
    with opened(path) as database:
        found = newest_first(database, -1)
        rows = [newest(database, letter.event_id) for letter in found]
    return [
        KeptLetter(letter, None if row is None else row[2], None if row is None else row[8])
        for letter, row in zip(found, rows, strict=True)
    ]


def read_entry(path: Path, letter: DeadLetter) -> Entry | None:
    """The event of a dead letter as it came; None where retention has let it go. Raises Usage where it is no journal."""
    with opened(path) as database:
        row = newest(database, letter.event_id)
        return None if row is None else to_entry(row, letter.position.epoch)
