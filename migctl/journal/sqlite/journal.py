"""The journal of one machine: a SQLite file (WAL, synchronous=FULL), one writing process, group commits.

An acknowledged event is on disk. Seqs come from a counter row in the same transaction as the events, so a crash leaves neither
a hole nor a number given twice. Readers take short reads on connections of their own; what was committed last is read from memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from shutil import disk_usage
from typing import Any, TypeVar

from migctl.errors import Usage
from migctl.events import Entry, Event, Position
from migctl.journal.protocol import Appended, DeadLetter, EpochInfo, JournalUnavailable, Lost, Outcome
from migctl.journal.sqlite import dead_letters, outlook, queries
from migctl.journal.sqlite.checkpoint import Checkpointer
from migctl.journal.sqlite.highwater import HighWater, extents
from migctl.journal.sqlite.housekeeper import MAKE_ROOM, Housekeeper
from migctl.journal.sqlite.lock import WriterLock
from migctl.journal.sqlite.opening import Opened, open_database, read_epochs, words_of_rotation
from migctl.journal.sqlite.recent import Recent
from migctl.journal.sqlite.retention import Keep
from migctl.journal.sqlite.rotation import begin_epoch
from migctl.journal.sqlite.rows import SEQ_BITS, connect, to_entry
from migctl.journal.sqlite.writer import Group, Request, Turned, Writer
from migctl.telemetry import get_logger
from migctl.telemetry.metrics import Histogram

T = TypeVar("T")

MAX_WAITING_BYTES = 256 << 20


class SqliteJournal:
    """Open with `await SqliteJournal.open(path)`; close with `await journal.aclose()`."""

    def __init__(
        self,
        path: Path,
        lock: WriterLock,
        opened: Opened,
        high_water: HighWater,
        keep: Keep | None,
        say: Callable[[str], None],
    ) -> None:
        self._path = path
        self._lock = lock
        self._say = say
        self._database = opened.database
        self._loop = asyncio.get_running_loop()
        self._writer_id = opened.writer_id
        self._epochs = opened.epochs
        self._head = self._epochs[-1].head
        self._tail = self._epochs[-1].tail
        self._recent = Recent(self.epoch)
        self._advanced: asyncio.Future[None] = self._loop.create_future()
        self._waiting_bytes = 0
        self._closed = False
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="journal-reader")
        self._reader: sqlite3.Connection | None = None
        self._high_water = high_water
        self._writer = Writer(
            opened.database,
            epoch=self.epoch,
            ordinal=len(self._epochs),
            head=self._head,
            high_water=high_water,
            on_commit=lambda group: self._from_writer(self._committed, group),
            on_failure=lambda requests, error: self._from_writer(self._refused, requests, error),
        )
        self._checkpointer = Checkpointer(path)
        self._writer.start()
        self._checkpointer.start()
        high_water.start()
        if opened.rotated is not None:
            self._tell_rotation(opened.rotated)
        self._keeper = None
        if keep is not None:
            self._keeper = Housekeeper(
                keep,
                operate=lambda work: self._submit(Request(operation=work)),
                measure=lambda: self._look_ahead(keep),
                trimmed=self._trimmed,
            )
            self._keeping = self._loop.create_task(self._keeper.run(), name="journal-housekeeper")

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        keep: Keep | None = None,
        adopting: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> SqliteJournal:
        """Open or create the journal for writing.

        keep: what is kept, and how large it may become; None keeps everything, without a bound.
        adopting: it may stand where another journal was lost. say: is told what an operator must hear.
        Raises Refused where another process writes to it or another journal stood here, Usage where the file can't be opened or
        is no journal.
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
            opened = open_database(path, adopting=adopting)
            try:
                high_water = HighWater(path, writer_id=opened.writer_id, extents=extents(opened.epochs))
            except BaseException:
                opened.database.close()
                raise
        except BaseException:
            lock.release()
            raise
        return cls(path, lock, opened, high_water, keep, say)

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

    @property
    def full(self) -> str | None:
        """Why no events are taken now; None where they are."""
        return self._keeper.full if self._keeper is not None else None

    @property
    def full_in_hours(self) -> float | None:
        """When it is full at the present rate; None where it never is."""
        return self._keeper.full_in_hours if self._keeper is not None else None

    @property
    def commit_seconds(self) -> Histogram:
        """How long group commits take, fsync included."""
        return self._writer.commit_seconds

    async def epochs(self) -> list[EpochInfo]:
        return [*self._epochs[:-1], replace(self._epochs[-1], head=self._head, tail=self._tail)]

    async def failure(self) -> JournalUnavailable:
        """Return once the disk has failed for good: the process must end (exit 70) and be started again."""
        # Who waits here and is cancelled must not cancel the writer's own mark: its thread would end on it, and answer nobody.
        return await asyncio.shield(asyncio.wrap_future(self._writer.failed))

    # Writing.

    async def append(self, events: Sequence[Event], *, offset: tuple[str, int] | None = None) -> Appended:
        if not events and offset is None:
            return Appended(0, 0, self.epoch, None, None, ())
        if events and self.full is not None:
            raise JournalUnavailable(self.full, do=MAKE_ROOM)
        size = 200 * len(events) + sum([len(event.data) for event in events])
        request = Request(events=events, offset=offset, size=size)
        answer: Appended | None = await self._submit(request)
        return answer or Appended(0, 0, self.epoch, None, None, ())

    async def move_cursor(self, name: str, position: Position) -> None:
        def move(database: sqlite3.Connection) -> None:
            queries.move_cursor(database, name, position)

        await self._submit(Request(operation=move))

    async def open_epoch(
        self, prev_epoch: str, *, lost: Lost | None, reason: str, keep_to: Mapping[str, int] | None = None
    ) -> EpochInfo:
        def turn(database: sqlite3.Connection) -> Turned:
            return begin_epoch(database, prev_epoch, lost=lost, reason=reason, keep_to=keep_to)

        turned: Turned = await self._submit(Request(operation=turn, turns=True))
        return turned.info

    async def link_epoch(
        self, epoch: str, *, prev_epoch: str | None, lost: Lost | None, reason: str | None = None
    ) -> None:
        def link(database: sqlite3.Connection) -> list[EpochInfo]:
            database.execute(
                "UPDATE epochs SET prev_epoch = ?, lost_from = ?, lost_to = ?, reason = coalesce(?, reason) WHERE epoch = ?",
                (prev_epoch, *(lost or (None, None)), reason, epoch),
            )
            return read_epochs(database)

        self._epochs = await self._submit(Request(operation=link))
        if reason is not None:
            linked = next(info for info in self._epochs if info.epoch == epoch)
            self._tell_rotation(words_of_rotation(linked))

    async def uncompared(self) -> Position | None:
        return await self._read(queries.alone_since)

    async def compared(self) -> None:
        await self._submit(Request(operation=self._writer.compared))

    async def bury(self, letter: DeadLetter) -> bool:
        new: bool = await self._submit(
            Request(operation=lambda database: dead_letters.bury(database, letter))
        )
        return new

    async def settle(
        self, position: Position, outcome: Outcome, at: datetime, *, new_id: str | None = None
    ) -> None:
        await self._submit(
            Request(operation=lambda database: dead_letters.settle(database, position, outcome, at, new_id))
        )

    async def set_note(self, key: str, text: str) -> None:
        await self._submit(Request(operation=lambda database: queries.set_note(database, key, text)))

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
        turned = group.requests[0].answer
        if group.events:
            self._recent.add(group)
            self._head = group.first_seq + len(group.events) - 1
            self._wake()
        elif isinstance(turned, Turned):
            self._epochs = list(turned.epochs)
            self._head, self._tail = turned.info.head, 1
            self._recent = Recent(self.epoch)
            self._tell_rotation(words_of_rotation(turned.info))
            self._wake()
        for request in group.requests:
            self._waiting_bytes -= request.size
            if request.done.done():  # its producer went away; the event stays
                continue
            if request.error is not None:
                request.done.set_exception(request.error)
            else:
                request.done.set_result(request.answer)

    def _wake(self) -> None:
        advanced, self._advanced = self._advanced, self._loop.create_future()
        advanced.set_result(None)

    def _tell_rotation(self, text: str) -> None:
        get_logger("journal").warning("epoch opened", epoch=self.epoch, head=self._head, text=text)
        self._say(text)

    def _refused(self, requests: list[Request], error: JournalUnavailable) -> None:
        for request in requests:
            self._waiting_bytes -= request.size
            if not request.done.done():
                request.done.set_exception(type(error)(error.what, do=error.do))

    def _trimmed(self, tails: dict[int, int]) -> None:
        for ordinal, tail in tails.items():
            if ordinal == len(self._epochs):
                self._tail = tail
            else:
                self._epochs[ordinal - 1] = replace(self._epochs[ordinal - 1], tail=tail)

    async def _look_ahead(self, keep: Keep) -> outlook.Outlook:
        return await self._read(
            lambda database: outlook.read(database, disk_usage(self._path.parent).free, keep)
        )

    # Reading.

    async def read(
        self, after: int, *, epoch: str | None = None, limit: int = 1000, max_bytes: int = 8 << 20
    ) -> list[Entry]:
        place = len(self._epochs) - 1
        if epoch is not None and epoch != self.epoch:
            place = next((n for n, info in enumerate(self._epochs) if info.epoch == epoch), -1)
            if place < 0:
                return []
        is_open = place == len(self._epochs) - 1
        head = self._head if is_open else self._epochs[place].head
        if after >= head:
            return []
        recent = self._recent.after(after, limit, max_bytes) if is_open else None
        if recent is not None:
            return recent
        name = self._epochs[place].epoch
        base = (place + 1) << SEQ_BITS
        return await self._read(
            lambda database: queries.between(database, name, base + after, base + head, limit, max_bytes)
        )

    async def get(self, event_id: str) -> Entry | None:
        row = await self._read(lambda database: queries.newest(database, event_id))
        if row is None:
            return None
        return to_entry(row, self._epochs[(row[0] >> SEQ_BITS) - 1].epoch)

    async def wait(self, after: int) -> int:
        epoch = self.epoch
        while self._head <= after and self.epoch == epoch:
            await asyncio.shield(self._advanced)
        return self._head

    async def follow(self, after: int) -> AsyncIterator[list[Entry]]:
        place = len(self._epochs) - 1
        while True:
            entries = await self.read(after, epoch=self._epochs[place].epoch)
            if entries:
                after = entries[-1].seq
                yield entries
            elif place < len(self._epochs) - 1:
                place, after = place + 1, 0
            else:
                await self.wait(after)

    async def offset(self, source: str) -> int | None:
        return await self._read(lambda database: queries.offset(database, source))

    async def cursor(self, name: str) -> Position | None:
        return await self._read(lambda database: queries.cursor(database, name))

    async def dead_letters(self, *, limit: int = 1000) -> list[DeadLetter]:
        return await self._read(lambda database: dead_letters.newest_first(database, limit))

    async def count_dead_letters(self) -> tuple[int, dict[str, int]]:
        return await self._read(dead_letters.count)

    async def note(self, key: str) -> str | None:
        return await self._read(lambda database: queries.note(database, key))

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
        if self._keeper is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        self._writer.close()
        self._checkpointer.close()
        await asyncio.to_thread(self._writer.join)
        self._high_water.close()
        await asyncio.to_thread(self._high_water.join)
        await asyncio.to_thread(self._checkpointer.join)
        await asyncio.to_thread(self._readers.shutdown)
        if self._reader is not None:
            self._reader.close()
        # The last connection that closes checkpoints and removes the log.
        await asyncio.to_thread(self._database.close)
        self._lock.release()
