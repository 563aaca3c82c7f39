"""What a witness says of itself, in its state file: `serve` shows it, a rollout asks it for its markers."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from migctl.events.times import Moment

WitnessState = Literal["watching", "standby", "stopped"]


class ReleasedStatus(Struct, frozen=True, kw_only=True):
    """One transport in the last window. p99 is None without samples."""

    received: int
    missing: int
    duplicates: int
    out_of_order: int
    latency_p99_ms: float | None
    delay_p99_ms: float | None


class WindowStatus(Struct, frozen=True, kw_only=True):
    """The last window that closed. fault: what is wrong with it, None where nothing is; match_percent: None without events."""

    id: str
    started_at: Moment
    verdict: Literal["pass", "inconclusive", "terminated"]
    fault: str | None
    expected: int
    matched: int
    mismatched: int
    lost: int
    rejected: int
    match_percent: float | None
    availability_percent: float | None
    error_rate_percent: float | None
    transports: dict[str, ReleasedStatus]


class AlertStatus(Struct, frozen=True, kw_only=True):
    """An alert that was raised and is not cleared. since: of the window that raised it."""

    reason: str
    since: Moment


class LiveLatency(Struct, frozen=True, kw_only=True):
    """Of what came live within the last minute. counts: samples up to each bound (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000,
    5000 ms), each counted once, and above the last.
    """

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    n: int
    counts: list[int]


class HeardStatus(Struct, frozen=True, kw_only=True):
    """One transport as the witness hears it now. up: it is attached; since: when that became so; reason: why it is not.

    events: released since it started. rate: of the last whole seconds.
    """

    up: bool
    since: Moment | None
    reason: str | None
    events: int
    events_by_class: dict[str, int]
    rate_per_s: float
    rate_by_class: dict[str, float]
    latency: LiveLatency


class WitnessStatus(Struct, frozen=True, kw_only=True):
    """at: when it said so. state: standby while another one writes the evidence.

    windows: closed since it started. kept: of those that are not in the evidence table yet; unwritten: why not. dropped: kept no
    longer, for there were too many. markers: position of each of the latest to the transports that released it.
    heard_from: transport to the position, `epoch/seq`, after which it hears all of it; without those that it has not reached yet.
    live: by transport, what comes now; no gate goes by it.
    """

    schema: Literal["migctl.witness/1"] = "migctl.witness/1"
    pid: int
    at: Moment
    state: WitnessState
    windows: int = 0
    window: WindowStatus | None = None
    kept: int = 0
    dropped: int = 0
    unwritten: str | None = None
    alert: AlertStatus | None = None
    markers: dict[str, list[str]] = {}
    heard_from: dict[str, str] = {}
    live: dict[str, HeardStatus] = {}
