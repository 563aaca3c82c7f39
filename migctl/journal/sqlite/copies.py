"""Copies of a journal: a backup that can be put back, and an export that anything can read. Both beside a running writer."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from migctl.config.files import whole_file
from migctl.errors import Refused, Usage, Wanting
from migctl.events import Entry, Position
from migctl.events.codec import encode_entry
from migctl.journal.model import EpochInfo
from migctl.journal.sqlite import retention
from migctl.journal.sqlite.files import entries, opened
from migctl.journal.sqlite.opening import read_epochs
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
