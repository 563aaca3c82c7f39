"""From what a drill left to the figures of its result. Pure; formulas: measures.

Times to detect, to fall back and to recover are the worst of all faults. A fault from which somebody did not come back has `Never`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf

from migctl.drills import availability, judging
from migctl.drills.availability import Transport
from migctl.drills.judging import Effect, Figures, Heard, Store, Truth
from migctl.drills.objectives import Measured, Never
from migctl.drills.result import Fault, Second, State
from migctl.drills.sampling import Sample, backlog_ended, detected, spans


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that was armed and lifted, unix seconds. held: when arming it had its whole effect.

    to: the transport that it sends users to, where it is a command that moves them.
    """

    name: str
    function: str
    detail: str
    armed: float
    held: float
    lifted: float
    to: Transport | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """All that was measured. store: None where neither journal nor table is a drill's own."""

    store: Store | None
    figures: Figures
    faults: list[Fault]
    measured: dict[str, Measured]
    lost_ids: list[str]
    duplicate_ids: list[str]
    series: list[Second]
    states: list[State]


def measure(
    truth: Truth,
    everyone: Sequence[Heard],
    struck: Sequence[Struck],
    samples: Sequence[Sample],
    *,
    since: float,
    until: float,
) -> Found:
    """since, until: unix seconds of the run under load."""
    store = judging.judge_store(truth) if not truth.is_foreign else None
    wrong = store.lost_ids if store is not None else []
    doubled = store.duplicate_ids if store is not None else []
    armed = [availability.Fault(one.name, one.armed, one.lifted, one.held, one.to) for one in struck]
    figures = judging.judge(everyone, truth, armed, since, until)
    faults = [
        _fault(one, effect, samples, since, _next_armed(one, struck))
        for one, effect in zip(struck, figures.faults, strict=True)
    ]
    promised = [one for one in figures.subscribers if one.is_promised]
    # Who listens to another's deployment has each transport by itself, with nothing to fall back to.
    counted = [one for one in promised if truth.is_foreign or one.kind.partition(":")[0] == "whole"]
    silences = [one.longest_silence_ms for one in counted if one.longest_silence_ms is not None]
    latencies = [one.latency_p99_ms for one in counted]
    available = [
        figures.availability.get(kind, {}).get("availability_percent")
        for kind in ({one.kind for one in counted} if truth.is_foreign else ("whole",))
    ]
    measured: dict[str, Measured] = {
        "lost": sum(one.lost for one in promised) + len(wrong),
        "duplicates": sum(one.duplicates for one in promised) + len(doubled),
        "out_of_order": sum(one.out_of_order for one in promised),
        # A command opens no breaker, and who was taken off Realtime by one is not to come back.
        "time_to_detect_ms": _worst(
            [one.time_to_detect_ms for one, by in zip(faults, struck, strict=True) if by.to is None],
            "no breaker opened",
        ),
        "time_to_fallback_ms": _worst(
            [one.time_to_fallback_ms for one in faults],
            "a subscriber released nothing that was committed after the fault, or is still where a command took it from",
        ),
        "time_to_recover_ms": _worst(
            [one.time_to_recover_ms for one, by in zip(faults, struck, strict=True) if by.to != "websocket"],
            "the backlog did not end, or a subscriber did not come back to Realtime",
        ),
        "latency_p99_ms": _most(latencies),
        "longest_silence_ms": max(silences, default=None),
        "availability_percent": _least(available),
    }
    return Found(
        store=store,
        figures=figures,
        faults=faults,
        measured=measured,
        lost_ids=_once([*wrong, *(event for one in promised for event in one.lost_ids)]),
        duplicate_ids=_once([*doubled, *(event for one in promised for event in one.duplicate_ids)]),
        series=series(truth, everyone, since, until),
        states=[
            State(
                part=one.part,
                state=one.state,
                since_ms=_ms(one.since - since),
                until_ms=_ms(one.until - since),
            )
            for one in spans([one for one in samples if since <= one.at <= until], until)
        ],
    )


def _next_armed(one: Struck, struck: Sequence[Struck]) -> float:
    """When the next fault was armed, of those after its end: a breaker that opens then has another cause. inf: none was."""
    return min((other.armed for other in struck if other.armed >= one.lifted), default=inf)


def _fault(one: Struck, effect: Effect, samples: Sequence[Sample], since: float, until: float) -> Fault:
    ended = backlog_ended(samples, one.lifted)
    back = effect.time_to_recover_ms
    opened = detected(samples, one.armed, until)
    return Fault(
        name=one.name,
        function=one.function,
        detail=one.detail,
        armed_at_ms=_ms(one.armed - since),
        lifted_at_ms=_ms(one.lifted - since),
        time_to_detect_ms=_ms(opened) if opened is not None else None,
        time_to_fallback_ms=effect.time_to_fallback_ms,
        time_to_recover_ms=max(back, _ms(ended)) if back is not None and ended is not None else None,
        effect=effect,
    )


def series(truth: Truth, everyone: Sequence[Heard], since: float, until: float) -> list[Second]:
    """Events of each second: committed, and released by Subscribers on average, by the transport they came over."""
    seconds = max(0, floor(until - since))
    committed = [0] * seconds
    for event in truth.journal:
        if 0 <= (at := floor(event.at - since)) < seconds:
            committed[at] += 1
    whole = [one for one in everyone if one.is_whole or truth.is_foreign]
    released = {"websocket": [0] * seconds, "realtime": [0] * seconds}
    for one in whole:
        for line in one.lines:
            if 0 <= (at := floor(line.received_at.timestamp() - since)) < seconds:
                released[line.transport][at] += 1
    count = len(whole) if whole and not truth.is_foreign else 1
    return [
        Second(
            at_s=at,
            committed=committed[at],
            websocket=round(released["websocket"][at] / count, 1),
            realtime=round(released["realtime"][at] / count, 1),
        )
        for at in range(seconds)
    ]


def _worst(times: Sequence[int | None], why: str) -> Measured:
    known = [one for one in times if one is not None]
    if not times:
        return None
    return max(known) if len(known) == len(times) else Never(why)


def _most(values: Sequence[float | None]) -> float | None:
    """None where one of them is not known."""
    known = [one for one in values if one is not None]
    return max(known) if known and len(known) == len(values) else None


def _least(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return min(known) if known and len(known) == len(values) else None


def _once(ids: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(ids))


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
