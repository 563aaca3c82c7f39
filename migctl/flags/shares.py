"""Shares: a flag that opens one variant to users, segments and a percentage, as data; and as the rule of flagd. Pure.

A user who is assigned comes before a segment, a segment before the percentage. Of two segments the one that is named first decides.
The opened variant stands first in every split, so that raising a share moves nobody who had it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from migctl.events.jsontext import read_as, typed
from migctl.flags.definitions import Flag
from migctl.flags.logic import TARGETING_KEY

# A segment is a rule of the flag set itself, so that any evaluator of flagd knows who is in it.
SEGMENT = "segment."

# Splits of a brake that are no segment's name.
ALL = "all"
EVERYTHING = "everything"

_WHOLE = 10_000  # weights are hundredths of a percent


class Shares(msgspec.Struct, frozen=True):
    """Who has `opened`; the rest has `otherwise`. Percentages are 0 to 100, in hundredths at the finest.

    users: variant by targeting key. segments: percent by name, in the order that decides. percent: of everybody else.
    assigned_percent: of the users who are assigned to `opened`; below 100 only under a brake.
    """

    opened: str
    otherwise: str
    users: Mapping[str, str] = {}
    segments: Mapping[str, float] = {}
    percent: float = 0.0
    assigned_percent: float = 100.0

    def __post_init__(self) -> None:
        for percent in (self.percent, self.assigned_percent, *self.segments.values()):
            if not 0 <= percent <= 100 or round(percent * 100) != round(percent * 100, 6):
                raise ValueError(f"a share is 0 to 100 percent, in hundredths at the finest, got {percent!r}")
        for name in self.segments:
            if name in (ALL, EVERYTHING) or not name:
                raise ValueError(f"a segment can't be called {name!r}")
        for user, variant in self.users.items():
            if variant not in (self.opened, self.otherwise):
                raise ValueError(
                    f"user {user!r} is assigned to {variant!r}, which is neither of the two variants"
                )

    def of(self, split: str) -> float:
        """The share of `all`, or of a segment. A segment that is not named has that of all."""
        return self.percent if split == ALL else self.segments.get(split, self.percent)

    def capped(self, split: str, max_percent: float) -> Shares:
        """With no share of this split above `max_percent`: what is kept are the users that a lower share would have.

        split: `all` caps the percentage, a segment's name that segment, `everything` those, all segments and who is assigned.
        """
        percent, assigned, segments = self.percent, self.assigned_percent, dict(self.segments)
        if split in (ALL, EVERYTHING):
            percent = min(percent, max_percent)
        if split == EVERYTHING:
            assigned = min(assigned, max_percent)
            segments = {name: min(share, max_percent) for name, share in segments.items()}
        elif split in segments:
            segments[split] = min(segments[split], max_percent)
        return msgspec.structs.replace(self, percent=percent, assigned_percent=assigned, segments=segments)

    def targeting(self) -> dict[str, object]:
        """The rule of flagd that says this."""
        cases: list[object] = []
        for variant in (self.opened, self.otherwise):
            users = sorted(user for user, has in self.users.items() if has == variant)
            if users:
                cases += [{"in": [{"var": TARGETING_KEY}, users]}, self._assigned(variant)]
        for name, percent in self.segments.items():
            cases += [{"$ref": f"{SEGMENT}{name}"}, self._split(percent)]
        rest = self._split(self.percent)
        return {"if": [*cases, rest]} if cases else rest

    def _assigned(self, variant: str) -> object:
        if variant == self.opened and self.assigned_percent < 100:
            return self._split(self.assigned_percent)
        return variant

    def _split(self, percent: float) -> dict[str, object]:
        whole = 100 if float(percent).is_integer() else _WHOLE
        weight = round(percent * whole / 100)
        return {"fractional": [[self.opened, weight], [self.otherwise, whole - weight]]}


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    fractional: tuple[tuple[str, int], tuple[str, int]]

    @property
    def percent(self) -> float:
        (_, weight), (_, rest) = self.fractional
        return 100 * weight / (weight + rest)


class _User(msgspec.Struct, forbid_unknown_fields=True, rename={"in_": "in"}):
    in_: tuple[dict[str, str], list[str]]


class _Segment(msgspec.Struct, forbid_unknown_fields=True, rename={"ref": "$ref"}):
    ref: str


class _If(msgspec.Struct, forbid_unknown_fields=True, rename={"if_": "if"}):
    if_: list[msgspec.Raw]


def shares_of(flag: Flag, opened: str, otherwise: str) -> Shares | None:
    """The shares that a flag's rule says; None where it says something else, which only its author can change."""
    try:
        shares = _read(msgspec.json.encode(flag.targeting), opened, otherwise)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, TypeError, LookupError, RecursionError):
        return None
    # Whatever was read must say the very same: a rule that is only alike is somebody's own.
    return shares if shares is not None and shares.targeting() == flag.targeting else None


_outcome: msgspec.json.Decoder[str | _Split] = msgspec.json.Decoder(str | _Split)


def _read(rule: bytes, opened: str, otherwise: str) -> Shares | None:
    cases: list[bytes] = [rule]
    if rule.startswith(b'{"if"'):
        cases = [bytes(case) for case in read_as(rule, _If).if_]
    users: dict[str, str] = {}
    segments: dict[str, float] = {}
    assigned = 100.0
    for condition, outcome in zip(cases[:-1:2], cases[1:-1:2], strict=True):
        variant: str | _Split = typed(_outcome, outcome)
        if condition.startswith(b'{"$ref"'):
            if not isinstance(variant, _Split):
                return None
            segments[read_as(condition, _Segment).ref.removeprefix(SEGMENT)] = variant.percent
            continue
        if isinstance(variant, _Split):
            assigned = variant.percent
            variant = opened
        users.update(dict.fromkeys(read_as(condition, _User).in_[1], variant))
    rest = read_as(cases[-1], _Split)
    return Shares(opened, otherwise, users, segments, rest.percent, assigned)
