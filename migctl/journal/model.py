"""What a journal answers with: what was appended, its epochs, its dead letters, and how far it is known to have been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from migctl.events import Position


class Bookmark(NamedTuple):
    """How far a source was read. offset: bytes. about: how the source knows again what it read; the journal does not ask."""

    source: str
    offset: int
    about: str = ""


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
Outcome = Literal["retried", "renewed", "dismissed"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A poison event that waits for the operator: it stays in the journal, and stands in the table as a tombstone.

    code, reason: the database's own. outcome, settled_at: what was done about it, and when; None while it waits.
    new_id: of the event that it was renewed as. settled_by, why: who dismissed it, and in whose words.
    """

    position: Position
    event_id: str
    code: str
    reason: str
    at: datetime
    outcome: Outcome | None = None
    settled_at: datetime | None = None
    new_id: str | None = None
    settled_by: str | None = None
    why: str | None = None

    @property
    def state(self) -> Literal["waiting", "retried", "renewed", "dismissed"]:
        return self.outcome or "waiting"


@dataclass(frozen=True, slots=True)
class Mark:
    """A high-water mark: the journal of this writer had `head` in `epoch`, for certain; and before it these, oldest first.

    What came before them is not known any more; a table that was ever asked has heard of it.
    """

    writer_id: str
    epoch: str
    head: int
    at: datetime
    before: tuple[tuple[str, int], ...] = ()
