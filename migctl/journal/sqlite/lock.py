"""One writer a journal: locks that the kernel gives back when their holder dies.

One is on a file beside the journal, which says who holds it and is there before the journal is. The other is on the journal itself,
whatever it is called: two names of one file (hard links) are one journal.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import struct
import threading
from pathlib import Path

from migctl.clock import now
from migctl.config.files import PRIVATE_FILE, open_own
from migctl.errors import Usage
from migctl.events import format_time
from migctl.events.jsontext import loads
from migctl.journal.documents import OpenIn
from migctl.journal.errors import SecondWriter
from migctl.journal.sqlite.layout import Layout

# A byte of the journal that SQLite never locks: its own are the 512 from 1 GiB on.
_BYTE = (1 << 30) + 4096

# Of who holds the lock.
_WORDS_BYTES = 120

# The journals that this process has open, as (device, inode). Whoever closes a second handle of one takes SQLite's own locks on it
# from this process (POSIX), so none may be made.
_open_here: set[tuple[int, int]] = set()
_guard = threading.Lock()


class WriterLock:
    """Held from construction to `release`. The file beside the journal says who holds it."""

    def __init__(self, layout: Layout) -> None:
        """Raises SecondWriter, and Usage where no lock can be made."""
        self._layout = layout
        self._database: int | None = None
        self._inode: tuple[int, int] | None = None
        try:
            self._file = open_own(layout.lock, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise Usage(
                f"{layout.lock}: {error.strerror}", do="name a folder that can be written to"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held_by = _words(self._file)
            os.close(self._file)
            raise _second(layout.database, held_by) from None
        words = json.dumps({"pid": os.getpid(), "since": format_time(now())}).encode()
        # In place, since a full disk has no room for what was let go of; the lock is the kernel's, and holds without words.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, words.ljust(_WORDS_BYTES), 0)

    def hold_file(self) -> int:
        """Make the journal's file where it is not there, and lock it under all of its names; how many it has.

        Once, before SQLite opens it. Raises SecondWriter, and Usage where the file can't be made.
        """
        path = self._layout.database
        with _guard:
            try:
                if path.exists() and _identity(path.stat()) in _open_here:
                    raise _second(path, "this process, under another name,")
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
            except OSError as error:
                raise Usage(
                    f"{path}: not a journal that can be opened: {error.strerror}",
                    do="name a journal file, or a path where a new one can be made",
                ) from None
            if not _lock_byte(handle):
                os.close(handle)
                raise _second(path, "another process, under another name,")
            status = os.fstat(handle)
            self._database, self._inode = handle, _identity(status)
            _open_here.add(self._inode)
        return status.st_nlink

    def release(self) -> None:
        """Let the next writer in, once SQLite has closed the file.

        The lock's own file stays: removing it would let two writers lock two files of one name.
        """
        if self._database is not None and self._inode is not None:
            os.close(self._database)
            with _guard:
                _open_here.discard(self._inode)
        with contextlib.suppress(OSError):
            os.pwrite(self._file, b" " * _WORDS_BYTES, 0)
        os.close(self._file)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return (status.st_dev, status.st_ino)


def _lock_byte(handle: int) -> bool:
    """False where another handle has it. A lock of the open file, not of the process: SQLite's closing of others leaves it."""
    command = getattr(fcntl, "F_OFD_SETLK", None)
    if command is None:
        return True  # a system without them: the lock on the name is all there is
    try:
        fcntl.fcntl(handle, command, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, _BYTE, 1, 0))
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)  # else a file system without them
    return True


def _second(journal: Path, held_by: str) -> SecondWriter:
    return SecondWriter(
        f"{journal}: {held_by} writes to this journal; a second writer would break its order",
        do="stop that process first, or name another journal: MIGCTL_JOURNAL=PATH",
    )


def _words(lock: int) -> str:
    found = _read(os.pread(lock, 4096, 0))
    return "another process" if found is None else f"process {found.pid} (since {found.since})"


def _read(text: bytes) -> OpenIn | None:
    with contextlib.suppress(ValueError, OverflowError, KeyError, TypeError):
        parsed = loads(text)
        return OpenIn(pid=int(parsed["pid"]), since=str(parsed["since"]))
    return None


def holder(layout: Layout) -> OpenIn | None:
    """Which process has the journal open for writing, for those who only look; None where none has."""
    try:
        with os.fdopen(open_own(layout.lock, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            found = _read(file.read(4096))
    except OSError:
        return None
    if found is None:
        return None
    try:
        os.kill(found.pid, 0)
    except ProcessLookupError:
        return None  # the writer was killed
    except PermissionError:
        pass
    return found
