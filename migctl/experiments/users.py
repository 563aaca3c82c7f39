"""Users: whom an experiment counts, of the lines of its log, and whether they fit the share by which they were drawn. Pure.

| a user's lines of the time | counted |
|---|---|
| none that was drawn | apart, by the reason of the last |
| drawn, of one variant | for that variant |
| drawn, of several: the share was raised meanwhile | apart: `crossed`; for the share by the first |
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Literal

import msgspec

from migctl.experiments.lines import Line
from migctl.experiments.statistics import ratio_p

# Below so many users that were to be expected on either side chi-square says nothing.
_LEAST_EXPECTED = 5


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Users who were drawn by one share. expected: how many of them were to have the opened variant."""

    segment: str | None
    percent: float
    users: int
    opened: int
    expected: float


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the users fit the shares. p: None where there are too few, or the shares are not known."""

    verdict: Literal["pass", "fail", "inconclusive"]
    p: float | None
    parts: list[Part]


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """variants: users of each. elsewhere: of these, how many were sent to another transport meanwhile. excluded: users by reason.

    kept: of those who were drawn, how many count by an older share than that of the day, which a sticky experiment keeps them at.
    unreadable: lines of the log.
    """

    variants: dict[str, int]
    elsewhere: dict[str, int]
    excluded: dict[str, int]
    ratio: Ratio
    kept: int = 0
    unreadable: int = 0


def users_of(lines: Iterable[Line | None], flag: str, opened: str, min_ratio_p: float) -> Users:
    """lines: in the order of time; None for one that can't be read."""
    unreadable = 0
    first: dict[str, Line] = {}
    has: defaultdict[str, set[str]] = defaultdict(set)
    elsewhere: defaultdict[str, set[str]] = defaultdict(set)
    apart: dict[str, str] = {}
    for line in lines:
        if line is None:
            unreadable += 1
        elif line.flag != flag:
            continue
        elif not line.drawn:
            apart[line.user] = _why(line)
        else:
            first.setdefault(line.user, line)
            has[line.user].add(line.assigned)
            if line.transport is not None and line.transport != line.assigned:
                elsewhere[line.assigned].add(line.user)
    single = {user: next(iter(of)) for user, of in has.items() if len(of) == 1}
    excluded = Counter(why for user, why in apart.items() if user not in has)
    excluded["crossed"] = len(has) - len(single)
    return Users(
        variants=dict(sorted(Counter(single.values()).items())),
        elsewhere={variant: len(users & single.keys()) for variant, users in sorted(elsewhere.items())},
        excluded={why: count for why, count in sorted(excluded.items()) if count},
        ratio=_ratio(first.values(), opened, min_ratio_p),
        kept=sum(line.kept for line in first.values()),
        unreadable=unreadable,
    )


def _why(line: Line) -> str:
    if line.named:
        return "assigned by name"
    return line.reason if line.percent not in (0, 100) else "a share of nobody or everybody"


def _ratio(first: Iterable[Line], opened: str, min_p: float) -> Ratio:
    counts: defaultdict[tuple[str, float], Counter[bool]] = defaultdict(Counter)
    for line in first:
        if line.percent is not None:
            counts[line.segment or "", line.percent][line.assigned == opened] += 1
    parts = [
        Part(
            segment=segment or None,
            percent=percent,
            users=count.total(),
            opened=count[True],
            expected=count.total() * percent / 100,
        )
        for (segment, percent), count in sorted(counts.items())
    ]
    tested = [
        (one.users, one.opened, one.percent / 100)
        for one in parts
        if min(one.expected, one.users - one.expected) >= _LEAST_EXPECTED
    ]
    if not tested:
        return Ratio(verdict="inconclusive", p=None, parts=parts)
    p = ratio_p(tested)
    return Ratio(verdict="fail" if p < min_p else "pass", p=p, parts=parts)
