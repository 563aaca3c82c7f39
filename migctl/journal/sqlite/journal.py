"""The journal of one machine: a SQLite file (WAL, synchronous=FULL), one writing process, group commits.

An acknowledged event is on disk. Seqs come from a counter row in the same transaction as the events, so a crash leaves neither
a hole nor a number given twice. Readers take short reads on a connection of their own; what was committed last is read from memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import disk_usage
from typing import Literal

from migctl.config.files import make_private_folder
from migctl.errors import Usage
from migctl.events import Entry, Event, Position
from migctl.journal.errors import JournalUnavailable
from migctl.journal.model import Appended, Bookmark, EpochInfo, Lost
from migctl.journal.sqlite import outlook, queries
from migctl.journal.sqlite.highwater import HighWater, extents
from migctl.journal.sqlite.housekeeper import MAKE_ROOM, Housekeeper
from migctl.journal.sqlite.layout import Layout
from migctl.journal.sqlite.lock import WriterLock
from migctl.journal.sqlite.opening import (
    Opened,
    check_place,
    link_epoch,
    open_database,
    words_of_rotation,
)
from migctl.journal.sqlite.parts import Failure, own
from migctl.journal.sqlite.recent import Recent
from migctl.journal.sqlite.records import Records
from migctl.journal.sqlite.reserve import Reserve
from migctl.journal.sqlite.retention import Keep
from migctl.journal.sqlite.rotation import rotate
from migctl.journal.sqlite.rows import SEQ_BITS, to_entry
from migctl.journal.sqlite.store import Store
from migctl.journal.sqlite.writer import Group, Request, Rotated
from migctl.resilience import News
from migctl.telemetry import get_logger
from migctl.telemetry.metrics import Histogram

_log = get_logger("journal")


class SqliteJournal(Records):
    """Open with `await SqliteJournal.open(path)`; close with `await journal.aclose()`."""

    def __init__(
        self,
        layout: Layout,
        lock: WriterLock,
        opened: Opened,
        high_water: HighWater,
        failure: Failure,
        reserve: Reserve,
        *,
        keep: Keep | None,
        lock_wait_s: float,
        notify: Callable[[str], None],
    ) -> None:
        self._layout = layout
        self._lock = lock
        self._notify = notify
        super().__init__(
            Store(
                layout,
                opened,
                high_water,
                failure,
                lock_wait_s=lock_wait_s,
                committed=self._committed,
            )
        )
        self._writer_id = opened.writer_id
        self._epochs = opened.epochs
        self._head = self._epochs[-1].head
        self._tail = self._epochs[-1].tail
        self._recent = Recent(self.epoch)
        self._advanced = News()
        if opened.rotated is not None:
            self._announce_rotation(opened.rotated)
        self._housekeeper = None
        if keep is not None:
            self._housekeeper = Housekeeper(
                keep,
                operate=lambda work: self._store.submit(Request(operation=work)),
                measure=lambda: self._store.read(self._outlook),
                trimmed=self._trimmed,
                reserve=reserve,
            )
            self._housekeeping = own(
                asyncio.create_task(self._housekeeper.run(), name="journal-housekeeper"), failure
            )

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        keep: Keep | None = None,
        adopting: bool = False,
        lock_wait_s: float = 5.0,
        open_wait_s: float = 30.0,
        notify: Callable[[str], None] = lambda _: None,
    ) -> SqliteJournal:
        """Open or create the journal for writing.

        keep: what is kept, and how large it may become; None keeps everything, without a bound.
        adopting: it may stand where another journal was lost. notify: for what an operator must hear.
        lock_wait_s: how long events wait while another process locks the file; open_wait_s: how long this call does.
        Raises Refused where another process writes to it or another journal stood here, Usage where the file can't be opened or
        is no journal, JournalStalled where another process locks it for long.
        """
        layout = Layout.of(path)
        try:
            if not layout.database.parent.exists():
                make_private_folder(layout.database.parent)
        except OSError as error:
            raise Usage(
                f"{layout.database.parent}: {error.strerror}",
                do="name a folder that can be made: MIGCTL_JOURNAL=PATH",
            ) from None
        lock, reserve = WriterLock(layout), Reserve(layout.reserve)
        try:
            reserve.give_up()
            mark = check_place(layout, adopting=adopting)
            if lock.hold_file() > 1:
                notify(
                    f"{layout.database} has other names too (hard links): its log and its high-water mark lie beside this one, "
                    "so never open it by another"
                )
            layout.make_private()
            opened = await open_database(
                layout,
                mark,
                adopting=adopting,
                lock_wait_s=lock_wait_s,
                open_wait_s=open_wait_s,
                notify=notify,
            )
            failure = Failure()
            try:
                high_water = HighWater(
                    layout, writer_id=opened.writer_id, extents=extents(opened.epochs), failure=failure
                )
            except BaseException:
                opened.database.close()
                raise
            if keep is not None:
                reserve.keep()
        except BaseException:
            lock.release()
            raise
        return cls(
            layout,
            lock,
            opened,
            high_water,
            failure,
            reserve,
            keep=keep,
            lock_wait_s=lock_wait_s,
            notify=notify,
        )

    # Log: the events.

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

    async def append(self, events: Sequence[Event], *, read: Bookmark | None = None) -> Appended:
        if not events and read is None:
            return Appended(0, 0, self.epoch, None, None, ())
        if events and self.full is not None:
            raise JournalUnavailable(self.full, do=MAKE_ROOM)
        size = 200 * len(events) + sum([len(event.data) for event in events])
        request = Request(events=events, read=read, size=size)
        answer: Appended | None = await self._store.submit(request)
        return answer or Appended(0, 0, self.epoch, None, None, ())

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
        return await self._store.read(
            lambda database: queries.between(database, name, base + after, base + head, limit, max_bytes)
        )

    async def get(self, event_id: str) -> Entry | None:
        row = await self._store.read(lambda database: queries.newest(database, event_id))
        if row is None:
            return None
        return to_entry(row, self._epochs[(row[0] >> SEQ_BITS) - 1].epoch)

    async def wait(self, after: int) -> int:
        epoch = self.epoch
        while self._head <= after and self.epoch == epoch:
            await self._advanced.wait()
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

    # Log: the epochs.

    async def epochs(self) -> list[EpochInfo]:
        return [*self._epochs[:-1], replace(self._epochs[-1], head=self._head, tail=self._tail)]

    async def rotate_epoch(
        self,
        ended: str,
        *,
        prev_epoch: str | None = None,
        lost: Lost | None,
        reason: str,
        keep_to: Mapping[str, int] | None = None,
    ) -> EpochInfo:
        def work(database: sqlite3.Connection) -> Rotated:
            return rotate(database, ended, prev_epoch or ended, lost=lost, reason=reason, keep_to=keep_to)

        rotated: Rotated = await self._store.operate(work, rotates=True)
        return rotated.info

    async def link_epoch(
        self, epoch: str, *, prev_epoch: str | None, lost: Lost | None, reason: str | None = None
    ) -> None:
        self._epochs = await self._store.operate(
            lambda database: link_epoch(database, epoch, prev_epoch, lost, reason)
        )
        if reason is not None:
            linked = next(info for info in self._epochs if info.epoch == epoch)
            self._announce_rotation(words_of_rotation(linked))

    async def unconfirmed(self) -> Position | None:
        return await self._store.read(queries.unconfirmed)

    async def confirm(self) -> None:
        await self._store.operate(queries.confirm, confirms=True)

    # Room.

    @property
    def location(self) -> str:
        return str(self._layout.database)

    @property
    def size_bytes(self) -> int:
        return self._layout.size_bytes()

    @property
    def full(self) -> str | None:
        return self._housekeeper.full if self._housekeeper is not None else None

    @property
    def full_in_hours(self) -> float | None:
        of = self._housekeeper.forecast if self._housekeeper is not None else None
        return of.hours if of is not None else None

    @property
    def full_first(self) -> Literal["journal", "disk"] | None:
        of = self._housekeeper.forecast if self._housekeeper is not None else None
        return of.bound if of is not None else None

    @property
    def stalled(self) -> str | None:
        stall = self._store.writer.stall
        return stall.what if stall is not None else None

    @property
    def stalled_do(self) -> str | None:
        stall = self._store.writer.stall
        return stall.do if stall is not None else None

    @property
    def commit_seconds(self) -> Histogram:
        return self._store.writer.commit_seconds

    def keep_by(
        self, *, retain_hours: float, retain_min_events: int, max_bytes: int, min_free_bytes: int
    ) -> None:
        of = self._housekeeper
        if of is not None:
            of.keep = replace(
                of.keep,
                hours=retain_hours,
                min_events=retain_min_events,
                max_bytes=max_bytes,
                min_free_bytes=min_free_bytes,
            )

    async def failure(self) -> Exception:
        return await self._store.failure.wait()

    def _outlook(self, database: sqlite3.Connection) -> outlook.Outlook:
        return outlook.read(database, disk_usage(self._layout.database.parent).free)

    # What comes back from the writer.

    def _committed(self, group: Group) -> None:
        rotated = group.requests[0].answer
        if group.events:
            self._recent.add(group)
            self._head = group.first_seq + len(group.events) - 1
            self._advanced.wake()
        elif isinstance(rotated, Rotated):
            self._epochs = list(rotated.epochs)
            self._head, self._tail = rotated.info.head, 1
            self._recent = Recent(self.epoch)
            self._announce_rotation(words_of_rotation(rotated.info))
            self._advanced.wake()

    def _announce_rotation(self, text: str) -> None:
        _log.warning("epoch rotated", epoch=self.epoch, head=self._head, text=text)
        self._notify(text)

    def _trimmed(self, tails: dict[int, int]) -> None:
        for ordinal, tail in tails.items():
            if ordinal == len(self._epochs):
                self._tail = tail
            else:
                self._epochs[ordinal - 1] = replace(self._epochs[ordinal - 1], tail=tail)

    # The end.

    async def aclose(self) -> None:
        if self._store.closed:
            return
        self._store.closed = True
        if self._housekeeper is not None:
            self._housekeeping.cancel()
            await asyncio.wait([self._housekeeping])
        await self._store.aclose()
        self._lock.release()
