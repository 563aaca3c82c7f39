"""Rotation: ends the open epoch and begins the next one, in the transaction of the caller."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from migctl.journal.opening import insert_epoch
from migctl.journal.protocol import Lost
from migctl.journal.rows import SEQ_BITS
from migctl.journal.writer import Turned


def begin_epoch(
    database: sqlite3.Connection, prev_epoch: str, *, lost: Lost | None, reason: str, keep_to: int | None
) -> Turned:
    """Begin the next epoch. What the open one has above `keep_to` goes to the new one, from seq 1 on."""
    ordinal, head, tail = database.execute(
        "SELECT ord, head, tail FROM epochs ORDER BY ord DESC LIMIT 1"
    ).fetchone()
    kept = head if keep_to is None else max(tail - 1, min(head, keep_to))
    info = insert_epoch(database, prev_epoch, lost, reason)
    moved = head - kept
    if moved:
        first = ((ordinal + 1) << SEQ_BITS) + 1
        above = (ordinal << SEQ_BITS) + kept
        database.execute("UPDATE events SET pos = pos + ? WHERE pos > ?", (first - above - 1, above))
        database.execute("UPDATE epochs SET head = ? WHERE ord = ?", (kept, ordinal))
        database.execute("UPDATE epochs SET head = ? WHERE ord = ?", (moved, ordinal + 1))
    return Turned(replace(info, head=moved), ordinal + 1, kept, moved)


__all__ = ["begin_epoch"]
