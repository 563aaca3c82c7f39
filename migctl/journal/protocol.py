"""Journal: the durable outbox and the truth. Append-only, contiguous `seq` from 1 within an `epoch`.

Two promises hold for every implementation: what `append` acknowledged survives kill -9 at any point, and a seq, once given, never
means another event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

import msgspec

from migctl.errors import MigctlError, Transient
from migctl.events import Entry, Event, Position


class Appended(msgspec.Struct, frozen=True, gc=False):
    """The answer to one request.

    accepted, duplicates: counts; duplicates were durable before.
    first_seq, last_seq: of what was accepted, contiguous; None where nothing was.
    seqs: one an event of the request, in its order; a duplicate's is the one it has had since it came first.
    elsewhere: by index in the request, the epoch of a duplicate that came before this one began.
    """

    accepted: int
    duplicates: int
    epoch: str
    first_seq: int | None
    last_seq: int | None
    seqs: Sequence[int]
    elsewhere: Mapping[int, str] = {}

    def positions(self) -> list[Position]:
        """Where each event of the request is."""
        epoch, elsewhere = self.epoch, self.elsewhere
        if not elsewhere:
            return [Position(epoch, seq) for seq in self.seqs]
        return [Position(elsewhere.get(index, epoch), seq) for index, seq in enumerate(self.seqs)]

    def is_new(self) -> list[bool]:
        """For each event of the request, whether it was not there before, in the request itself neither."""
        if not self.duplicates:
            return [True] * len(self.seqs)
        first = self.first_seq
        seen: set[int] = set()
        found = []
        for index, seq in enumerate(self.seqs):
            found.append(
                first is not None and seq >= first and seq not in seen and index not in self.elsewhere
            )
            seen.add(seq)
        return found


# First and last seq of the epoch before, both lost.
Lost = tuple[int, int]


@dataclass(frozen=True, slots=True)
class EpochInfo:
    """One unbroken history.

    lost_from..lost_to: seqs of prev_epoch that neither journal nor table has; None where nothing was lost.
    head, tail: the last seq that it has, and the first that is still held. reason: why it was opened; None for the first.
    """

    epoch: str
    prev_epoch: str | None
    lost_from: int | None
    lost_to: int | None
    started_at: datetime
    head: int = 0
    tail: int = 1
    reason: str | None = None

    @property
    def lost(self) -> Lost | None:
        return None if self.lost_from is None or self.lost_to is None else (self.lost_from, self.lost_to)


# What an operator did about a dead letter: its row was written after all, or its event was appended anew.
Outcome = Literal["retried", "renewed"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A poison event that waits for the operator: it stays in the journal, and stands in the table as a tombstone.

    code, reason: the database's own. outcome, settled_at: what was done about it, and when; None while it waits.
    new_id: of the event that it was renewed as.
    """

    position: Position
    event_id: str
    code: str
    reason: str
    at: datetime
    outcome: Outcome | None = None
    settled_at: datetime | None = None
    new_id: str | None = None

    @property
    def state(self) -> Literal["waiting", "retried", "renewed"]:
        return self.outcome or "waiting"


class Conflict(MigctlError):
    """The same id came with another body. Nothing of the request was stored.

    conflicts: (index in the request, event id), all of them.
    """

    exit_code = 1

    def __init__(self, conflicts: Sequence[tuple[int, str]]) -> None:
        first = conflicts[0]
        super().__init__(
            f"event {first[1]} (item {first[0]}) is in the journal already, with another body",
            do="give the changed event an id of its own; nothing of this request was stored",
        )
        self.conflicts = tuple(conflicts)


class JournalUnavailable(Transient):
    """The journal can't take events now: full, draining, or its disk failed."""


class JournalBroken(JournalUnavailable):
    """Its disk failed for good: it takes no events any more until it is opened anew."""


