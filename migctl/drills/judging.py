"""What was acknowledged against journal, table and each subscriber's releases, and what each fault did. Pure; formulas: measures.

Lost and doubled events are named by id. Availability is that of the subscribers' own time (`availability`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import inf
from typing import Literal

import msgspec

from migctl.drills.availability import (
    Fault,
    Releases,
    availability_percent,
    blame,
    fallback_s,
    longest_silence_s,
    missed_seconds,
    spans,
)
from migctl.drills.latency import latency_p99_ms

Place = tuple[str, int]
# Seconds that an event may be late for before it counts as not available.
GRACES: dict[str, float] = {"availability_percent": 2.0, "availability_without_grace_percent": 0.0}
# A store with any of these above 0 has lost or doubled something.
MUST_BE_ZERO = (
    "lost_after_acknowledgement", "lost_on_the_way_to_the_table", "strangers_in_the_table", "never_acknowledged",
    "holes_in_seqs", "doubled_in_the_journal", "doubled_in_the_table", "rows_that_are_tombstones_too",
)  # fmt: skip
# A subscriber that was stopped a moment after a fault did not have to fall back.
_AT_ONCE_S = 0.5


class Line(msgspec.Struct, gc=False):
    """What is needed of a capture's line."""

    id: str
    epoch: str
    seq: int
    committed_at: datetime
    received_at: datetime
    # Literals are kept once, however many lines there are.
    transport: Literal["websocket", "realtime"]
    via: Literal["live", "resume", "table", "fetch"]


@dataclass(frozen=True, slots=True)
class Committed:
    """An event of the journal. at: unix seconds."""

    place: Place
    id: str
    at: float


@dataclass(frozen=True, slots=True)
class Heard:
    """A subscriber's side. away: when it was stopped by us. complete: it knows of nothing that it lacks."""

    name: str
    kind: str
    lines: Sequence[Line]
    start: Place
    complete: bool
    away: Sequence[tuple[float, float]] = ()

    @property
    def is_promised(self) -> bool:
        """Everything after its start, once and in order; a client of the old protocol is promised nothing."""
        return self.kind != "legacy"

    @property
    def is_whole(self) -> bool:
        """A migctl.Subscriber, with a fallback."""
        return self.kind.partition(":")[0] == "whole"


