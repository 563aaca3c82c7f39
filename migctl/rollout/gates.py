"""Gates: bounds on the minutes of a soak, and one verdict. Pure.

A gate is judged minute by minute, `max_lost` and `max_rejected` by what came together so far: more than `failure_limit` minutes
beyond its bound fail it. With fewer than `min_events` at either
transport, or in any cohort, it is inconclusive, and says how many are missing; with none, absence is never a success. Nor are
minutes without a figure where others were beyond the bound: with them it might be more than may be.

| minutes beyond the bound | events at each transport and cohort | soak whole | verdict |
|---|---|---|---|
| more than failure_limit | any | any | fail |
| up to failure_limit | fewer than min_events | any | inconclusive |
| some, and more with those that have no figure | any | any | inconclusive |
| up to failure_limit | enough | no: cut short | terminated |
| up to failure_limit | enough | yes | pass |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from migctl.validate.witness.minute import Minute

Verdict = Literal["pass", "fail", "inconclusive", "terminated"]
GateName = Literal[
    "min_match_percent",
    "max_latency_p99_ms",
    "max_delay_p99_ms",
    "max_error_rate_percent",
    "max_lost",
    "max_rejected",
    "min_availability_percent",
]
OnFailure = Literal["pause", "abort"]
NoData = Literal["pause", "abort"]
TRANSPORTS = ("websocket", "realtime")
# Bounds on the whole soak, not on each minute.
_TOTALS = ("max_lost", "max_rejected")


@dataclass(frozen=True, slots=True)
class Gate:
    """One bound. on_failure, no_data: what a walk does then. dry_run: it is judged and shown, and decides nothing.

    cohorts: those that each need `min_events` of their own.
    """

    name: GateName
    bound: float
    failure_limit: int = 0
    min_events: int = 1
    no_data: NoData = "pause"
    on_failure: OnFailure = "abort"
    dry_run: bool = False
    cohorts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a gate. value: the worst minute's; None where none had one. samples: the fewest at any transport or cohort.

    missing_events: how many more it needs; per_minute: how many came a minute, so that one can say when. failed: minutes beyond the
    bound, by id. minutes: ids of those that were judged.
    """

    gate: Gate
    verdict: Verdict
    value: float | None
    samples: int
    missing_events: int = 0
    per_minute: float = 0.0
    failed: tuple[str, ...] = ()
    minutes: tuple[str, ...] = ()

    @property
    def missing(self) -> str | None:
        """`412 more events, about 6 min at this rate`; None where nothing is missing."""
        if self.verdict != "inconclusive":
            return None
        if not self.missing_events:
            return "a minute with a figure for it"
        words = f"{self.missing_events:,} more event{'s' if self.missing_events != 1 else ''}"
        if not self.minutes:
            return f"{words}, and no window of evidence yet"
        if self.per_minute <= 0:
            return f"{words}, and none arrive"
        minutes = max(1, round(self.missing_events / self.per_minute))
        return f"{words}, about {minutes:,} min at this rate"


def judge(gate: Gate, minutes: Sequence[Minute], *, whole: bool) -> Judged:
    """minutes: of one soak, in order; those that are no evidence are passed over. whole: the soak was not cut short."""
    counted = [minute for minute in minutes if minute.counts]
    figures = [(minute, _FIGURES[gate.name](minute)) for minute in counted]
    if gate.name in _TOTALS:
        figures = _running(figures)
    known = [(minute, value) for minute, value in figures if value is not None]
    is_least = gate.name.startswith("min_")
    failed = tuple(m.id for m, value in known if (value < gate.bound if is_least else value > gate.bound))
    samples = _samples(gate, counted)
    rate = samples / len(counted) if counted else 0.0
    missing = max(0, gate.min_events - samples)
    verdict: Verdict = "pass" if whole else "terminated"
    if len(failed) > gate.failure_limit:
        verdict = "fail"
    elif missing or not known or (failed and len(failed) + len(counted) - len(known) > gate.failure_limit):
        verdict = "inconclusive"
    values = [value for _, value in known]
    worst = None if not values else (min(values) if is_least else max(values))
    return Judged(
        gate, verdict, worst, samples, missing, rate, failed, tuple(minute.id for minute in counted)
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """All gates of a soak. action: what a walk does about it; None: nothing."""

    verdict: Verdict
    gates: tuple[Judged, ...] = field(default_factory=tuple)
    action: Literal["pause", "abort"] | None = None
    reason: str | None = None


def judge_all(gates: Sequence[Gate], minutes: Sequence[Minute], *, whole: bool) -> Outcome:
    """One verdict of all gates that are not dry runs. Without any gate there is no evidence: inconclusive."""
    judged = tuple(judge(gate, minutes, whole=whole) for gate in gates)
    deciding = [one for one in judged if not one.gate.dry_run]
    for wanted in ("abort", "pause"):
        for one in deciding:
            if one.verdict == "fail" and one.gate.on_failure == wanted:
                return Outcome("fail", judged, one.gate.on_failure, _words(one))
    verdicts = {one.verdict for one in deciding}
    if not deciding or "inconclusive" in verdicts:
        without = next((one for one in deciding if one.verdict == "inconclusive"), None)
        reason = f"{without.gate.name}: {without.missing}" if without else "the stage has no gate"
        return Outcome("inconclusive", judged, None, reason)
    return Outcome("terminated" if "terminated" in verdicts else "pass", judged)


def _running(figures: Sequence[tuple[Minute, float | None]]) -> list[tuple[Minute, float | None]]:
    """Each minute with the sum up to it."""
    total = 0.0
    found: list[tuple[Minute, float | None]] = []
    for minute, value in figures:
        total += value or 0.0
        found.append((minute, None if value is None else total))
    return found


def _words(one: Judged) -> str:
    than = "below" if one.gate.name.startswith("min_") else "above"
    minutes = len(one.failed)
    return (
        f"{one.gate.name}: {one.value:g} is {than} {one.gate.bound:g} in {minutes} minute{'s' if minutes != 1 else ''}, "
        f"and {one.gate.failure_limit} may be"
    )


def _samples(gate: Gate, minutes: Sequence[Minute]) -> int:
    """The fewest events at any transport and in any cohort: a sum would hide one that has none."""
    at_each = [sum(_received(minute, name) for minute in minutes) for name in TRANSPORTS]
    in_each = [sum(minute.cohorts.get(name, 0) for minute in minutes) for name in gate.cohorts]
    return min(at_each + in_each)


def _received(minute: Minute, transport: str) -> int:
    figures = minute.transports.get(transport)
    return figures.received if figures is not None else 0


def _worst(minute: Minute, name: Literal["latency_p99_ms", "delay_p99_ms"]) -> float | None:
    """The slower transport's; None where either has none."""
    values = [getattr(figures, name) for figures in minute.transports.values()]
    known = [float(value) for value in values if value is not None]
    return max(known) if known and len(known) == len(TRANSPORTS) else None


_FIGURES: Mapping[GateName, Callable[[Minute], float | None]] = {
    "min_match_percent": lambda minute: minute.match_percent,
    "max_latency_p99_ms": lambda minute: _worst(minute, "latency_p99_ms"),
    "max_delay_p99_ms": lambda minute: _worst(minute, "delay_p99_ms"),
    "max_error_rate_percent": lambda minute: minute.error_rate_percent,
    "max_lost": lambda minute: float(minute.lost) if minute.expected else None,
    "max_rejected": lambda minute: float(minute.rejected),
    "min_availability_percent": lambda minute: minute.availability_percent,
}
