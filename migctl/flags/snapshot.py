"""Snapshot: what one process holds of flags, and how two of them become one. Pure: no clock, no store.

Up is a row that somebody wrote to the record; it has a number, and the higher number counts. Down is a brake: it needs nobody, is
kept by everybody who heard of it, and only an up row that names it ends it. So merging is commutative, associative and idempotent,
and whatever old store comes back, no share rises by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TypeVar
from uuid import UUID, uuid5

import msgspec

from migctl.flags.definitions import FlagSet, Invalid, read
from migctl.flags.segments import segments_of
from migctl.flags.shares import ALL, EVERYTHING, Shares, shares_of

T = TypeVar("T")

# Ids of brakes that are derived, so that whoever derives one derives the same.
_DERIVED = UUID("6f1d7a52-3a53-4b0c-9a53-7d7bd7c5a9f1")


class Brake(msgspec.Struct, frozen=True, kw_only=True):
    """No more than `max_percent` of a split may have the opened variant of a flag, until an up row names this id.

    split: `all`, a segment's name, or `everything`. by, at, reason: who pulled it, when (RFC 3339), and why.
    """

    id: str
    flag: str
    max_percent: float
    split: str = ALL
    by: str = ""
    at: str = ""
    reason: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the flag set, as the record has it.

    n: higher is newer. id: of this row; two rows of one n are told apart by it. lifts: ids of the brakes that it ends.
    document: the flag set in flagd's format. by, at, reason: who wrote it, when, and why.
    """

    n: int
    id: str
    document: object
    lifts: tuple[str, ...] = ()
    by: str = ""
    at: str = ""
    reason: str = ""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a process uses, keeps on disk and hands on. target: whose it is; another target's is never merged.

    rows: those of the highest n that can be read; more than one only where the record gave an n twice. brakes: all that were ever
    heard of. lifts: the lowest n of a row that lifts a brake, by the brake's id; never forgotten.
    unreadable_n: the highest n whose document can't be read, where that is above all others: an alarm.
    """

    target: str
    rows: tuple[Row, ...] = ()
    brakes: Mapping[str, Brake] = {}
    lifts: Mapping[str, int] = {}
    unreadable_n: int = 0

    @property
    def n(self) -> int:
        """The number of the flag set in use; 0 before the first."""
        return self.rows[0].n if self.rows else 0

    def live_brakes(self, flag: str | None = None) -> list[Brake]:
        """Those in force, the strictest first: a lift counts only for who uses a flag set of its number or a later one."""
        found = [
            brake
            for brake in self.brakes.values()
            if (flag is None or brake.flag == flag) and not self._is_lifted(brake.id)
        ]
        return sorted(found, key=lambda brake: (brake.max_percent, brake.id))

    def _is_lifted(self, brake_id: str) -> bool:
        lifted_at = self.lifts.get(brake_id)
        return lifted_at is not None and lifted_at <= self.n

    def with_brake(self, brake: Brake) -> Snapshot:
        """Having heard of a brake."""
        return merged(self, Snapshot(target=self.target, brakes={brake.id: brake}))

    def with_row(self, row: Row) -> Snapshot:
        """Having heard of a row."""
        return merged(self, of_row(self.target, row))


class OtherTarget(ValueError):
    """A store that several targets share has another one's flags: they are ignored, with an alarm."""


def of_row(target: str, row: Row) -> Snapshot:
    """What one row says by itself."""
    lifts = dict.fromkeys(row.lifts, row.n)
    try:
        read(row.document)
    except Invalid:
        return Snapshot(target=target, lifts=lifts, unreadable_n=row.n)
    return Snapshot(target=target, rows=(row,), lifts=lifts)


def merged(a: Snapshot, b: Snapshot) -> Snapshot:
    """What both say together. Raises OtherTarget."""
    if a.target != b.target:
        raise OtherTarget(f"flags of {b.target}, and these are those of {a.target}")
    n = max(a.n, b.n)
    rows: dict[str, Row] = {}
    for row in (*a.rows, *b.rows):
        if row.n == n:
            rows[row.id] = _one(row, rows.get(row.id, row))
    brakes = dict(a.brakes)
    for brake in b.brakes.values():
        brakes[brake.id] = _one(brake, brakes.get(brake.id, brake))
    lifts = dict(a.lifts)
    for brake_id, lifted_at in b.lifts.items():
        lifts[brake_id] = min(lifted_at, lifts.get(brake_id, lifted_at))
    unreadable = max(a.unreadable_n, b.unreadable_n)
    return Snapshot(
        target=a.target,
        rows=tuple(rows[row_id] for row_id in sorted(rows)),
        brakes=brakes,
        lifts=lifts,
        unreadable_n=unreadable if unreadable > n else 0,
    )