@dataclass(frozen=True, slots=True)
class Truth:
    """Journal, rows and tombstones; the ids that producers were answered are durable. retried: requests that took several tries.

    is_foreign: of a deployment that is only listened to, of which the journal alone was read.
    """

    acknowledged: Sequence[str]
    journal: Sequence[Committed]
    rows: Sequence[tuple[Place, str]]
    tombstones: Sequence[tuple[Place, str]]
    retried: int = 0
    is_foreign: bool = False


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of journal and table. Those of `MUST_BE_ZERO` are 0 when nothing was lost or doubled.

    lost_ids, duplicate_ids: those that were. retried_requests: of producers, until they were acknowledged; None: not known.
    """

    acknowledged: int
    committed: int
    rows: int
    tombstones: int
    epochs: int
    lost_after_acknowledgement: int
    lost_on_the_way_to_the_table: int
    strangers_in_the_table: int
    never_acknowledged: int
    holes_in_seqs: int
    doubled_in_the_journal: int
    doubled_in_the_table: int
    rows_that_are_tombstones_too: int
    lost_ids: list[str]
    duplicate_ids: list[str]
    retried_requests: int | None = None

    @property
    def is_sound(self) -> bool:
        """Something was committed, and nothing is wrong with it."""
        return self.committed > 0 and not any(getattr(self, name) for name in MUST_BE_ZERO)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One subscriber. strangers: another event under a seq. excused: tombstones, which are no events for it.

    longest_silence_at_s: when it began, seconds of the run. live_percent: of its releases, None without any.
    latency_p99_ms: commit to arrival, of those that came live; None without any, or where the clocks differ by more than that.
    """

    name: str
    kind: str
    wanted: int
    released: int
    excused: int
    lost: int
    duplicates: int
    out_of_order: int
    strangers: int
    complete: bool
    live_percent: float | None
    availability_percent: float | None
    availability_without_grace_percent: float | None
    longest_silence_ms: int | None
    longest_silence_at_s: float | None
    lost_ids: list[str]
    duplicate_ids: list[str]
    latency_p99_ms: float | None = None

    @property
    def is_promised(self) -> bool:
        """A client of the old protocol is promised only what comes while it is connected: it counts in availability alone."""
        return self.kind != "legacy"

    @property
    def is_sound(self) -> bool:
        """It wanted something, and has all of it, once and in order."""
        wrong = self.lost + self.duplicates + self.out_of_order + self.strangers
        return self.wanted > 0 and wrong == 0 and self.complete


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, and what followed it. missed: by measure and subscriber, seconds of the run. None: it never came."""

    fault: str
    armed_at_s: float
    lasted_s: float
    time_to_fallback_ms: int | None
    time_to_recover_ms: int | None
    missed: dict[str, dict[str, str]]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """availability: by kind (`whole` is all that have a fallback) and measure."""

    availability: dict[str, dict[str, float | None]]
    subscribers: list[Judged]
    faults: list[Effect]
    missed_without_a_fault: dict[str, dict[str, str]]


def judge_store(truth: Truth) -> Store:
    """Journal and table against what was acknowledged."""
    kept = {event.place: event.id for event in truth.journal}
    held = dict(truth.rows) | dict(truth.tombstones)
    ids = Counter(event_id for _, event_id in truth.rows)
    by_epoch: dict[str, list[int]] = {}
    for event in truth.journal:
        by_epoch.setdefault(event.place[0], []).append(event.place[1])
    promised, journaled = set(truth.acknowledged), set(kept.values())
    not_in_table = [kept[place] for place in sorted(kept.keys() - held.keys())]
    doubled = [event_id for event_id, count in ids.items() if count > 1]
    return Store(
        acknowledged=len(truth.acknowledged),
        committed=len(truth.journal),
        rows=len(truth.rows),
        tombstones=len(truth.tombstones),
        epochs=len(by_epoch),
        lost_after_acknowledgement=len(promised - journaled),
        lost_on_the_way_to_the_table=len(not_in_table),
        strangers_in_the_table=sum(kept.get(place) != event_id for place, event_id in held.items()),
        never_acknowledged=len(journaled - promised),
        holes_in_seqs=sum(max(seqs) - len(set(seqs)) for seqs in by_epoch.values()),
        doubled_in_the_journal=len(truth.journal) - len(journaled),
        doubled_in_the_table=sum(count - 1 for count in ids.values()),
        rows_that_are_tombstones_too=len(
            {place for place, _ in truth.rows} & {place for place, _ in truth.tombstones}
        ),
        lost_ids=sorted(promised - journaled) + not_in_table,
        duplicate_ids=doubled,
        retried_requests=truth.retried,
    )


def wanted_by(heard: Heard, truth: Truth) -> list[Committed]:
    """What it is to be handed out: all after its start, but tombstones."""
    buried = {place for place, _ in truth.tombstones}
    return [event for event in truth.journal if event.place > heard.start and event.place not in buried]


def releases_of(heard: Heard, wanted: Sequence[Committed]) -> Releases:
    arrived = {(line.epoch, line.seq): line.received_at.timestamp() for line in reversed(heard.lines)}
    came = [arrived.get(event.place, inf) for event in wanted]
    return Releases([event.at for event in wanted], came, in_order=heard.is_promised)


def _live(heard: Heard, wanted: Sequence[Committed]) -> list[bool]:
    came = {(line.epoch, line.seq) for line in heard.lines if line.via == "live"}
    return [event.place in came for event in wanted]


def recovered_s(heard: Heard, lifted: float) -> float | None:
    """Seconds from a fault's end to the first release through live Realtime of what was committed since."""
    for line in heard.lines:
        if line.transport == "realtime" and line.via == "live" and line.committed_at.timestamp() >= lifted:
            return line.received_at.timestamp() - lifted
    return None


def moved_s(heard: Heard, fault: Fault) -> float | None:
    """Seconds from a command to the subscriber's first live release over the transport that it sends users to, and after which it
    has nothing more over the other one until the fault's end. None where that never came.

    An event that was committed before the command, or that was read to catch up, shows no move; one that still comes over the other
    transport, whatever way, shows that there was none yet.
    """
    found: float | None = None
    for line in sorted(heard.lines, key=lambda line: line.received_at):
        at = line.received_at.timestamp()
        if not fault.armed <= at <= fault.lifted:
            continue
        if line.transport != fault.to:
            found = None
        elif found is None and line.via == "live" and line.committed_at.timestamp() >= fault.armed:
            found = at - fault.armed
    return found


