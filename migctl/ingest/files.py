"""Files as a source knows them again: by device, inode, and what was read of them; also once they were rotated away.

A path is no identity. Under it another file may stand tomorrow, and the same file other content.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from migctl.errors import Usage
from migctl.journal import Bookmark

_SAMPLE_BYTES = 4096
# What rotation appends to a name: .1, .2, -20261127, .2026-11-27T03.
_ROTATED = re.compile(r"[.-]\d[\dT:._-]*")
_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_WIDE = re.compile(rb'\A(?:[\[{"\s]\x00{1,3}){2}|\A(?:\x00{1,3}[\[{"\s]){2}')
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


class Known(msgspec.Struct, frozen=True):
    """What a bookmark says of its file. token: for the ids of its lines. fingerprint: of what was read, at the bookmark's offset.

    turn: which of the files under this path, one after another, it is.
    """

    device: int
    inode: int
    turn: int
    token: str
    fingerprint: str


class File:
    """An open regular file. offset: how far it was read, in bytes of what is in it. packing: None where it is plain."""

    def __init__(self, fd: int, path: Path, *, turn: int = 0) -> None:
        self.fd = fd
        self.path = path
        self.turn = turn
        self.offset = 0
        self.token = ""
        self.fingerprint = ""
        status = os.fstat(fd)
        self.device, self.inode = status.st_dev, status.st_ino
        start = os.pread(fd, 4, 0)
        self.packing = next((name for magic, name in PACKED.items() if start.startswith(magic)), None)

    @classmethod
    def open(cls, path: Path, *, turn: int = 0) -> File:
        """Raises OSError."""
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), path, turn=turn)

    def close(self) -> None:
        os.close(self.fd)

    @property
    def size(self) -> int:
        """As it lies on the disk, packed or not."""
        return os.fstat(self.fd).st_size

    def change(self) -> tuple[int, int]:
        """Differs once it was written to."""
        status = os.fstat(self.fd)
        return status.st_size, status.st_mtime_ns

    def is_at(self, path: Path) -> bool | None:
        """Whether it still is what stands there; None where nothing does."""
        try:
            return self._is(path.stat())
        except OSError:
            return None

    def _is(self, status: os.stat_result) -> bool:
        return (status.st_dev, status.st_ino) == (self.device, self.inode)

    def sample(self) -> str:
        """A fingerprint of what was read: its beginning, and its last bytes. Of a packed file it is that of the whole."""
        end = self.offset if self.packing is None else self.size
        start = os.pread(self.fd, min(_SAMPLE_BYTES, end), 0)
        last = os.pread(self.fd, min(_SAMPLE_BYTES, end), max(0, end - _SAMPLE_BYTES))
        return sha256(b"%d\0%b\0%b" % (end, start, last)).hexdigest()[:16]

    def has_changed(self) -> bool:
        """What was read is no longer what is there: cut, or written over."""
        if not self.fingerprint:
            return False
        return (self.packing is None and self.size < self.offset) or self.sample() != self.fingerprint

    def begin(self, first_line: bytes) -> None:
        """Its lines get ids of their own: of this file in this turn, and of no other."""
        words = f"{self.path}\0{self.device}:{self.inode}\0{self.turn}\0".encode()
        self.token = sha256(words + first_line[:_SAMPLE_BYTES]).hexdigest()[:24]

    def anew(self) -> None:
        """From its beginning, as another file."""
        self.turn += 1
        self.offset, self.token, self.fingerprint = 0, "", ""

    def bookmark(self, source: str, offset: int) -> Bookmark:
        """For the transaction that has everything before `offset`."""
        self.offset = offset
        self.fingerprint = self.sample()
        known = Known(self.device, self.inode, self.turn, self.token, self.fingerprint)
        return Bookmark(source, offset, msgspec.json.encode(known).decode())

    def go_on(self, bookmark: Bookmark, known: Known) -> None:
        self.offset, self.token, self.turn = bookmark.offset, known.token, known.turn
        self.fingerprint = known.fingerprint


class Lost(Exception):
    """The file that the bookmark is in is no longer there, or no longer what was read."""


def known_of(bookmark: Bookmark | None) -> Known | None:
    """Raises nothing: what can't be read is no bookmark of ours."""
    try:
        return None if bookmark is None else msgspec.json.decode(bookmark.about, type=Known)
    except msgspec.DecodeError:
        return None


def find(here: File, bookmark: Bookmark, known: Known) -> list[File]:
    """Files to read, in this order, the last of them `here`: what the bookmark is in, and what was rotated away since.

    Raises Lost where it is nowhere; `here` is then to be read anew.
    """
    if (here.device, here.inode) == (known.device, known.inode):
        here.go_on(bookmark, known)
        if here.has_changed():
            here.anew()
            raise Lost(f"it was cut or written over since {bookmark.offset} bytes of it were read")
        return [here]
    here.turn = known.turn + 1
    rotated = sorted(_rotated(here), key=lambda one: one[0].st_mtime_ns)
    for index, (status, path) in enumerate(rotated):
        if (status.st_dev, status.st_ino) != (known.device, known.inode):
            continue
        found = [File.open(path) for _, path in rotated[index:]]
        found[0].go_on(bookmark, known)
        if found[0].has_changed():
            for one in found:
                one.close()
            break
        found.append(here)
        for turn, one in enumerate(found):
            one.turn = known.turn + turn
        return found
    raise Lost(f"the file of which {bookmark.offset} bytes were read is gone; had it more, that was not read")


def _rotated(here: File) -> Iterator[tuple[os.stat_result, Path]]:
    """Plain files beside it that have its name and a number or a date."""
    name = here.path.name
    for entry in os.scandir(here.path.parent):
        if not entry.name.startswith(name) or not _ROTATED.fullmatch(entry.name[len(name) :]):
            continue
        try:
            status = entry.stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) != (here.device, here.inode):
            yield status, Path(entry.path)


def check(spec: str, *, follows: bool) -> None:
    """So that what can't be read is refused before anything is started. Raises Usage."""
    try:
        mode = Path(spec).stat().st_mode
        if stat.S_ISDIR(mode):
            raise Usage(f"--source {spec}: is a folder", do="name one file, or `cat` several into --source -")
        if not stat.S_ISREG(mode):  # a pipe is not opened before its time: its writer would see a reader go
            if follows:
                raise Usage(f"--follow: {spec} is no file", do="leave it out: a pipe is read until it ends")
            return
        with Path(spec).open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise unreadable(spec, error) from None
    if start.startswith(_BOMS) or _WIDE.match(start):
        raise Usage(
            f"--source {spec}: is UTF-16 or UTF-32, and events are read as UTF-8",
            do=f"iconv -f utf-16 -t utf-8 {spec} > {spec}.utf8, and name that",
        )
    if follows and start.startswith(tuple(PACKED)):
        raise Usage(f"--follow: {spec} is packed, and does not grow", do="leave --follow out")


def unreadable(spec: str, error: OSError) -> Usage:
    return Usage(f"--source {spec}: {error.strerror}", do="name a file that can be read, or - for stdin")
