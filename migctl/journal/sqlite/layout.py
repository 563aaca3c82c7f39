"""Where the files of a journal are, whose they are, and how SQLite is told of them.

They lie beside the file itself, under its own name: a symbolic link to a journal is that journal.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from migctl.config.files import PRIVATE_FILE


@dataclass(frozen=True, slots=True)
class Layout:
    """Of one journal: `Layout.of` follows symbolic links. database: the file that has its name."""

    database: Path

    @classmethod
    def of(cls, path: Path) -> Layout:
        return cls(path.resolve())

    @property
    def log(self) -> Path:
        """SQLite's write-ahead log: the newest events are only here."""
        return self._beside("-wal")

    @property
    def index(self) -> Path:
        """Of the log, in shared memory: SQLite's locks lie on it."""
        return self._beside("-shm")

    @property
    def lock(self) -> Path:
        return self._beside(".lock")

    @property
    def high_water(self) -> Path:
        return self._beside(".high-water")

    @property
    def reserve(self) -> Path:
        """Room for the rest of them on a full disk."""
        return self._beside(".reserve")

    def all(self) -> tuple[Path, ...]:
        return (self.database, self.log, self.index, self.lock, self.high_water, self.reserve)

    def size_bytes(self) -> int:
        """Of the file and its log. The log is not there before the first write."""
        return _size(self.database) + self.log_bytes()

    def log_bytes(self) -> int:
        return _size(self.log)

    def make_private(self) -> None:
        """Nobody but the owner may read or write what is there: events of an earlier migctl may have been open to others.

        Raises OSError.
        """
        for path in self.all():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if status.st_uid == os.geteuid() and status.st_mode & 0o077:
                path.chmod(PRIVATE_FILE)

    def _beside(self, suffix: str) -> Path:
        return self.database.with_name(self.database.name + suffix)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def connect(path: Path | str, *, read_only: bool = False, lock_wait_s: float = 5.0) -> sqlite3.Connection:
    """A connection with the journal's settings. Any thread may use it, one at a time.

    lock_wait_s: how long a statement waits for others' locks before it fails.
    """
    # As a URI, in which every character that means something there is escaped: a `%41` in a folder's name is no `A`.
    uri = f"{Path(path).absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=lock_wait_s
    )
    if read_only:
        return connection
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # FULL: a commit returns after the fsync of the log. This is the promise; nothing here may weaken it.
        connection.execute("PRAGMA synchronous=FULL")
        # The checkpoint thread does it: a writer that checkpoints makes one producer in a thousand wait for all.
        connection.execute("PRAGMA wal_autocheckpoint=0")
    except BaseException:
        connection.close()
        raise
    return connection
