"""The journal of one machine: a SQLite file (WAL, synchronous=FULL), one writing process, group commits.

An acknowledged event is on disk. Seqs come from a counter row in the same transaction as the events, so a crash leaves neither
a hole nor a number given twice. Readers take short reads on connections of their own; what was committed last is read from memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from migctl.clock import now
from migctl.errors import Usage
from migctl.events import Entry, Event, Position
from migctl.events.ids import uuid7
from migctl.events.times import from_micros, micros_of
from migctl.journal.checkpoint import Checkpointer
from migctl.journal.lock import WriterLock
from migctl.journal.protocol import Appended, DeadLetter, EpochInfo, JournalUnavailable
from migctl.journal.recent import Recent
from migctl.journal.rows import COLUMNS, FORMAT, SEQ_BITS, SEQ_MASK, TABLES, Row, connect, id_bytes, to_entry
from migctl.journal.writer import Group, Request, Writer

T = TypeVar("T")

MAX_WAITING_BYTES = 256 << 20


class SqliteJournal:
    """Open with `await SqliteJournal.open(path)`; close with `await journal.aclose()`."""

    def __init__(self, path: Path, lock: WriterLock, database: sqlite3.Connection) -> None:
        self._path = path
        self._lock = lock
        self._database = database
        self._loop = asyncio.get_running_loop()
        self._writer_id = _meta(database, "writer_id")
        self._epochs = _epochs(database)
        ordinal, head, tail = database.execute(
            "SELECT ord, head, tail FROM epochs ORDER BY ord DESC LIMIT 1"
        ).fetchone()
        self._ordinal: int = ordinal
        self._head: int = head
        self._tail: int = tail
        self._recent = Recent(self.epoch)
        self._advanced: asyncio.Future[None] = self._loop.create_future()
        self._waiting_bytes = 0
        self._closed = False
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="journal-reader")
        self._reader: sqlite3.Connection | None = None
        self._writer = Writer(
            database,
            epoch=self.epoch,
            ordinal=ordinal,
            head=head,
            on_commit=lambda group: self._from_writer(self._committed, group),
            on_failure=lambda requests, error: self._from_writer(self._refused, requests, error),
        )
        self._checkpointer = Checkpointer(path)
        self._writer.start()
        self._checkpointer.start()

    @classmethod
    async def open(cls, path: Path) -> SqliteJournal:
        """Open or create the journal for writing.

        Raises Refused where another process writes to it, Usage where the file can't be opened or is no journal.
        """
        path = path.absolute()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Usage(
                f"{path.parent}: {error.strerror}", do="name a folder that can be made: MIGCTL_JOURNAL=PATH"
            ) from None
        lock = WriterLock(path)
        try:
            database = connect(str(path))
            _prepare(database, path)
        except sqlite3.Error as error:
            lock.release()
            raise _unreadable(path, error) from None
        except BaseException:
            lock.release()
            raise
        return cls(path, lock, database)

    # What it is.

    @property
    def path(self) -> Path:
        return self._path

    @property
    def epoch(self) -> str:
        return self._epochs[-1].epoch

    @property
    def writer_id(self) -> str:
        return self._writer_id

    @property
    def head(self) -> int:
        return self._head

    @property
    def tail(self) -> int:
        return self._tail

    async def epochs(self) -> list[EpochInfo]:
        return list(self._epochs)

    async def failure(self) -> JournalUnavailable:
        """Return once the disk has failed for good: the process must end (exit 70) and be started again."""
        return await asyncio.wrap_future(self._writer.failed)

    # Writing.

    async def append(self, events: Sequence[Event], *, offset: tuple[str, int] | None = None) -> Appended:
        if not events and offset is None:
            return Appended(0, 0, self.epoch, None, None, ())
        size = 200 * len(events) + sum([len(event.data) for event in events])
        request = Request(events=events, offset=offset, size=size)
        answer: Appended | None = await self._submit(request)
        return answer or Appended(0, 0, self.epoch, None, None, ())

    async def move_cursor(self, name: str, position: Position) -> None:
        def move(database: sqlite3.Connection) -> None:
            row = database.execute("SELECT epoch, seq FROM cursors WHERE name = ?", (name,)).fetchone()
            if row is not None and row[0] == position.epoch and row[1] > position.seq:
                raise ValueError(f"cursor {name} stands at {row[1]}, and {position.seq} is before that")
            database.execute(
                "INSERT INTO cursors (name, epoch, seq) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq",
                (name, position.epoch, position.seq),
            )

        await self._submit(Request(operation=move))

    async def bury(self, letter: DeadLetter) -> None:
        row = (*letter.position, letter.event_id, letter.code, letter.reason, micros_of(letter.at))

        def insert(database: sqlite3.Connection) -> None:
            database.execute("INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?)", row)

        await self._submit(Request(operation=insert))

    async def _submit(self, request: Request) -> Any:
        if self._closed:
            raise JournalUnavailable("the journal is closed", do="send the events again once it is open")
        if self._waiting_bytes + request.size > MAX_WAITING_BYTES:
            raise JournalUnavailable(
                "more events wait for the disk than memory may hold", do="send them again a little later"
            )
        self._waiting_bytes += request.size
        request.done = self._loop.create_future()
        self._writer.submit(request)
        return await request.done

    def _from_writer(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The loop ended first: what is on disk stays there, and nobody is left to be answered.
            return

    def _committed(self, group: Group) -> None:
        if group.events:
            self._recent.add(group)
            self._head = group.first_seq + len(group.events) - 1
            advanced, self._advanced = self._advanced, self._loop.create_future()
            advanced.set_result(None)
        for request in group.requests:
            self._waiting_bytes -= request.size
            if request.done.done():  # its producer went away; the event stays
                continue
            if request.error is not None:
                request.done.set_exception(request.error)
            else:
                request.done.set_result(request.answer)

    def _refused(self, requests: list[Request], error: JournalUnavailable) -> None:
        for request in requests:
            self._waiting_bytes -= request.size
            if not request.done.done():
                request.done.set_exception(JournalUnavailable(error.what, do=error.do))

    # Reading.

    async def read(self, after: int, *, limit: int = 1000, max_bytes: int = 8 << 20) -> list[Entry]:
        if after >= self._head:
            return []
        recent = self._recent.after(after, limit, max_bytes)
        if recent is not None:
            return recent
        head = self._head
        return await self._read(lambda database: self._select(database, after, head, limit, max_bytes))

    def _select(
        self, database: sqlite3.Connection, after: int, head: int, limit: int, max_bytes: int
    ) -> list[Entry]:
        base = self._ordinal << SEQ_BITS
        found: list[Entry] = []
        size = 0
        rows = database.execute(
            f"SELECT {COLUMNS} FROM events WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?",  # noqa: S608 - a constant
            (base + after, base + head, limit),
        )
        for row in rows:
            size += len(row[5])
            if found and size > max_bytes:
                break
            found.append(to_entry(row, self.epoch))
        return found

    async def get(self, event_id: str) -> Entry | None:
        def select(database: sqlite3.Connection) -> Row | None:
            row: Row | None = database.execute(
                f"SELECT {COLUMNS} FROM events WHERE id = ?",  # noqa: S608 - a constant
                (id_bytes(event_id),),
            ).fetchone()
            return row

        row = await self._read(select)
        if row is None:
            return None
        return to_entry(row, self._epochs[(row[0] >> SEQ_BITS) - 1].epoch)

    async def wait(self, after: int) -> int:
        while self._head <= after:
            await asyncio.shield(self._advanced)
        return self._head

    async def follow(self, after: int) -> AsyncIterator[list[Entry]]:
        while True:
            await self.wait(after)
            entries = await self.read(after)
            if entries:
                after = entries[-1].seq
                yield entries

    async def offset(self, source: str) -> int | None:
        return await self._read(
            lambda database: _one(
                database.execute("SELECT offset FROM offsets WHERE source = ?", (source,)).fetchone()
            )
        )

    async def cursor(self, name: str) -> Position | None:
        def select(database: sqlite3.Connection) -> Position | None:
            row = database.execute("SELECT epoch, seq FROM cursors WHERE name = ?", (name,)).fetchone()
            return None if row is None else Position(*row)

        return await self._read(select)

    async def dead_letters(self, *, limit: int = 1000) -> list[DeadLetter]:
        def select(database: sqlite3.Connection) -> list[DeadLetter]:
            rows = database.execute(
                "SELECT epoch, seq, event_id, code, reason, at FROM dead_letters ORDER BY at DESC, seq DESC LIMIT ?",
                (limit,),
            )
            return [
                DeadLetter(Position(row[0], row[1]), row[2], row[3], row[4], from_micros(row[5]))
                for row in rows
            ]

        return await self._read(select)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def in_thread() -> T:
            if self._reader is None:
                self._reader = connect(str(self._path), read_only=True)
            return work(self._reader)

        return await self._loop.run_in_executor(self._readers, in_thread)

    # The end.

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._checkpointer.close()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._checkpointer.join)
        await asyncio.to_thread(self._readers.shutdown)
        if self._reader is not None:
            self._reader.close()
        # The last connection that closes checkpoints and removes the log.
        await asyncio.to_thread(self._database.close)
        self._lock.release()


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    database.execute("BEGIN IMMEDIATE")
    for statement in TABLES.split(";"):
        if statement.strip():
            database.execute(statement)
    row = database.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    if row is None:
        database.execute("INSERT INTO meta VALUES ('format', ?), ('writer_id', ?)", (str(FORMAT), uuid7()))
        database.execute("INSERT INTO epochs (epoch, started_at) VALUES (?, ?)", (uuid7(), micros_of(now())))
    database.execute("COMMIT")
    if row is not None and int(row[0]) != FORMAT:
        raise Usage(
            f"{path}: a journal of format {row[0]}, and this migctl reads format {FORMAT}",
            do="use the migctl that wrote it, or name another journal",
        )


def _unreadable(path: Path, error: sqlite3.Error) -> Usage:
    return Usage(
        f"{path}: not a journal that can be opened: {error}",
        do="name a journal file, or a path where a new one can be made",
    )


def _meta(database: sqlite3.Connection, key: str) -> str:
    return str(database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])


def _one(row: Any) -> Any:
    return None if row is None else row[0]


def _epochs(database: sqlite3.Connection) -> list[EpochInfo]:
    rows = database.execute(
        "SELECT epoch, prev_epoch, lost_from, lost_to, started_at FROM epochs ORDER BY ord"
    )
    return [EpochInfo(row[0], row[1], row[2], row[3], from_micros(row[4])) for row in rows]


def read_file(path: Path) -> Iterator[Entry]:
    """All entries of a journal file, oldest first, also while it is being written. Raises Usage where it is no journal."""
    if not path.is_file():
        raise Usage(f"{path}: no such file", do="name a journal file")
    try:
        database = connect(str(path.absolute()), read_only=True)
        try:
            epochs = dict(database.execute("SELECT ord, epoch FROM epochs").fetchall())
            pos = 0
            while True:
                # Short reads: one long one would keep the log of a live journal from being cut.
                rows = database.execute(
                    f"SELECT {COLUMNS} FROM events WHERE pos > ? ORDER BY pos LIMIT 5000",  # noqa: S608 - a constant
                    (pos,),
                ).fetchall()
                if not rows:
                    return
                for row in rows:
                    yield to_entry(row, epochs[row[0] >> SEQ_BITS])
                pos = rows[-1][0]
        finally:
            database.close()
    except sqlite3.Error as error:
        raise _unreadable(path, error) from None


__all__ = ["SEQ_MASK", "SqliteJournal", "read_file"]
