"""Copies of a journal: a backup that can be put back, and an export that anything can read. Both beside a running writer."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from migctl.clock import now
from migctl.config.files import whole_file
from migctl.errors import Refused, Usage, Wanting
from migctl.events import Entry, Position, format_time
from migctl.events.codec import encode_entry
from migctl.journal.model import EpochInfo, Mark
from migctl.journal.sqlite import highwater, retention
from migctl.journal.sqlite.files import entries, opened
from migctl.journal.sqlite.inspection import verify
from migctl.journal.sqlite.layout import Layout, connect
from migctl.journal.sqlite.lock import WriterLock
from migctl.journal.sqlite.opening import check_mark, meta, read_epochs, renew
from migctl.journal.sqlite.rows import SEQ_BITS
from migctl.printable import shown_json


def backup(path: Path, to: Path) -> Position:
    """Write a consistent copy, of one moment, and return how far it goes.

    It appears under its name once it is whole and on disk. Raises Refused where something is there, Usage where
    it can't be written.
    """
    if to.exists():
        raise Refused(f"{to}: is there already", do="name a file that is not there")
    try:
        with whole_file(to) as part, opened(path) as database:
            info = _copy(database, part, to)
    except OSError as error:
        raise Usage(
            f"{to}: not written: {error.strerror}", do="name a place that can be written to"
        ) from None
    return Position(info.epoch, info.head)


def _copy(database: sqlite3.Connection, part: Path, to: Path) -> EpochInfo:
    try:
        with contextlib.closing(sqlite3.connect(part)) as target:
            database.backup(target)  # in one step: what is committed meanwhile does not begin it anew
            # A copy is one file; a journal that is opened for writing gets its log again.
            target.execute("PRAGMA journal_mode=DELETE")
            return read_epochs(target)[-1]
    except sqlite3.Error as error:
        raise Usage(f"{to}: not written: {error}", do="name a place with room for it") from None


@dataclass(frozen=True, slots=True)
class Restored:
    """had: the last position of the copy, and events: how many it holds. aside: where the journal is that stood there.

    info: the epoch that the journal goes on in; None where it was only tried.
    """

    had: Position
    events: int
    aside: Path | None
    info: EpochInfo | None = None


def restore(copy: Path, to: Path, *, replace: bool, try_only: bool = False) -> Restored:
    """Put a copy in the place of a journal, whole or not at all, in a new epoch: the seqs above it may have been given.

    replace: a journal that stands there is moved aside, with its log. try_only: nothing is changed.
    Raises Refused where a process has the journal open, where one stands there that may not be replaced, and where the high-water
    mark is another journal's; Wanting where the copy does not hold together; Usage where it can't be read, or `to` not be written.
    """
    layout = Layout.of(to)
    if copy.resolve() == layout.database:
        raise Refused(f"{copy}: is the journal itself", do="name a copy of it")
    lock = WriterLock(layout)
    try:
        aside = None
        if layout.database.exists() and layout.database.stat().st_size:
            lock.hold_file()
            if not replace:
                raise Refused(
                    f"{to}: a journal is there already",
                    do="say --replace to move it aside, or name another place: --journal FILE",
                )
            aside = _aside(layout)
        found = verify(copy, marked=False)
        if found.problems:
            raise Wanting(
                f"{copy}: this copy does not hold together: {found.problems[0]}",
                do=f"take another copy; `migctl journal verify --journal {copy}` says all",
            )
        mark = highwater.read(layout.database)
        check_mark(mark, found.writer_id, copy)
        if aside is not None:
            mark = _reached_by(layout.database, found.writer_id) or mark
        had = _reached(copy)
        if try_only:
            return Restored(had, found.events, aside)
        return Restored(had, found.events, aside, _put(copy, layout, mark, aside))
    except OSError as error:
        raise Usage(f"{to}: not restored: {error.strerror or error}", do="look at the disk") from None
    finally:
        lock.release()


def _reached(copy: Path) -> Position:
    with opened(copy) as database:
        epochs = read_epochs(database)
    last = next((info for info in reversed(epochs) if info.head), epochs[-1])
    return Position(last.epoch, last.head)


def _reached_by(replaced: Path, writer_id: str) -> Mark | None:
    """How far the journal is that is moved aside, which its mark may lag behind; None where it can't be read, or is another's."""
    with contextlib.suppress(Usage), opened(replaced) as database:
        if meta(database, "writer_id") == writer_id:
            *before, (epoch, head) = highwater.extents(read_epochs(database))
            return Mark(writer_id, epoch, head, now(), tuple(before))
    return None


def _put(copy: Path, layout: Layout, mark: Mark | None, aside: Path | None) -> EpochInfo:
    with whole_file(layout.database) as part:
        with opened(copy) as database:
            _copy(database, part, layout.database)
        info = renew(part, mark, f"restored from {copy.name}")
        if aside is not None:
            _move(layout, aside)
        # Of a journal that is gone: beside this one it would be read as its own.
        layout.log.unlink(missing_ok=True)
        layout.index.unlink(missing_ok=True)
    return info


def _aside(layout: Layout) -> Path:
    at = format_time(now())[:19].replace(":", "")
    return layout.database.with_name(f"{layout.database.name}.replaced-{at}Z")


def _move(layout: Layout, aside: Path) -> None:
    """With its log, which is emptied first where the journal can still be read: who is killed here leaves no half of one."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(layout.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            layout.database.with_name(layout.database.name + suffix).rename(
                aside.with_name(aside.name + suffix)
            )


