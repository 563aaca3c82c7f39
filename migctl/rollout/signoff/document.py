"""The sign-off report as a document, `migctl.signoff/1`. Absence is null, never zero; what is not known is named in `missing`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from migctl.rollout.judgement import Judgement
from migctl.rollout.walk import Phase

IncidentKind = Literal[
    "abort", "brake", "gate", "no_data", "settling", "paused_by_brake", "no_evidence", "outage", "reopened"
]
LessonKind = Literal[
    "pause", "gate", "drill", "without_drills", "forced", "attempts", "soak", "evidence", "brake", "lost", "reopened"
]  # fmt: skip


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """What it is made from. sha256: of the lines, each with its end; of evidence as a gate cites it, of its windows' digests."""

    name: str
    count: int
    first: datetime | None = None
    last: datetime | None = None
    sha256: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. kind: the audit's action. why: the reason that was given, or that the walker had."""

    at: datetime
    kind: str
    stage: str | None
    what: str
    who: str
    why: str | None


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """How many. evidence: those that count; quiet: all was there, and no event came; missing: there is no such window at all."""

    evidence: int = 0
    quiet: int = 0
    inconclusive: int = 0
    terminated: int = 0
    missing: int = 0


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a stage; a stage that was taken back has more than one.

    by, reason: who began it, and why. moved_at: everybody had moved, or had the time to. settled_at: the marker was out of both
    transports. soaks: how often a soak began. judged_at: every gate passed. left_at, left_by: when it was left, by which action of
    whom; null while it lasts. forced, without_drills: why the next stage began all the same. judgement: the last; recorded: as it
    stands in the record, else judged for this report, from the evidence and the stage's file as they are now.
    """

    stage: str
    title: str | None
    percent: float | None
    begun_at: datetime
    by: str
    reason: str | None
    moved_at: datetime | None = None
    settled_at: datetime | None = None
    soaks: int = 0
    judged_at: datetime | None = None
    left_at: datetime | None = None
    left_by: str | None = None
    forced: str | None = None
    without_drills: str | None = None
    windows: Windows = Windows()
    judgement: Judgement | None = None
    recorded: bool = False


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Of one figure of the windows: the worst, and the one in the middle."""

    worst: float
    median: float
    windows: int


class TransportTotals(msgspec.Struct, frozen=True, kw_only=True):
    """One transport, over the windows that are evidence. p99: of each window, since a p99 of all can't be had from those."""

    received: int
    missing: int
    duplicates: int
    out_of_order: int
    latency_p99_ms: Spread | None
    delay_p99_ms: Spread | None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Over the whole walk, of the windows that are evidence. outside: events of those that are none: nothing proves them.

    error_rate_percent: by requests. availability_percent: the worst window, and the one in the middle.
    """

    windows: Windows
    compared: int
    matched: int
    mismatched: int
    lost: int
    rejected: int
    outside: int
    match_percent: float | None
    error_rate_percent: float | None
    requests: int
    availability_percent: Spread | None
    transports: Mapping[str, TransportTotals]


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """ended, duration_s: null while it lasts. effect: on users. ended_by: who or what ended it."""

    kind: IncidentKind
    began: datetime
    ended: datetime | None
    duration_s: float | None
    stage: str | None
    what: str
    why: str | None
    who: str | None
    effect: str | None
    ended_by: str | None


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of the walk that is worth knowing the next time."""

    kind: LessonKind
    text: str


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """How far the WebSocket is switched off. forced: why it began all the same. accepted_lost: subscribers that were given up."""

    phase: Literal["rampdown", "draining", "completed"]
    since: datetime
    forced: str | None
    accepted_lost: int
    reason: str | None


class SharePoint(msgspec.Struct, frozen=True):
    """From this moment on so many percent of all had Realtime, under the brakes of then. None: a rule of somebody's own."""

    at: datetime
    percent: float | None


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Some windows in a row, for a plot: the worst of each figure. evidence: how many of them count."""

    at: datetime
    evidence: int
    match_percent: float | None
    websocket_p99_ms: float | None
    realtime_p99_ms: float | None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """What the plots show. bucket_s: how long one is. bounds: the strictest of the stages' gates, by name."""

    shares: list[SharePoint]
    buckets: list[Bucket]
    bucket_s: float
    bounds: Mapping[str, float]


class Signoff(msgspec.Struct, frozen=True, kw_only=True):
    """The report. version: of the migctl that wrote it. began_at: the first move of the rollout; phase, since: that it is in now.

    completed: the WebSocket is switched off. missing: what it can't say, and why.
    """

    schema: Literal["migctl.signoff/1"] = "migctl.signoff/1"
    version: str
    made_at: datetime
    target: str
    flag: str
    began_at: datetime | None
    completed: bool
    stage: str | None
    phase: Phase | None
    since: datetime | None
    completion: Completion | None
    inputs: list[Input]
    missing: list[str]
    timeline: list[Entry]
    stages: list[Attempt]
    totals: Totals | None
    incidents: list[Incident]
    lessons: list[Lesson]
    irrevocable: list[str]
    way_back: str | None
    to_delete: list[str]
    series: Series


def json_schema() -> dict[str, object]:
    """JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "migctl.signoff/1",
        **msgspec.json.schema(Signoff),
    }
