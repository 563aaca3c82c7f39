"""`migctl.drill/1`: what a drill found, as one document."""

from __future__ import annotations

from typing import Literal

import msgspec

from migctl.drills.judging import Effect, Figures, Judged, Store
from migctl.drills.objectives import Objective, Verdict
from migctl.events.times import Moment as Time
from migctl.transports.protocol import TransportName

When = Literal["before", "after", "after_rollbacks"]


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """One probe. value: of the last try."""

    name: str
    value: object
    holds: bool


class SteadyState(msgspec.Struct, frozen=True, kw_only=True):
    """One check of the hypothesis. waited_ms: until it held, or until it was given up."""

    when: When
    holds: bool
    waited_ms: int
    probes: list[Probed]


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """at_ms: since the load began."""

    at_ms: int
    kind: str
    what: str


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, with what followed it. Times since the load began. None: it never came, or nothing shows it."""

    name: str
    function: str
    detail: str
    armed_at_ms: int
    lifted_at_ms: int
    time_to_detect_ms: int | None
    time_to_fallback_ms: int | None
    time_to_recover_ms: int | None
    effect: Effect | None = None


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """at_s: of the run. Events a second: committed to the journal, and released by Subscribers, on average, by transport."""

    at_s: int
    committed: float
    websocket: float
    realtime: float


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """Signs of life that a read-only drill heard over a transport. None: nothing tells, as of clocks that differ by more.

    longest_apart_ms: the time since the last one counts too. late_p99_ms: from its sending to its arrival, by two clocks.
    """

    transport: TransportName
    heard: int
    canaries: int
    heartbeats: int
    events: int
    longest_apart_ms: int | None
    late_p99_ms: float | None


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """How far the clock of serve is ahead of ours, and by how much more or less that may be."""

    ahead_ms: float
    within_ms: float


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker that is not closed, serve that is away, fallback that is active."""

    part: str
    state: str
    since_ms: int
    until_ms: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document. reason: why it is no pass, in words. None: not known, since the drill did not come so far.

    config: of which configuration this is true. without: remedies that were switched off. rate_per_s: of a live stream, as it came;
    None where nobody counted. seed: by which faults were drawn; None where none were. missed_without_a_fault: before the first one,
    by measure and subscriber, seconds of the run. read_only: it listened to a deployment that ran. signs, clock_skew:
    of such a one; clock_skew is None where serve answered no question.
    """

    schema: Literal["migctl.drill/1"] = "migctl.drill/1"
    id: str
    drill: str
    title: str
    verdict: Verdict
    reason: str
    started_at: Time
    finished_at: Time
    seconds: float
    config: str
    target: str
    without: list[str]
    rate_per_s: float | None
    published: int | None
    lost: int | None
    duplicates: int | None
    out_of_order: int | None
    lost_ids: list[str]
    duplicate_ids: list[str]
    time_to_detect_ms: int | None
    time_to_fallback_ms: int | None
    time_to_recover_ms: int | None
    longest_silence_ms: int | None
    availability_percent: float | None
    availability_without_grace_percent: float | None
    objectives: list[Objective]
    steady_states: list[SteadyState]
    faults: list[Fault]
    subscribers: list[Judged]
    store: Store | None
    availability: dict[str, dict[str, float | None]]
    timeline: list[TimelineEntry]
    series: list[Second]
    states: list[State]
    seed: int | None = None
    missed_without_a_fault: dict[str, dict[str, str]] = {}
    read_only: bool = False
    signs: list[Signs] = []
    clock_skew: Skew | None = None


__all__ = [
    "Fault", "Figures", "Objective", "Probed", "Result", "Second", "Signs", "Skew", "State", "SteadyState", "TimelineEntry", "When",
]  # fmt: skip
