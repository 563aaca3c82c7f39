"""The writer thread of the SQLite journal: group commits, each fsynced before any of its requests is answered.

A group is what waits when the last one is done. It is tried as a whole first; only where an id is already there is it taken
request by request, each in a SAVEPOINT of its own, so that a request fails alone.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from migctl.clock import mono, now
from migctl.events import Event, Position
from migctl.events.canonical import body_hash
from migctl.events.times import micros_of
from migctl.journal.errors import Conflict, JournalStalled, JournalUnavailable
from migctl.journal.model import Appended, Bookmark, EpochInfo
from migctl.journal.sqlite import queries
from migctl.journal.sqlite.faults import broken_disk, fault_here, fault_of, has_room, stalled
from migctl.journal.sqlite.highwater import HighWater, extents
from migctl.journal.sqlite.layout import Layout
from migctl.journal.sqlite.parts import Failure, Part
from migctl.journal.sqlite.rows import COLUMNS, INSERT, SEQ_BITS, SEQ_MASK, Row, id_bytes, to_event, to_rows
from migctl.telemetry import get_logger
from migctl.telemetry.metrics import Histogram

MAX_GROUP_EVENTS = 2000
MAX_GROUP_BYTES = 16 << 20
# A few pages of the log: what a commit of one event takes.
LEAST_ROOM_BYTES = 64 << 10

_log = get_logger("journal")


@dataclass(slots=True, eq=False)
class Request:
    """Events of one request, or a control operation, on its way to the disk."""

    events: Sequence[Event] = ()
    read: Bookmark | None = None
    operation: Callable[[sqlite3.Connection], Any] | None = None
    rotates: bool = False  # the operation begins another epoch, and answers with Rotated
    confirms: bool = False  # the operation says that a table was asked about all there is
    size: int = 0
    answer: Any = None
    error: Exception | None = None
    done: Any = None  # the future of the event loop that waits


@dataclass(frozen=True, slots=True)
class Rotated:
    """Another epoch is open: the last of these, which are all, oldest first."""

    epochs: list[EpochInfo]

    @property
    def info(self) -> EpochInfo:
        return self.epochs[-1]


@dataclass(slots=True)
class Group:
    """What one commit made durable: its requests, and the entries in order of seq."""

    requests: list[Request]
    first_seq: int = 0
    events: list[Event] = field(default_factory=list)
    committed_us: int = 0


class Writer(Part):
    """Owns the writing connection. `submit` from any thread; `on_commit` is called in this one, once a group.

    stall: what the last group could not get past; None since events were committed, or a group of none where there is room for what
    was refused: what is small and fits says nothing of that.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        layout: Layout,
        *,
        epoch: str,
        ordinal: int,
        head: int,
        high_water: HighWater,
        failure: Failure,
        on_commit: Callable[[Group], None],
        on_refusal: Callable[[list[Request], JournalUnavailable], None],
    ) -> None:
        super().__init__("writer", failure)
        self._db = connection
        self._layout = layout
        self._epoch = epoch
        self._base = ordinal << SEQ_BITS
        self._ordinal = ordinal
        self._head = head
        self._high_water = high_water
        self._nothing_taken = True  # since the journal was opened, and no table was asked
        self._on_commit = on_commit
        self._on_refusal = on_refusal
        self._waiting: deque[Request] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self.stall: JournalStalled | None = None
        self._refused_size = 0  # the largest for want of room, in bytes; 0 where it was no want of room
        self.commit_seconds = Histogram()

    def submit(self, request: Request) -> None:
        """Queue a request. Its fate comes by on_commit or on_refusal."""
        with self._wake:
            self._waiting.append(request)
            self._wake.notify()

    def close(self) -> None:
        """Write what waits, then end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def work(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                if not self._waiting:
                    return
                requests = self._take()
            cause = self.failure.cause
            refusal = self._commit(requests) if cause is None else self.failure.refusal(cause)
            if refusal is not None:
                self._on_refusal(requests, refusal)

    def _take(self) -> list[Request]:
        taken: list[Request] = []
        events = size = 0
        while self._waiting:
            request = self._waiting[0]
            if taken and (
                request.rotates
                or taken[-1].rotates
                or events + len(request.events) > MAX_GROUP_EVENTS
                or size + request.size > MAX_GROUP_BYTES
            ):
                break
            taken.append(self._waiting.popleft())
            events += len(request.events)
            size += request.size
        return taken

    def _commit(self, requests: list[Request]) -> JournalUnavailable | None:
        """Make a group durable; why it was not, where it was not."""
        group = Group(requests)
        began = mono()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._fill(group)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self.commit_seconds.observe(mono() - began)
            self._committed(group)
        except Exception as error:  # noqa: BLE001 - a thread that died here would leave every producer waiting
            return self._refusal(error, requests)
        return None

    def _committed(self, group: Group) -> None:
        if self.stall is not None and (group.events or self._has_room()):
            self.stall, self._refused_size = None, 0
            _log.info("journal takes events again", epoch=self._epoch, head=self._head)
        self._head += len(group.events)
        answer = group.requests[0].answer
        if group.events or any(request.confirms and request.error is None for request in group.requests):
            self._nothing_taken = False
        if isinstance(answer, Rotated):
            self._epoch, self._ordinal, self._head = answer.info.epoch, len(answer.epochs), answer.info.head
            self._base = self._ordinal << SEQ_BITS
            self._high_water.set_extents(extents(answer.epochs))
            self._on_commit(group)
            return
        self._on_commit(group)
        if group.events:
            self._high_water.set_head(self._head)

    def _has_room(self) -> bool:
        return not self._refused_size or has_room(self._layout, self._refused_size)

    def _refusal(self, error: Exception, requests: Sequence[Request]) -> JournalUnavailable:
        fault = fault_here(error, self._layout)
        if fault in ("locked", "full"):
            # Rolled back cleanly; the next group may get through.
            refusal = stalled(fault, self._layout)
            if fault == "full":
                size = LEAST_ROOM_BYTES + sum(request.size for request in requests)
                self._refused_size = max(self._refused_size, size)
            if self.stall is None:
                _log.error("journal stalled", reason=refusal.what, do=refusal.do, head=self._head)
            self.stall = refusal
            return refusal
        cause = broken_disk(error) if fault == "disk" else error
        self.failure.fail(cause)
        return self.failure.refusal(cause)

    def _fill(self, group: Group) -> None:
        if self.stall is not None:
            # A commit of nothing would prove nothing of the room on the disk.
            self._db.execute("UPDATE meta SET value = value WHERE key = 'format'")
        group.committed_us = micros_of(now())
        group.first_seq = self._head + 1
        if not self._fill_at_once(group):
            self._fill_one_by_one(group)
        if group.events:
            if self._nothing_taken:
                queries.set_unconfirmed(self._db, Position(self._epoch, self._head))
            head = self._head + len(group.events)
            self._db.execute("UPDATE epochs SET head = ? WHERE ord = ?", (head, self._ordinal))
        for request in group.requests:
            if request.error is None and request.read is not None:
                self._db.execute(
                    "INSERT INTO offsets (source, offset, about) VALUES (?, ?, ?) "
                    "ON CONFLICT (source) DO UPDATE SET offset = excluded.offset, about = excluded.about",
                    request.read,
                )
            if request.operation is not None:
                self._operate(request)

    def _operate(self, request: Request) -> None:
        assert request.operation is not None
        self._db.execute("SAVEPOINT request")
        try:
            request.answer = request.operation(self._db)
        except Exception as error:
            if not _is_its_own(error):
                raise
            self._db.execute("ROLLBACK TO request")
            request.error = error
        self._db.execute("RELEASE request")

    def _fill_at_once(self, group: Group) -> bool:
        events = [event for request in group.requests for event in request.events]
        if not events:
            return True
        self._db.execute("SAVEPOINT whole")
        try:
            self._db.executemany(INSERT, to_rows(events, self._base + group.first_seq, group.committed_us))
        except Exception as error:
            if not _is_its_own(error):
                raise
            # An id that is there already, most likely; whose request it is shows when they are taken one by one.
            self._db.execute("ROLLBACK TO whole")
            self._db.execute("RELEASE whole")
            return False
        self._db.execute("RELEASE whole")
        group.events = events
        seq = group.first_seq
        for request in group.requests:
            count = len(request.events)
            if count:
                request.answer = Appended(
                    count, 0, self._epoch, seq, seq + count - 1, range(seq, seq + count)
                )
                seq += count
        return True

    def _fill_one_by_one(self, group: Group) -> None:
        for request in group.requests:
            if not request.events:
                continue
            self._db.execute("SAVEPOINT request")
            try:
                fresh = self._insert(request, group)
            except Exception as error:
                if not _is_its_own(error):
                    raise
                self._db.execute("ROLLBACK TO request")
                request.error = error
            else:
                group.events.extend(fresh)
            self._db.execute("RELEASE request")

    def _insert(self, request: Request, group: Group) -> list[Event]:
        """Insert what is new of one request. Raises Conflict, with every item that conflicts."""
        first = group.first_seq + len(group.events)
        fresh: list[Event] = []
        seqs: list[int] = []
        conflicts: list[tuple[int, str]] = []
        elsewhere: dict[int, str] = {}
        own: dict[str, tuple[Event, int, int]] = {}
        for index, event in enumerate(request.events):
            found = own.get(event.id) or self._stored(event.id)
            if found is None:
                seq = first + len(fresh)
                own[event.id] = (event, seq, self._ordinal)
                fresh.append(event)
                seqs.append(seq)
            elif body_hash(found[0]) == body_hash(event):
                seqs.append(found[1])
                if found[2] != self._ordinal:
                    elsewhere[index] = self._epoch_of(found[2])
            else:
                conflicts.append((index, event.id))
        if conflicts:
            raise Conflict(conflicts)
        self._db.executemany(INSERT, to_rows(fresh, self._base + first, group.committed_us))
        request.answer = Appended(
            accepted=len(fresh),
            duplicates=len(request.events) - len(fresh),
            epoch=self._epoch,
            first_seq=first if fresh else None,
            last_seq=first + len(fresh) - 1 if fresh else None,
            seqs=tuple(seqs),
            elsewhere=elsewhere,
        )
        return fresh

    def _epoch_of(self, ordinal: int) -> str:
        epoch: str = self._db.execute("SELECT epoch FROM epochs WHERE ord = ?", (ordinal,)).fetchone()[0]
        return epoch

    def _stored(self, event_id: str) -> tuple[Event, int, int] | None:
        """The event of this id, its seq, and the ordinal of its epoch."""
        row: Row | None = self._db.execute(
            f"SELECT {COLUMNS} FROM events WHERE id = ?",  # noqa: S608 - a constant
            (id_bytes(event_id),),
        ).fetchone()
        return None if row is None else (to_event(row), row[0] & SEQ_MASK, row[0] >> SEQ_BITS)


def _is_its_own(error: Exception) -> bool:
    """Whether an error is that of one request, be it ours or a bug: it fails alone, with that. What the store says concerns all."""
    return fault_of(error) == "bug"
