"""Availability and silence of a subscriber, from when events were committed and when it released them. Pure; times in seconds.

An event is overdue from `grace_s` after its commit until its release. A second of a subscriber is missed when anything was overdue
in it. Without grace, the events that came within LIVE_S are not overdue at all (with hundreds a second one is always on its way),
and the others are from their commit on: so an outage counts with its whole length, and no two seconds of it are excused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, floor, inf
from typing import Literal

Transport = Literal["websocket", "realtime"]

GRACE_S = 2.0
# What is promised of live delivery: later than this is not on its way any more, it is late.
LIVE_S = 0.1


@dataclass(frozen=True)
class Fault:
    """One that was armed, and when it was lifted. held: when it was wholly there; to arm some takes seconds. None: at once.

    to: the transport that it sends users to, where it is a command that moves them.
    """

    name: str
    armed: float
    lifted: float
    held: float | None = None
    to: Transport | None = None


@dataclass(frozen=True)
class Releases:
    """What one subscriber wanted and what it got.

    committed: when each event that it wants was committed, in seq order. arrived: when it first came, in the same order; inf for
    one that never did. It releases in order, so an event that came before one that was missing was released with that. A client
    of the old protocol has no order to keep (in_order False): what it missed is over with the next event that it gets.
    """

    committed: Sequence[float]
    arrived: Sequence[float]
    in_order: bool = True

    @property
    def released(self) -> list[float]:
        if self.in_order:
            return list(accumulate(self.arrived, max))
        return list(accumulate(reversed(self.arrived), min))[::-1]


def missed_seconds(
    releases: Releases,
    *,
    since: float,
    until: float,
    grace_s: float,
    away: Iterable[tuple[float, float]] = (),
) -> tuple[set[int], int]:
    """(missed, wanted): the seconds after `since` in which something was overdue, and how many there are.

    Counted are whole seconds up to `until`, but those in which the subscriber itself was away (stopped by us): it wanted nothing.
    grace_s: 0 for availability without grace.
    """
    seconds = max(0, floor(until - since))
    excused = {second for first, last in away for second in _seconds(first - since, last - since, seconds)}
    missed: set[int] = set()
    for committed, released in zip(releases.committed, releases.released, strict=True):
        if released - committed <= (grace_s or LIVE_S):
            continue
        missed.update(_seconds(committed + grace_s - since, min(released, until) - since, seconds))
    return missed - excused, seconds - len(excused)


def availability_percent(missed: int, wanted: int) -> float | None:
    """None where there was nothing to miss."""
    return round(100 * (1 - missed / wanted), 4) if wanted else None


def longest_silence_s(releases: Releases, *, until: float) -> tuple[float, float] | None:
    """(seconds, when it began) of the longest time without a release while an event was committed; None without events."""
    longest: tuple[float, float] | None = None
    before = -inf
    for committed, released in zip(releases.committed, releases.released, strict=True):
        began = max(before, committed)
        silence = min(released, until) - began
        if longest is None or silence > longest[0]:
            longest = silence, began
        before = released
    return longest


def fallback_s(releases: Releases, live: Sequence[bool], fault: Fault) -> float | None:
    """Seconds from when it was armed to the first live release of an event that was committed while it held; None without one.

    live: for each event, whether it came live. Who has lost its transport reads once what it lacks, and may then hear nothing for
    seconds: a catch-up is no fallback.
    """
    held = fault.armed if fault.held is None else fault.held
    found = [
        released
        for committed, released, came_live in zip(releases.committed, releases.released, live, strict=True)
        if committed >= held and came_live and released < inf
    ]
    return min(found) - fault.armed if found else None


def blame(
    missed: Mapping[str, set[int]], faults: Sequence[Fault], since: float
) -> dict[int | None, dict[str, list[int]]]:
    """The seconds that each subscriber missed, by the fault (its place in `faults`) that was armed last before them.

    None: before the first fault, when nothing was to blame.
    """
    found: dict[int | None, dict[str, list[int]]] = {}
    for name, seconds in missed.items():
        for second in sorted(seconds):
            # A second that a fault was armed in is that fault's.
            armed = [number for number, fault in enumerate(faults) if fault.armed < since + second + 1]
            found.setdefault(armed[-1] if armed else None, {}).setdefault(name, []).append(second)
    return found


def spans(seconds: Sequence[int]) -> str:
    """Sorted seconds for a person: `12-15, 40`."""
    runs: list[list[int]] = []
    for second in seconds:
        if runs and second == runs[-1][-1] + 1:
            runs[-1].append(second)
        else:
            runs.append([second])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _seconds(first: float, last: float, limit: int) -> range:
    """Those that an interval touches, of `limit`."""
    return range(max(0, floor(first)), min(limit, ceil(last)))
