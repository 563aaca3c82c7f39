"""Retention: what may leave the journal, and when it is full. What is not relayed never leaves.

An event goes once every durable cursor is past it, it is older than `keep.hours`, and `keep.min_events` newer ones are held. Room
that it leaves is used again; the file does not shrink. A journal that is full takes no events until there is room.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from migctl.events.sizes import size
from migctl.journal.sqlite.rows import SEQ_BITS

# One step holds up producers for some milliseconds; between two of them they have their turn.
STEP_EVENTS = 500
STEP_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept at least, and how large the journal may become at most.

    max_bytes: of what is in use in the file; min_free_bytes: of its disk, room in the file included; None is no bound.
    readers: names of the cursors that hold events back; before they all exist nothing goes.
    """

    hours: float = 24.0
    min_events: int = 100_000
    max_bytes: int | None = None
    min_free_bytes: int | None = None
    readers: frozenset[str] = frozenset()
    check_every_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Extent:
    """The seqs of an epoch that are held. ordinal: its place among the epochs, from 1 on."""

    ordinal: int
    epoch: str
    tail: int
    head: int


@dataclass(frozen=True, slots=True)
class Space:
    """used_bytes: by events; reusable_bytes: in the file, of what has gone; free_bytes: of the disk."""

    used_bytes: int
    reusable_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What one step took. more: another step may find something."""

    events: int
    tails: dict[int, int]
    more: bool


def bound(extents: Sequence[Extent], cursors: dict[str, tuple[str, int]], keep: Keep) -> int:
    """The last pos that may go as far as cursors and counts say; 0 where nothing may. Pure.

    extents: oldest first. cursors: name to (epoch, seq).
    """
    if not keep.readers <= cursors.keys():
        return 0
    ordinals = {extent.epoch: extent.ordinal for extent in extents}
    last = (extents[-1].ordinal << SEQ_BITS) + extents[-1].head
    for epoch, seq in cursors.values():
        if epoch not in ordinals:
            return 0  # a position that this journal can't place holds everything back
        last = min(last, (ordinals[epoch] << SEQ_BITS) + seq)
    left = keep.min_events
    for extent in reversed(extents):
        held = extent.head - extent.tail + 1
        if held > left:
            return min(last, (extent.ordinal << SEQ_BITS) + extent.head - left)
        left -= held
    return 0


def trim(database: sqlite3.Connection, keep: Keep, now_us: int) -> Trimmed:
    """Let one step's worth of events go, in the caller's transaction."""
    extents = read_extents(database)
    last = bound(extents, read_cursors(database), keep)
    oldest = next((extent for extent in extents if extent.head >= extent.tail), None)
    if oldest is None or last <= (oldest.ordinal << SEQ_BITS):
        return Trimmed(0, {}, False)
    base = oldest.ordinal << SEQ_BITS
    to = min(last, base + oldest.head, base + oldest.tail + STEP_EVENTS - 1)
    old_enough = now_us - int(keep.hours * 3600e6)
    young = database.execute(
        "SELECT min(pos) FROM events WHERE pos >= ? AND pos <= ? AND committed_at > ?",
        (base + oldest.tail, to, old_enough),
    ).fetchone()[0]
    if young is not None:
        to = young - 1
    if to < base + oldest.tail:
        return Trimmed(0, {}, False)
    database.execute("DELETE FROM events WHERE pos >= ? AND pos <= ?", (base + oldest.tail, to))
    tail = to - base + 1
    database.execute("UPDATE epochs SET tail = ? WHERE ord = ?", (tail, oldest.ordinal))
    return Trimmed(tail - oldest.tail, {oldest.ordinal: tail}, young is None)


def read_extents(database: sqlite3.Connection) -> list[Extent]:
    """Of each epoch, oldest first."""
    return [
        Extent(*row) for row in database.execute("SELECT ord, epoch, tail, head FROM epochs ORDER BY ord")
    ]


def read_cursors(database: sqlite3.Connection) -> dict[str, tuple[str, int]]:
    """Name to (epoch, seq)."""
    return {
        name: (epoch, seq)
        for name, epoch, seq in database.execute("SELECT name, epoch, seq FROM cursors ORDER BY name")
    }


def measure(database: sqlite3.Connection, free_bytes: int) -> Space:
    """free_bytes: of the disk, as the file system says."""
    size, pages, unused = (
        int(database.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    return Space((pages - unused) * size, unused * size, free_bytes)


def why_full(space: Space, keep: Keep) -> str | None:
    """Why no events are taken; None where they are. Pure."""
    if keep.max_bytes is not None and space.used_bytes >= keep.max_bytes:
        return f"the journal is full: {size(space.used_bytes)} in use, and journal.max_bytes is {size(keep.max_bytes)}"
    free = space.free_bytes + space.reusable_bytes
    if keep.min_free_bytes is not None and free < keep.min_free_bytes:
        return f"the journal's disk has {size(free)} left, and journal.min_free_bytes is {size(keep.min_free_bytes)}"
    return None
