"""The checkpoint thread: moves the write-ahead log into the database file, so that neither writer nor log grows a tail.

It holds the database for moments only, and never makes a producer wait for a reader.
"""

from __future__ import annotations

import sqlite3
import threading

from migctl.journal.sqlite.faults import broken_disk, fault_here
from migctl.journal.sqlite.layout import Layout, connect
from migctl.journal.sqlite.parts import Failure, Part
from migctl.telemetry import get_logger

EVERY_S = 1.0
PASSIVE_BYTES = 4 << 20
TRUNCATE_BYTES = 64 << 20
# A reader that holds the log open must not stall us: truncating is tried again a second later.
LOCK_WAIT_S = 0.05

_log = get_logger("journal")


class Checkpointer(Part):
    """Measures the log every second, until `close`, and shortens it."""

    def __init__(self, layout: Layout, failure: Failure, *, every_s: float = EVERY_S) -> None:
        super().__init__("checkpoint", failure)
        self._layout = layout
        self._every_s = every_s
        self._database: sqlite3.Connection | None = None
        self._closing = threading.Event()
        self._failing = False

    def work(self) -> None:
        try:
            while not self._closing.wait(self._every_s):
                self._try()
        finally:
            if self._database is not None:
                self._database.close()

    def _try(self) -> None:
        size = self._layout.log.stat().st_size if self._layout.log.exists() else 0
        if size < PASSIVE_BYTES:
            return
        try:
            self._checkpoint(truncating=size > TRUNCATE_BYTES)
        except sqlite3.Error as error:
            fault = fault_here(error, self._layout)
            if fault == "disk":
                raise broken_disk(error) from error
            if fault == "bug":
                raise
            # The log still holds everything: a checkpoint that comes later costs space, not events.
            if not self._failing:
                _log.warning("checkpoint waits", reason=fault, error=str(error), log_bytes=size)
            self._failing = True
        else:
            self._failing = False

    def _checkpoint(self, *, truncating: bool) -> None:
        if self._database is None:
            self._database = connect(self._layout.database, lock_wait_s=LOCK_WAIT_S)
        self._database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if truncating:
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._closing.set()
