"""Journal: the durable outbox and the truth, as four roles. Append-only, contiguous `seq` from 1 within an `epoch`.

Two promises hold for every implementation: what `append` acknowledged survives kill -9 at any point, and a seq, once given, never
means another event. A reader of this page need not know where the journal lies: in a file of one machine, with one process that
writes, or on a server that many share. Whoever takes a journal takes the smallest of the roles that it needs.

Errors. What is asked while the journal is locked or has no room waits, but for `append`, which waits some seconds and raises
JournalStalled. Everything that writes raises JournalBroken once the journal has failed for good, and JournalUnavailable once it
is closed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from migctl.events import Entry, Event, Position
from migctl.journal.model import Appended, Bookmark, DeadLetter, EpochInfo, Lost, Outcome
from migctl.telemetry.metrics import Histogram


@runtime_checkable
class Log(Protocol):
    """The events, in order, and the epochs that they are in.

    epoch, head and tail are as this process knows them: where others write too, they may lag behind what is durable, and never
    lead.
    """

    @property
    def epoch(self) -> str:
        """The open one: that events are appended to."""
        ...

    @property
    def writer_id(self) -> str:
        """Whose history this is: made with the journal, and kept in it for good."""
        ...

    @property
    def head(self) -> int:
        """The last durable seq of the epoch; 0 when it has none."""
        ...

    @property
    def tail(self) -> int:
        """The first seq of the epoch that is still held; 1 when it has had none."""
        ...

    async def append(self, events: Sequence[Event], *, read: Bookmark | None = None) -> Appended:
        """Store the events of one request, all or none, and return once they are durable.

        read: stored in the same transaction, for a file that is read on after a crash.
        Idempotent by event id: an event that is there with the same body counts as a duplicate.
        Raises Conflict, and JournalUnavailable where it takes none now: full, stalled, broken or closed.
        """
        ...

    async def read(
        self, after: int, *, epoch: str | None = None, limit: int = 1000, max_bytes: int = 8 << 20
    ) -> list[Entry]:
        """Entries with seq > after, in order, contiguous; at least one where there is one; empty where there is none.

        epoch: None is the open one; one that `epochs` does not have holds nothing.
        """
        ...

    async def get(self, event_id: str) -> Entry | None:
        """The newest entry with this id; None where none is held."""
        ...

    async def wait(self, after: int) -> int:
        """Return the head once it is above `after`, or once the epoch was rotated."""
        ...

    def follow(self, after: int) -> AsyncIterator[list[Entry]]:
        """Batches of what comes after `after`, contiguous, for ever; into each next epoch from its first seq on.

        Several may follow at once.
        """
        ...

    async def epochs(self) -> list[EpochInfo]:
        """All epochs that this journal knows of, oldest first; the last is the open one."""
        ...

    async def rotate_epoch(
        self,
        ended: str,
        *,
        prev_epoch: str | None = None,
        lost: Lost | None,
        reason: str,
        keep_to: Mapping[str, int] | None = None,
    ) -> EpochInfo:
        """End epoch `ended` and begin the next one, durable when this returns; said aloud.

        prev_epoch: what readers cross from, where it is not `ended`; lost: of it, what neither journal nor table has.
        keep_to: by epoch, the last seq that keeps its place; what is above it is moved to the new epoch, from seq 1 on.
        A compare-and-set: raises EpochMoved where `ended` is not the open epoch, and changes nothing. So it is not repeated by
        accident; two that want the same rotation make one.
        """
        ...

    async def link_epoch(
        self, epoch: str, *, prev_epoch: str | None, lost: Lost | None, reason: str | None = None
    ) -> None:
        """Say what `epoch`, which no reader has heard of yet, follows, and what was lost before it. Idempotent.

        A reason is said aloud. Raises ValueError for an epoch that the journal does not know.
        """
        ...

    async def unconfirmed(self) -> Position | None:
        """After which position events were taken that no table was asked about; None where there are none."""
        ...

    async def confirm(self) -> None:
        """The table was asked, and what it said is done: nothing is unconfirmed. Idempotent; durable when this returns."""
        ...


@runtime_checkable
class Places(Protocol):
    """How far somebody is: durable positions of ours, bookmarks in files, and short texts of those who go on after a restart."""

    async def cursor(self, name: str) -> Position | None:
        """A durable position of ours; None where it was never moved."""
        ...

    async def move_cursor(self, name: str, position: Position) -> None:
        """Move it and return once that is durable. Idempotent. Raises ValueError for a move backwards within an epoch."""
        ...

    async def set_cursor_back(self, name: str, position: Position) -> None:
        """Let it stand here, whatever is before or after: what was carried from here on is gone. Durable when this returns."""
        ...

    async def bookmark(self, source: str) -> Bookmark | None:
        """How far `append` has stored a file source; None where it was never read."""
        ...

    async def note(self, key: str) -> str | None:
        """A remark that was set, also by a process before this one; None where there is none."""
        ...

    async def set_note(self, key: str, text: str) -> None:
        """Keep a short text under this key, in the place of the one before; durable when this returns. Idempotent."""
        ...


@runtime_checkable
class DeadLetters(Protocol):
    """The poison events that wait for the operator, and what was done about each. None is ever deleted."""

    async def add_dead_letter(self, letter: DeadLetter) -> bool:
        """Keep one, durable when this returns. Idempotent: False where its position has one, which stays as it is."""
        ...

    async def settle_dead_letter(
        self,
        position: Position,
        outcome: Outcome,
        at: datetime,
        *,
        new_id: str | None = None,
        by: str | None = None,
        why: str | None = None,
    ) -> None:
        """Say what was done about it; durable when this returns. Idempotent.

        `retried` stands: a renewal after it only adds its id. by, why: stand once they are given. Where no dead letter has this
        position, nothing is done.
        """
        ...

    async def dead_letters(self, *, limit: int = 1000) -> list[DeadLetter]:
        """The newest first. limit: -1 is all of them."""
        ...

    async def count_dead_letters(self) -> tuple[int, dict[str, int]]:
        """How many wait, and how many there ever were, by code."""
        ...


@runtime_checkable
class Room(Protocol):
    """How full the journal is, until when there is room, what holds it up now, and what ended it."""

    @property
    def location(self) -> str:
        """What an operator calls it: the path of a file, or the address of a server, without its secrets."""
        ...

    @property
    def size_bytes(self) -> int:
        """What it occupies where it lies, as far as that is known now."""
        ...

    @property
    def full(self) -> str | None:
        """Why no events are taken for want of room, with its bound; None where they are."""
        ...

    @property
    def full_in_hours(self) -> float | None:
        """When it is full at the present rate; None where it never is, and where that is not known yet."""
        ...

    @property
    def full_first(self) -> Literal["journal", "disk"] | None:
        """What is full then: the journal, by its own bound, or the disk, which others fill too."""
        ...

    @property
    def stalled(self) -> str | None:
        """What the last write could not get past, and may get past a moment later; None since one got through."""
        ...

    @property
    def stalled_do(self) -> str | None:
        """What to do about it; None while it is not stalled."""
        ...

    @property
    def commit_seconds(self) -> Histogram:
        """How long it took to make events durable."""
        ...

    def keep_by(
        self, *, retain_hours: float, retain_min_events: int, max_bytes: int, min_free_bytes: int
    ) -> None:
        """Keep and bound by these from now on; nothing changes where it was opened without bounds."""
        ...

    async def failure(self) -> Exception:
        """Return once the journal has failed for good: its owner must end with what is returned (exit 70).

        JournalBroken where its disk failed; else the error of ours on which one of its parts ended, with its trace. Several may
        wait.
        """
        ...


@runtime_checkable
class Journal(Log, Places, DeadLetters, Room, Protocol):
    """All of it, for who owns it. Open for writing by one process (SQLite) or by many (Redis Streams)."""

    async def aclose(self) -> None:
        """Write what was accepted, stop, and let the next writer in. Idempotent."""
        ...
