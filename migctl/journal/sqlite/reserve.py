"""Reserve: room on the journal's disk that is kept while there is plenty, and given up where a start finds none.

SQLite makes its log and the log's index when a journal is opened, the state folder gets a file or two; on a disk with no byte left
none of that is possible, and what the journal holds could be delivered to nobody. New events are no use for it: they are refused
long before (`journal.min_free_bytes`).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from migctl.config.files import open_own
from migctl.telemetry import get_logger

_log = get_logger("journal")

# SQLite's log, its index and the state folder's files take a third of it; the rest is for the positions that the log then notes.
SIZE = 512 << 10
# Where less than so many times of it is left, it would be the last that others need.
PLENTY = 16


class Reserve:
    """Of one journal, whose lock is held. `full` says why no events are to be taken since it was given up, or is None."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.full: str | None = None

    def give_up(self) -> None:
        """Empty it where the disk has no more room than it holds. It stays as a sign of that, for the next start too."""
        try:
            before, free = self._path.lstat().st_size, _free(self._path.parent)
            if free >= (SIZE if before else PLENTY * SIZE):
                return
            if before:
                os.close(open_own(self._path, os.O_WRONLY | os.O_TRUNC))
        except OSError:
            return
        self.full = "the journal's disk was full at a start, and has not enough room yet"
        _log.warning(
            "the journal's disk is full: what was kept for this is given up",
            file=str(self._path),
            bytes=before,
            do=f"free disk space: events are taken again with {PLENTY * SIZE >> 20} MiB",
        )

    def keep(self) -> None:
        """Have it, where there is plenty of room. What stands in the way is no reason not to go on without."""
        with contextlib.suppress(OSError):
            if self.full is None and self._path.exists() and self._path.stat().st_size == SIZE:
                return
            if _free(self._path.parent) < PLENTY * SIZE:
                return
            self.full = None
            file = open_own(self._path, os.O_WRONLY | os.O_CREAT)
            try:
                os.posix_fallocate(file, 0, SIZE)
            except OSError:
                self._path.unlink(missing_ok=True)
            finally:
                os.close(file)


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
