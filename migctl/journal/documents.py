"""What a journal says to people and machines of what it holds, and whether it holds together. Keys carry their unit.

Times are texts, with their microseconds, as in an export.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class OpenIn(Struct, frozen=True, kw_only=True):
    """Which process has a journal open for writing, and since when."""

    pid: int
    since: str


class EpochHeld(Struct, frozen=True, kw_only=True):
    """An epoch. lost_from, lost_to: of the one before it; None where nothing is known to be lost."""

    epoch: str
    prev_epoch: str | None
    started_at: str
    tail: int
    head: int
    lost_from: int | None
    lost_to: int | None
    reason: str | None


class CursorHeld(Struct, frozen=True, kw_only=True):
    """A durable position. behind_events: after it; None for one that the journal can't place."""

    name: str
    epoch: str
    seq: int
    behind_events: int | None


class Inventory(Struct, frozen=True, kw_only=True):
    """`migctl journal status`. epoch, head, tail: of the open one. reusable_bytes: free in the file itself.

    held_back_hours: how old the oldest event is that some cursor has not passed. full: why no event is taken for want of room.
    full_in_hours: None for never, at the rate of its events. full_first: what is full then.
    max_bytes, min_free_bytes: None for no bound. open_in: None where no process writes.
    """

    schema: Literal["migctl.journal.status/1"] = "migctl.journal.status/1"
    path: str
    writer_id: str
    open_in: OpenIn | None
    epoch: str
    head: int
    tail: int
    epochs: list[EpochHeld]
    cursors: list[CursorHeld]
    dead_letters: int
    events_held: int
    used_bytes: int
    reusable_bytes: int
    log_bytes: int
    disk_free_bytes: int
    max_bytes: int | None
    min_free_bytes: int | None
    retain_hours: float
    retain_min_events: int
    rate_events_per_s: float
    held_back_hours: float
    full: str | None
    full_in_hours: float | None
    full_first: Literal["journal", "disk"] | None = None


class HighWater(Struct, frozen=True, kw_only=True):
    """What the high-water mark knows of."""

    epoch: str
    seq: int


class Verification(Struct, frozen=True, kw_only=True):
    """`migctl journal verify`. epochs, events: how many. problems: empty where the journal holds together."""

    schema: Literal["migctl.journal.verify/1"] = "migctl.journal.verify/1"
    path: str
    writer_id: str
    epochs: int
    events: int
    high_water: HighWater | None
    at: str
    problems: list[str]
    verdict: Literal["pass", "fail"]
