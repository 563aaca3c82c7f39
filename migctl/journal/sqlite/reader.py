"""Short reads beside the writer, one after another, on a connection of their own that can't write."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from migctl.journal.errors import JournalUnavailable
from migctl.journal.sqlite.faults import broken_disk, fault_of, stalled
from migctl.journal.sqlite.layout import Layout, connect
from migctl.journal.sqlite.parts import Failure
from migctl.telemetry import get_logger

T = TypeVar("T")

# Between two tries of a read that others' locks held up; each of them waits by itself too.
AGAIN_S = 0.1

_log = get_logger("journal")


class Reader:
    """Of one open journal, until `aclose`."""

    def __init__(self, layout: Layout, failure: Failure, *, lock_wait_s: float) -> None:
        self._layout = layout
        self._failure = failure
        self._lock_wait_s = lock_wait_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal-reader")
        self._database: sqlite3.Connection | None = None
        self._closed = False
        self._failing = False

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` finds. Waits while another process locks the journal.

        Raises JournalBroken where the disk can't be read, JournalUnavailable once it is closed.
        """
        while True:
            if self._closed:
                raise JournalUnavailable("the journal is closed", do="read again once it is open")
            try:
                found = await asyncio.get_running_loop().run_in_executor(self._thread, self._in_thread, work)
            except sqlite3.Error as error:
                self._judge(error)
            else:
                self._failing = False
                return found
            await asyncio.sleep(AGAIN_S)

    def _judge(self, error: sqlite3.Error) -> None:
        """Return where it may go through a moment later."""
        fault = fault_of(error)
        if fault == "bug":
            raise error
        if fault == "disk":
            broken = broken_disk(error)
            self._failure.fail(broken)
            raise broken from error
        if not self._failing:
            _log.warning("journal can't be read for now", reason=stalled(fault, self._layout).what)
        self._failing = True

    def _in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._database is None:
            self._database = connect(self._layout.database, read_only=True, lock_wait_s=self._lock_wait_s)
        return work(self._database)

    async def aclose(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)
        if self._database is not None:
            self._database.close()
