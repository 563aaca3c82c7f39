"""What an error of SQLite means for a journal, by SQLite's own code; and who it is that holds a lock.

Four kinds, and only one of them is the disk's: taking a lock of somebody else, or a bug of ours, for a failed fsync would end
`serve` for nothing; taking a failed fsync for either would acknowledge what is not there.
"""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from pathlib import Path
from typing import Literal

from migctl.journal.errors import JournalBroken, JournalStalled
from migctl.journal.sqlite.layout import Layout

# locked: wait, it passes. full: it passes once there is room. disk: final, as what is in memory may not be on disk. bug: ours.
Fault = Literal["locked", "full", "disk", "bug"]

# Primary result codes, the low byte of SQLite's code: https://www.sqlite.org/rescode.html
_PERM, _BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _PROTOCOL, _NOTADB = (
    3, 5, 6, 8, 10, 11, 13, 14, 15, 26,
)  # fmt: skip
# The log's index, a file that is never fsynced, could not grow: a full disk too, and nothing was written.
_IOERR_SHMSIZE = _IOERR | (19 << 8)
# A write that was not done: of a quota or a limit of file sizes too, which SQLite does not tell from a disk that fails.
_IOERR_WRITE = _IOERR | (3 << 8)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# More than one commit writes.
_PROBED_BYTES = 32 << 20
_KINDS: dict[int, Fault] = {
    _BUSY: "locked",
    _LOCKED: "locked",
    _PROTOCOL: "locked",  # the race for the log's locks was lost again and again
    _FULL: "full",
    _PERM: "disk",
    _READONLY: "disk",
    _IOERR: "disk",
    _CORRUPT: "disk",
    _CANTOPEN: "disk",
    _NOTADB: "disk",
}


def code_of(error: BaseException) -> int:
    """SQLite's result code with its detail; 0 where the error does not come from SQLite itself."""
    return int(getattr(error, "sqlite_errorcode", None) or 0)


def fault_of(error: BaseException) -> Fault:
    """What to do about it. Pure. An error without a code, or with one that is not known to be another's fault, is a bug."""
    code = code_of(error)
    if code == _IOERR_SHMSIZE:
        return "full"
    return _KINDS.get(code & 0xFF, "bug")


def fault_here(error: BaseException, layout: Layout) -> Fault:
    """As `fault_of`; a write that was refused where nobody may write more is one of a full disk. That is tried here."""
    if code_of(error) == _IOERR_WRITE and _has_no_room(layout):
        return "full"
    return fault_of(error)


def has_room(layout: Layout, size: int) -> bool:
    """Whether so many bytes more may be written now, as far as can be tried without writing them."""
    return not _lacks(layout, grown=size, taken=size)


def _has_no_room(layout: Layout) -> bool:
    return _lacks(layout, grown=_PROBED_BYTES, taken=1 << 20)


def _lacks(layout: Layout, *, grown: int, taken: int) -> bool:
    """grown: what the larger of the files is to grow by, for a limit of file sizes. taken: of the disk, tried. In bytes."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(layout.size_bytes() - layout.log_bytes(), layout.log_bytes())
    if limit != resource.RLIM_INFINITY and largest + grown > limit:
        return True
    try:
        with tempfile.TemporaryFile(dir=layout.database.parent, buffering=0) as probe:
            os.posix_fallocate(probe.fileno(), 0, taken)
    except OSError as error:
        return error.errno in _NO_ROOM
    return False


def stalled(fault: Fault, layout: Layout) -> JournalStalled:
    """What a producer is answered, and the operator reads, while it lasts. fault: locked or full."""
    if fault == "full":
        return JournalStalled(
            "the journal's disk is full",
            do="free disk space, or lift the quota or the limit of file sizes (ulimit -f); nothing that was acknowledged is lost",
        )
    return JournalStalled(
        f"the journal is locked: {who_locks(layout)} holds {layout.database}",
        do="wait until that is done, or end it; events are taken again at once then, and nothing is lost",
    )


def broken_disk(error: Exception) -> JournalBroken:
    """After a failed fsync the kernel may have thrown the pages away: trying again would acknowledge what is not there."""
    return JournalBroken(
        f"the journal's disk failed: {error}",
        do="look at the disk, then start again; what was not acknowledged is sent again by its producer",
    )


def who_locks(layout: Layout) -> str:
    """Which process holds SQLite's locks on these files, as the system says; "another process" where it does not."""
    inodes = _inodes(layout.database, layout.index)
    found: list[tuple[bool, int]] = []
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        lines = []
    for line in (
        lines
    ):  # `3: POSIX  ADVISORY  WRITE 4711 fd:01:2098177 120 120`; with an arrow, one that waits for it
        words = line.split()
        if len(words) < 8 or words[1] == "->" or words[5].rpartition(":")[2] not in inodes:
            continue
        if words[1] == "POSIX" and words[4].isdecimal() and int(words[4]) > 0:
            found.append((words[3] == "WRITE", int(words[4])))
    others = [each for each in found if each[1] != os.getpid()]
    if not others:
        return "the journal's own checkpoint" if any(write for write, _ in found) else "another process"
    return f"process {(pid := max(others)[1])}{_name_of(pid)}"


def _inodes(*paths: Path) -> set[str]:
    found = set()
    for path in paths:
        try:
            found.add(str(path.stat().st_ino))
        except OSError:
            continue
    return found


def _name_of(pid: int) -> str:
    try:
        return f" ({Path(f'/proc/{pid}/comm').read_text().strip()})"
    except OSError:
        return ""
