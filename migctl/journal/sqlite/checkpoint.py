"""The checkpoint thread: moves the write-ahead log into the database file, so that neither writer nor log grows a tail.

It holds the database for moments only, and never makes a producer wait for a reader.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from migctl.journal.sqlite.rows import connect
from migctl.telemetry import get_logger

EVERY_S = 1.0
PASSIVE_BYTES = 4 << 20
TRUNCATE_BYTES = 64 << 20


class Checkpointer(threading.Thread):
    """Looks at the log every second, until `close`."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="journal-checkpoint", daemon=True)
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._closing = threading.Event()

    def run(self) -> None:
        database = connect(str(self._path))
        # A reader that holds the log open must not stall us: truncating is tried again a second later.
        database.execute("PRAGMA busy_timeout=50")
        try:
            while not self._closing.wait(EVERY_S):
                self._once(database)
        finally:
            database.close()

    def _once(self, database: sqlite3.Connection) -> None:
        size = self._log.stat().st_size if self._log.exists() else 0
        if size < PASSIVE_BYTES:
            return
        try:
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")
            if size > TRUNCATE_BYTES:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            # The log still holds everything: a checkpoint that fails costs space, not events.
            get_logger("journal").warning("checkpoint failed", error=str(error), log_bytes=size)

    def close(self) -> None:
        self._closing.set()
