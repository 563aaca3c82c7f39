"""High-water mark: a small file beside the journal that says how far it was, so that a journal that was put back is noticed.

It is fsynced, written at most a second after the commit, and never ahead of it. A restored copy of the journal has the head of its
own time; the mark, which is no part of the copy, has the head of this one.
"""

from __future__ import annotations

import errno
import os
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migctl.clock import now
from migctl.config.files import open_own
from migctl.errors import Usage
from migctl.events import format_time, parse_time
from migctl.events.jsontext import dumps, read_as
from migctl.journal.model import EpochInfo, Mark
from migctl.journal.sqlite.layout import Layout
from migctl.journal.sqlite.parts import Failure, Part
from migctl.telemetry import get_logger

# A commit waits at most this long for its mark; the fsync comes on top.
EVERY_S = 0.5
# One sector, overwritten in place: it needs no room on a full disk, and a disk writes a sector whole or not at all.
SIZE = 512
# So many of the epochs before the open one have room in it.
MOST_BEFORE = 5

_FULL = (errno.ENOSPC, errno.EDQUOT)

# An epoch, and the last seq that is known of it.
Extent = tuple[str, int]


def extents(epochs: Sequence[EpochInfo]) -> tuple[Extent, ...]:
    """How far each epoch went, be it lost or not."""
    known = {info.epoch: info.head for info in epochs}
    for info in epochs:
        if info.prev_epoch in known and info.lost_to is not None:
            known[info.prev_epoch] = max(known[info.prev_epoch], info.lost_to)
    return tuple(known.items())


def path_of(journal: Path) -> Path:
    """Where the mark of this journal is."""
    return Layout.of(journal).high_water


def read(journal: Path) -> Mark | None:
    """The mark beside this journal; None where there is none. Raises Usage where there is one that can't be read."""
    path = path_of(journal)
    try:
        with os.fdopen(open_own(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            text = file.read(8 * SIZE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Usage(f"{path}: {error.strerror}", do="make it readable; it is part of the journal") from None
    if not text.strip(b"\0 \n"):
        return None  # made, and not yet written
    try:
        sum_text, _, body = text.strip().partition(b" ")
        if int(sum_text, 16) != zlib.crc32(body):
            raise ValueError("its checksum is wrong")
        parsed = read_as(body, dict[str, Any])
        before = tuple((str(epoch), int(head)) for epoch, head in parsed.get("before", ()))
        return Mark(
            str(parsed["writer_id"]),
            str(parsed["epoch"]),
            int(parsed["head"]),
            parse_time(parsed["at"]),
            before,
        )
    except (ValueError, OverflowError, KeyError, TypeError) as error:
        raise Usage(
            f"{path}: not a high-water mark: {error}",
            do="if nothing was restored here, remove it: it is made anew",
        ) from None


def _encode(mark: Mark) -> bytes:
    body = dumps(
        {
            "writer_id": mark.writer_id,
            "epoch": mark.epoch,
            "head": mark.head,
            "at": format_time(mark.at),
            "before": mark.before,
        }
    )
    if len(body) > SIZE - 10:
        raise ValueError(f"a mark of {len(body)} bytes")
    return (b"%08x %b" % (zlib.crc32(body), body)).ljust(SIZE - 1) + b"\n"


class HighWater(Part):
    """Writes the mark of one journal, from construction to `close`. `set_extents` and `set_head` from any thread."""

    def __init__(
        self, layout: Layout, *, writer_id: str, extents: Sequence[Extent], failure: Failure
    ) -> None:
        """Writes the first mark before it returns, unless the disk is full. Raises Usage where it is refused.

        extents: of the journal's epochs, oldest first, at least one.
        """
        super().__init__("high-water", failure)
        self._path = layout.high_water
        self._writer_id = writer_id
        self._state = tuple(extents[-MOST_BEFORE - 1 :])
        self._written: tuple[Extent, ...] | None = None
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._failing = False
        try:
            self._file = open_own(self._path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise Usage(
                f"{self._path}: {error.strerror}", do="name a folder that can be written to"
            ) from None
        try:
            self._write()
            _sync_folder(self._path.parent)
        except OSError as error:
            if error.errno not in _FULL:
                os.close(self._file)
                raise Usage(f"{self._path}: {error.strerror}", do="look at the disk") from None
            self._not_written(error)

    def set_extents(self, extents: Sequence[Extent]) -> None:
        """The journal has these epochs, durably."""
        self._state = tuple(extents[-MOST_BEFORE - 1 :])
        self._changed.set()

    def set_head(self, head: int) -> None:
        """The open epoch is this far, durably."""
        *before, (epoch, _) = self._state
        self._state = (*before, (epoch, head))
        self._changed.set()

    def work(self) -> None:
        while not self._closing.is_set():
            self._changed.wait()
            self._changed.clear()
            self._try()
            self._closing.wait(EVERY_S)
        self._try()
        os.close(self._file)

    def _try(self) -> None:
        try:
            self._write()
        except OSError as error:
            self._not_written(error)
        else:
            self._failing = False

    def _not_written(self, error: OSError) -> None:
        """The mark lags, which it may; the journal itself says when the disk is gone."""
        if not self._failing:
            get_logger("journal").warning(
                "high-water mark not written", file=str(self._path), error=str(error)
            )
        self._failing = True

    def _write(self) -> None:
        state = self._state
        if state == self._written:
            return
        *before, (epoch, head) = state
        os.pwrite(self._file, _encode(Mark(self._writer_id, epoch, head, now(), tuple(before))), 0)
        os.fsync(self._file)
        self._written = state

    def close(self) -> None:
        """Write what was set last and end the thread; join it afterwards."""
        self._closing.set()
        self._changed.set()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
