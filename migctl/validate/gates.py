"""Gates: bounds on what a report found, and the one verdict. Pure.

A gate without samples is inconclusive, never passed. What hides evidence (an empty capture, one that began late) makes the whole
report inconclusive, whatever the gates say of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from migctl.validate.clocks import P99

Verdict = Literal["pass", "fail", "inconclusive", "error", "terminated"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What must hold. None: not asked for."""

    min_match_percent: float | None = 99.9
    max_lost: int | None = 0
    min_events: int | None = 1
    max_latency_p99_ms: float | None = None
    max_rejected: int | None = None
    max_delay_p99_ms: float | None = None
    max_legacy_missing: int | None = None


class Gate(msgspec.Struct, frozen=True):
    """One bound and what was found. samples: how many events the value rests on."""

    name: str
    bound: int | float
    value: int | float | None
    samples: int
    verdict: Verdict


def evaluate(
    bounds: Bounds,
    *,
    expected: int,
    match_percent: float | None,
    lost: int,
    latency_p99_ms: Sequence[P99],
    delay_p99_ms: Sequence[P99] = (),
    rejected: int | None = None,
) -> list[Gate]:
    """Judge each bound that was asked for.

    latency_p99_ms, delay_p99_ms: of each transport under comparison, of live events and of all; the slowest counts, and none may
    be without samples, nor rest on a clock that is nobody knows how far behind.
    rejected: before the journal; None where nobody knows.
    """
    gates: list[Gate] = []
    if bounds.min_match_percent is not None:
        verdict = _at_least(match_percent, bounds.min_match_percent, expected)
        gates.append(Gate("min_match_percent", bounds.min_match_percent, match_percent, expected, verdict))
    if bounds.max_lost is not None:
        verdict = at_most(lost, bounds.max_lost, expected)
        gates.append(Gate("max_lost", bounds.max_lost, lost, expected, verdict))
    if bounds.min_events is not None:
        verdict = "pass" if expected >= bounds.min_events else "inconclusive"
        gates.append(Gate("min_events", bounds.min_events, expected, expected, verdict))
    gates += _of_slowest("max_latency_p99_ms", bounds.max_latency_p99_ms, latency_p99_ms)
    gates += _of_slowest("max_delay_p99_ms", bounds.max_delay_p99_ms, delay_p99_ms)
    if bounds.max_rejected is not None:
        verdict = at_most(rejected, bounds.max_rejected, expected)
        if rejected is not None and rejected > bounds.max_rejected:
            verdict = "fail"  # a source that rejects everything leaves no event to expect
        gates.append(Gate("max_rejected", bounds.max_rejected, rejected, expected, verdict))
    return gates


def _of_slowest(name: str, bound: float | None, each: Sequence[P99]) -> list[Gate]:
    if bound is None:
        return []
    samples = min((one.samples for one in each), default=0)
    worst = max((one.least for one in each if one.least is not None), default=None)
    holds = [one.holds(bound) for one in each]
    verdict: Verdict = "pass" if holds and all(holds) else "inconclusive"
    if worst is not None and worst > bound:
        verdict = "fail"  # one transport is enough to fail, whatever the other has to show
    return [Gate(name, bound, worst, samples, verdict)]


def _at_least(value: float | None, bound: float, samples: int) -> Verdict:
    if value is None or not samples:
        return "inconclusive"
    return "pass" if value >= bound else "fail"


def at_most(value: float | None, bound: float, samples: int) -> Verdict:
    """Of a bound on what was found; without samples, or where nobody knows, nothing is shown."""
    if value is None or not samples:
        return "inconclusive"
    return "pass" if value <= bound else "fail"


def overall(gates: Sequence[Gate], *, hidden: bool, cut_short: bool) -> Verdict:
    """hidden: something keeps evidence from us. cut_short: an input was ended before its time."""
    verdicts = {gate.verdict for gate in gates}
    if hidden:
        return "inconclusive"
    if "fail" in verdicts:
        return "fail"
    if not gates or "inconclusive" in verdicts:
        return "inconclusive"
    return "terminated" if cut_short else "pass"


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Of several comparisons in one: what one of them has found is found."""
    order: tuple[Verdict, ...] = ("error", "fail", "inconclusive", "terminated")
    return next((verdict for verdict in order if verdict in verdicts), "pass")