def export(
    path: Path, *, epoch: str | None = None, first: int | None = None, last: int | None = None
) -> Iterator[Entry]:
    """Entries in order. Without an epoch: all of them, or, with a seq given, those of the open one.

    What is committed after the start is not waited for. Raises Usage where the journal does not hold what is asked for, Wanting
    where it was trimmed away while it was read.
    """
    with opened(path) as database:
        extents = retention.read_extents(database)
        if epoch is not None:
            extents = [extent for extent in extents if extent.epoch == epoch]
            if not extents:
                raise Usage(f"{path}: no epoch {epoch}", do="`migctl journal status` lists the epochs")
        elif first is not None or last is not None:
            extents = extents[-1:]
        for extent in extents:
            start = extent.tail if first is None else first
            end = extent.head if last is None else last
            if start < extent.tail or end > extent.head or start > end + 1:
                raise Usage(
                    f"{path}: seq {start} to {end} of epoch {extent.epoch}: the journal holds {extent.tail} to {extent.head}",
                    do="ask for what is held: --from, --to, --epoch",
                )
            expected = start
            base = extent.ordinal << SEQ_BITS
            for entry in entries(database, base + start - 1, base + end):
                if entry.seq != expected:
                    break
                expected += 1
                yield entry
            if expected != end + 1:
                raise Wanting(
                    f"{path}: seq {expected} of epoch {extent.epoch} is not there: trimmed while it was read, or lost",
                    do="export again, from a later seq; `migctl journal verify` says if it is lost",
                )


def write_lines(entries: Iterator[Entry], to: Path | None) -> int:
    """Write them as NDJSON to a file, which appears once it is whole, or to stdout; how many there were.

    Raises Usage where it can't be written.
    """
    if to is None:
        return _lines(entries, sys.stdout.buffer, on_terminal=sys.stdout.isatty())
    try:
        # Whoever asked for it decides who reads it: it is made as any other file.
        with whole_file(to, mode=0o666) as part, part.open("wb") as file:
            return _lines(entries, file)
    except OSError as error:
        raise Usage(f"{to}: {error.strerror}", do="name a file that can be written to") from None


def _lines(entries: Iterator[Entry], file: BinaryIO, *, on_terminal: bool = False) -> int:
    """on_terminal: the same JSON, with no order to a terminal in it; elsewhere what a producer sent stays byte for byte."""
    count = 0
    for entry in entries:
        line = encode_entry(entry)
        file.write((shown_json(line.decode()).encode() if on_terminal else line) + b"\n")
        count += 1
    file.flush()
    return count
