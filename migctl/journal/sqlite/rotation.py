"""Rotation: ends the open epoch and begins the next one, in the transaction of the caller."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from migctl.journal.errors import EpochMoved
from migctl.journal.model import Lost
from migctl.journal.sqlite.opening import insert_epoch, read_epochs
from migctl.journal.sqlite.rows import SEQ_BITS
from migctl.journal.sqlite.writer import Rotated


def rotate(
    database: sqlite3.Connection,
    ended: str,
    prev_epoch: str,
    *,
    lost: Lost | None,
    reason: str,
    keep_to: Mapping[str, int] | None,
) -> Rotated:
    """Begin the next epoch. What others have above their `keep_to` goes to the new one, from seq 1 on, in order.

    Raises EpochMoved where `ended` is not the open one.
    """
    before = read_epochs(database)
    if before[-1].epoch != ended:
        raise EpochMoved(ended, before[-1].epoch)
    insert_epoch(database, prev_epoch, lost, reason)
    base = (len(before) + 1) << SEQ_BITS
    moved = 0
    for ordinal, info in enumerate(before, 1):
        kept = max(info.tail - 1, min(info.head, (keep_to or {}).get(info.epoch, info.head)))
        if kept == info.head:
            continue
        above = (ordinal << SEQ_BITS) + kept
        database.execute(
            "UPDATE events SET pos = pos + ? WHERE pos > ? AND pos < ?",
            (base + moved - above, above, (ordinal + 1) << SEQ_BITS),
        )
        database.execute("UPDATE epochs SET head = ? WHERE ord = ?", (kept, ordinal))
        moved += info.head - kept
    if moved:
        database.execute("UPDATE epochs SET head = ? WHERE ord = ?", (moved, len(before) + 1))
    return Rotated(read_epochs(database))


__all__ = ["rotate"]