def _one(a: T, b: T) -> T:
    """Of two with one id, the same whatever the order: stores spell times in ways of their own. Of two brakes the lower."""
    if a == b:
        return a
    return min(
        a, b, key=lambda each: (getattr(each, "max_percent", 0), msgspec.json.encode(each, order="sorted"))
    )


def lacks(has: Snapshot, held: Snapshot) -> bool:
    """Whether a store that has `has` is to be sent `held`: a newer row, a brake, or an earlier lift. By ids, not by spelling."""
    ids = {row.id for row in has.rows}
    return (
        (held.n >= has.n and any(row.id not in ids for row in held.rows))
        or not has.brakes.keys() >= held.brakes.keys()
        or any(brake_id not in has.lifts or has.lifts[brake_id] > n for brake_id, n in held.lifts.items())
    )


def all_merged(target: str, snapshots: Iterable[Snapshot]) -> Snapshot:
    return reduce(merged, snapshots, Snapshot(target=target))


def flag_sets(snapshot: Snapshot) -> list[FlagSet]:
    """The flag sets in use, each of which caps the others; one, but where the record gave a number twice; none before the first."""
    return [read(row.document) for row in snapshot.rows]


def to_confirm(brakes: Iterable[Brake], written: Shares | None) -> list[Brake]:
    """Those that whoever raises a share has to be shown: what hold less than what is written.

    | its split        | it is passed over                                             |
    |------------------|---------------------------------------------------------------|
    | `all`, a segment | at or above the written share: whoever pulled it went there   |
    | `everything`     | never: that was an alarm                                      |
    """
    return [
        brake
        for brake in brakes
        if written is None or brake.split == EVERYTHING or brake.max_percent < written.of(brake.split)
    ]


def naming(shares: Shares, brakes: Iterable[Brake], flag_set: FlagSet) -> Shares:
    """With each segment named that a brake is for: one that had the share of all until now, and nothing of its own to be capped."""
    known = segments_of(flag_set)
    segments = dict(shares.segments)
    for brake in brakes:
        if brake.split in known:
            segments.setdefault(brake.split, shares.percent)
    return msgspec.structs.replace(shares, segments=segments)


def effective(shares: Shares, brakes: Iterable[Brake]) -> Shares:
    """What is left of the shares under these brakes."""
    for brake in brakes:
        shares = shares.capped(brake.split, brake.max_percent)
    return shares


def went_back(
    held: Snapshot, head: Row | None, flag: str, opened: str, otherwise: str, *, at: str = ""
) -> list[Brake]:
    """The brakes that a record pulls which is older than what a process holds: it was put back from a backup.

    Nobody may keep more than it says: each share that it has lower becomes a brake at that. Ids are derived from both rows, so
    every process that sees this makes the same. head: the record's newest row; None where it is empty.
    """
    if not held.rows or (head is not None and head.n >= held.n):
        return []
    found: dict[str, Brake] = {}
    for row in held.rows:
        for split, percent in _lower(row, head, flag, opened, otherwise).items():
            head_id, head_n = (head.id, head.n) if head is not None else ("", 0)
            brake_id = str(uuid5(_DERIVED, f"{row.id}/{head_id}/{flag}/{split}"))
            reason = f"the record went back from n {held.n} to {head_n}"
            found[brake_id] = Brake(
                id=brake_id, flag=flag, max_percent=percent, split=split, by="migctl", at=at, reason=reason
            )
    return list(found.values())


def _lower(mine: Row, head: Row | None, flag: str, opened: str, otherwise: str) -> dict[str, float]:
    """Splits of which the head has less than `mine`, and how much; `everything` at 0 where that can't be compared."""
    shares, of_head = (
        shares_in(row, flag, opened, otherwise) if row is not None else None for row in (mine, head)
    )
    if shares is None or of_head is None:
        return {EVERYTHING: 0.0}
    lost = [
        user
        for user, variant in shares.users.items()
        if variant == opened and of_head.users.get(user) != opened
    ]
    if lost:
        return {EVERYTHING: min([of_head.percent, *of_head.segments.values()])}
    splits = (ALL, *shares.segments, *of_head.segments)
    return {split: of_head.of(split) for split in splits if of_head.of(split) < shares.of(split)}


def shares_in(row: Row, flag: str, opened: str, otherwise: str) -> Shares | None:
    """The shares of a flag in a row; None where the flag is not there, can't be read, or says something else."""
    try:
        found = read(row.document).flags.get(flag)
    except Invalid:
        return None
    return shares_of(found, opened, otherwise) if found is not None else None