def judge(
    everyone: Sequence[Heard], truth: Truth, faults: Sequence[Fault], since: float, until: float
) -> Figures:
    """Each subscriber, availability by kind, and what each fault did. since, until: unix seconds of the run."""
    wanted = {heard.name: wanted_by(heard, truth) for heard in everyone}
    releases = {heard.name: releases_of(heard, wanted[heard.name]) for heard in everyone}
    lives = {heard.name: _live(heard, wanted[heard.name]) for heard in everyone}
    percents: dict[str, dict[str, float | None]] = {heard.name: {} for heard in everyone}
    kinds: dict[str, dict[str, tuple[int, int]]] = {}
    blamed: dict[str, dict[int | None, dict[str, list[int]]]] = {}
    for measure, grace_s in GRACES.items():
        missed: dict[str, set[int]] = {}
        for heard in everyone:
            missed[heard.name], seconds = missed_seconds(
                releases[heard.name], since=since, until=until, grace_s=grace_s, away=heard.away
            )
            count = len(missed[heard.name])
            percents[heard.name][measure] = availability_percent(count, seconds)
            for kind in {heard.kind, *(["whole"] if heard.is_whole else [])}:
                before = kinds.setdefault(kind, {}).get(measure, (0, 0))
                kinds[kind][measure] = (before[0] + count, before[1] + seconds)
        blamed[measure] = blame(missed, faults, since)
    return Figures(
        availability={
            kind: {measure: availability_percent(*counts) for measure, counts in found.items()}
            for kind, found in kinds.items()
        },
        subscribers=[
            _judged(
                heard, truth, wanted[heard.name], releases[heard.name], percents[heard.name], since, until
            )
            for heard in everyone
        ],
        faults=[
            _effect(number, fault, everyone, releases, lives, blamed, since)
            for number, fault in enumerate(faults)
        ],
        missed_without_a_fault={
            measure: {name: spans(seconds) for name, seconds in found.get(None, {}).items()}
            for measure, found in blamed.items()
        },
    )


def _judged(
    heard: Heard,
    truth: Truth,
    wanted: Sequence[Committed],
    releases: Releases,
    percents: Mapping[str, float | None],
    since: float,
    until: float,
) -> Judged:
    places = [(line.epoch, line.seq) for line in heard.lines]
    got = Counter(places)
    ids = {event.place: event.id for event in truth.journal}
    lost = [event.id for event in wanted if event.place not in got]
    silence = longest_silence_s(releases, until=until)
    return Judged(
        name=heard.name,
        kind=heard.kind,
        wanted=len(wanted),
        released=len(places),
        excused=sum(event.place > heard.start for event in truth.journal) - len(wanted),
        lost=len(lost),
        duplicates=sum(count - 1 for count in got.values()),
        out_of_order=sum(later <= earlier for earlier, later in pairwise(places)),
        strangers=sum(ids.get((line.epoch, line.seq)) != line.id for line in heard.lines),
        complete=heard.complete,
        live_percent=_percent(sum(line.via == "live" for line in heard.lines), len(places)),
        availability_percent=percents["availability_percent"],
        availability_without_grace_percent=percents["availability_without_grace_percent"],
        longest_silence_ms=round(silence[0] * 1000) if silence is not None else None,
        longest_silence_at_s=round(silence[1] - since, 1) if silence is not None else None,
        lost_ids=lost,
        duplicate_ids=[ids.get(place, "") for place, count in got.items() if count > 1],
        latency_p99_ms=latency_p99_ms(heard.lines),
    )


def _effect(
    number: int,
    fault: Fault,
    everyone: Sequence[Heard],
    releases: Mapping[str, Releases],
    lives: Mapping[str, Sequence[bool]],
    blamed: Mapping[str, Mapping[int | None, Mapping[str, Sequence[int]]]],
    since: float,
) -> Effect:
    whole = [heard for heard in everyone if heard.is_whole]
    affected = [
        heard
        for heard in whole
        if not any(first <= fault.armed + _AT_ONCE_S <= last for first, last in heard.away)
    ]
    if fault.to is not None:
        # A command moves those that go by the flag; the others have their transport from the drill.
        falls = [moved_s(heard, fault) for heard in affected if heard.kind == "whole"]
    else:
        falls = [fallback_s(releases[heard.name], lives[heard.name], fault) for heard in affected]
    returns = [recovered_s(heard, fault.lifted) for heard in whole if heard.kind != "whole:websocket"]
    return Effect(
        fault=fault.name,
        armed_at_s=round(fault.armed - since, 1),
        lasted_s=round(fault.lifted - fault.armed, 1),
        time_to_fallback_ms=worst_ms(falls),
        time_to_recover_ms=worst_ms(returns),
        missed={
            measure: {name: spans(seconds) for name, seconds in found.get(number, {}).items()}
            for measure, found in blamed.items()
        },
    )


def worst_ms(seconds: Sequence[float | None]) -> int | None:
    """None where one of them has none: that would be the worst."""
    known = [one for one in seconds if one is not None]
    return round(1000 * max(known)) if known and len(known) == len(seconds) else None


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None
