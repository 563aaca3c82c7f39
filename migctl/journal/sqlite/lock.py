"""One writer a journal: a lock that the kernel gives back when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from migctl.clock import now
from migctl.errors import Refused, Usage
from migctl.events import format_time


class SecondWriter(Refused):
    """Another process, or another part of this one, has the journal open for writing."""


class WriterLock:
    """Held from construction to `release`. The file beside the journal says who holds it."""

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_name(journal.name + ".lock")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Usage(
                f"{self._path}: {error.strerror}", do="name a folder that can be written to"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder()
            os.close(self._file)
            raise SecondWriter(
                f"{journal}: {holder} writes to this journal; a second writer would break its order",
                do="stop that process first, or name another journal: MIGCTL_JOURNAL=PATH",
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps({"pid": os.getpid(), "since": format_time(now())}).encode(), 0)

    def _holder(self) -> str:
        try:
            said = json.loads(os.pread(self._file, 4096, 0))
            return f"process {said['pid']} (since {said['since']})"
        except (ValueError, KeyError, TypeError):
            return "another process"

    def release(self) -> None:
        """Let the next writer in. The file stays: removing it would let two writers lock two files of one name."""
        os.ftruncate(self._file, 0)
        os.close(self._file)


def holder(journal: Path) -> dict[str, Any] | None:
    """Which process has the journal open for writing, for those who only look: {"pid", "since"}; None where none has."""
    try:
        said = json.loads(journal.with_name(journal.name + ".lock").read_text())
        pid, since = int(said["pid"]), str(said["since"])
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if not isinstance(error, PermissionError):
            return None  # no lock, an empty one, or the writer was killed
    return {"pid": pid, "since": since}