@runtime_checkable
class Journal(Protocol):
    """Open for writing by one process (SQLite) or by many (Redis Streams)."""

    @property
    def epoch(self) -> str: ...

    @property
    def writer_id(self) -> str: ...

    @property
    def head(self) -> int:
        """The last durable seq of the epoch; 0 when it has none."""
        ...

    @property
    def tail(self) -> int:
        """The first seq of the epoch that is still held; 1 when it has had none."""
        ...

    async def append(self, events: Sequence[Event], *, offset: tuple[str, int] | None = None) -> Appended:
        """Store the events of one request, all or none, and return once they are durable.

        offset: (source, byte offset) stored in the same transaction, for a file that is read again after a crash.
        Idempotent by event id: an event that is there with the same body counts as a duplicate.
        Raises Conflict, JournalUnavailable.
        """
        ...

    async def read(
        self, after: int, *, epoch: str | None = None, limit: int = 1000, max_bytes: int = 8 << 20
    ) -> list[Entry]:
        """Entries with seq > after, in order, contiguous; at least one where there is one.

        epoch: one that `epochs` has; None is the open one.
        """
        ...

    async def get(self, event_id: str) -> Entry | None:
        """The newest entry with this id."""
        ...

    async def wait(self, after: int) -> int:
        """Return the head once it is above `after`, or once another epoch was opened."""
        ...

    def follow(self, after: int) -> AsyncIterator[list[Entry]]:
        """Batches of what comes after `after`, contiguous, for ever; into each next epoch from its first seq on.

        Several may follow at once.
        """
        ...

    async def offset(self, source: str) -> int | None:
        """The stored offset of a file source; None where it was never read."""
        ...

    async def cursor(self, name: str) -> Position | None:
        """A durable position of ours; None where it was never moved."""
        ...

    async def move_cursor(self, name: str, position: Position) -> None:
        """Move it and return once that is durable. Raises ValueError for a move backwards within an epoch."""
        ...

    async def epochs(self) -> list[EpochInfo]:
        """All epochs that this journal knows of, oldest first; the last is the open one."""
        ...

    async def open_epoch(
        self, prev_epoch: str, *, lost: Lost | None, reason: str, keep_to: Mapping[str, int] | None = None
    ) -> EpochInfo:
        """End the open epoch and begin another, durable when this returns; said aloud.

        prev_epoch: what readers cross from; lost: of it, what neither journal nor table has.
        keep_to: by epoch, the last seq that keeps its place; what is above it is moved to the new epoch, from seq 1 on.
        """
        ...

    async def link_epoch(
        self, epoch: str, *, prev_epoch: str | None, lost: Lost | None, reason: str | None = None
    ) -> None:
        """Say what `epoch`, which no reader has heard of yet, follows, and what was lost before it. A reason is said aloud."""
        ...

    async def uncompared(self) -> Position | None:
        """After which position events were taken that no table was asked about; None where there are none."""
        ...

    async def compared(self) -> None:
        """The table was asked, and what it said is done; durable when this returns."""
        ...

    async def bury(self, letter: DeadLetter) -> bool:
        """Record a dead letter. False where its position has one: that one stays as it is."""
        ...

    async def settle(
        self, position: Position, outcome: Outcome, at: datetime, *, new_id: str | None = None
    ) -> None:
        """Say what was done about a dead letter; it is kept. `retried` stands: a renewal after it only adds its id."""
        ...

    async def dead_letters(self, *, limit: int = 1000) -> list[DeadLetter]:
        """The newest first."""
        ...

    async def count_dead_letters(self) -> tuple[int, dict[str, int]]:
        """How many wait, and how many there ever were, by code."""
        ...

    async def note(self, key: str) -> str | None:
        """A remark that was set, also by a process before this one; None where there is none."""
        ...

    async def set_note(self, key: str, text: str) -> None:
        """Keep a short text under this key, in the place of the one before; durable when this returns."""
        ...

    async def aclose(self) -> None:
        """Write what was accepted, stop, and let the next writer in."""
        ...
