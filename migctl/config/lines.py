"""Lines: files of ours that grow by a line of JSON each. A line is there whole or not at all, also after a kill or a full disk."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from migctl.config.files import open_own
from migctl.events.jsontext import loads

# The last line is looked for from the end; ours are much shorter.
_TAIL = 1 << 20


def append(path: Path, line: bytes) -> None:
    """Write a line at the end, for the owner alone; it outlives a power failure once this returns. Raises OSError.

    What a kill left half written is taken away first; a whole line that only lacks its end is kept.
    """
    file = open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file).st_size
        start = max(0, size - _TAIL)
        tail = os.pread(file, _TAIL, start)
        torn = tail[tail.rfind(b"\n") + 1 :]
        data = line + b"\n"
        if torn and _is_whole(torn):
            data = b"\n" + data
        elif torn:
            size -= len(torn)
            os.ftruncate(file, size)
        try:
            while data:
                data = data[os.write(file, data) :]
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
        if not size:
            _sync_folder(path)
    finally:
        os.close(file)


def whole_lines(content: bytes) -> list[bytes]:
    """The lines of such a file, without one at its end that a kill left half written."""
    lines = content.splitlines()
    if lines and not content.endswith(b"\n") and not _is_whole(lines[-1]):
        lines.pop()
    return lines


def _is_whole(line: bytes) -> bool:
    try:
        loads(line)
    except ValueError:
        return False
    return True


def _sync_folder(path: Path) -> None:
    folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
