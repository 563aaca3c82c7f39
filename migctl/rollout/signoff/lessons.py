"""Lessons: facts of a walk that are worth knowing the next time. Each is counted or measured; none is an opinion. Pure.

| lesson | there is one where |
|---|---|
| pause | the walk paused: the longest |
| gate | gates passed: the closest to their bounds, by how much of what is allowed they used; or that none came near |
| drill | one was run: the newest of each; or a stage asked for one that has no record |
| without_drills, forced | a stage went on without its drills, or without its evidence |
| attempts | a stage took more than one attempt |
| soak | a soak began again |
| evidence | windows were no evidence |
| brake | a brake was pulled: how often, and how long the longest lasted |
| lost | events were lost, or subscribers given up |
| reopened | the WebSocket was opened again |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from migctl.events.durations import lasting
from migctl.events.times import format_time
from migctl.rollout.drills import Drilled
from migctl.rollout.judgement import GateView
from migctl.rollout.signoff.document import Attempt, Completion, Incident, Lesson, Totals
from migctl.rollout.signoff.incidents import Pause
from migctl.rollout.wording import PAUSED_BY

CLOSEST = 3
# A gate that used less of what it may is far from its bound.
NEAR_PERCENT = 5.0


def lessons_of(
    *,
    attempts: Sequence[Attempt],
    pauses: Sequence[Pause],
    incidents: Sequence[Incident],
    totals: Totals | None,
    drilled: Sequence[Drilled],
    asked: Collection[str],
    completion: Completion | None,
    window_s: float,
) -> list[Lesson]:
    """asked: drills that the stages ask for."""
    found: list[Lesson] = []
    found += _pauses(pauses)
    found += _gates(attempts)
    found += _drills(drilled, asked)
    found += _forced(attempts, completion)
    found += _attempts(attempts)
    found += _evidence(totals, window_s)
    found += _brakes(incidents)
    found += _lost(totals, completion)
    found += _reopened(incidents)
    return found


def used_percent(gate: GateView) -> float | None:
    """How much of what its bound allows a gate used; None where it allows nothing, or has no value.

    | gate | of |
    |---|---|
    | max_* | the bound |
    | min_*_percent | what is left between the bound and 100 |
    """
    if gate.value is None:
        return None
    used, allowed = gate.value, gate.bound
    if gate.name.startswith("min_"):
        used, allowed = 100 - gate.value, 100 - gate.bound
    return 100 * used / allowed if allowed > 0 else None


def _pauses(pauses: Sequence[Pause]) -> Iterator[Lesson]:
    ended = [pause for pause in pauses if pause.duration_s is not None]
    if ended:
        longest = max(ended, key=lambda pause: pause.duration_s or 0.0)
        why = f": {longest.why}" if longest.why else ""
        yield Lesson(
            kind="pause",
            text=f"{'The only pause' if len(pauses) == 1 else f'The longest of {len(pauses):,} pauses'} "
            f"lasted {lasting(longest.duration_s or 0)}, "
            f"in {longest.stage}, by {PAUSED_BY[longest.kind]}{why}",
        )
    for pause in pauses:
        if pause.duration_s is None:
            yield Lesson(
                kind="pause", text=f"It has been paused since {_day(pause)}, by {PAUSED_BY[pause.kind]}"
            )


def _gates(attempts: Sequence[Attempt]) -> Iterator[Lesson]:
    closest: dict[str, tuple[float, GateView, str]] = {}
    for attempt in attempts:
        for gate in attempt.judgement.gates if attempt.judgement is not None else ():
            used = used_percent(gate)
            if gate.verdict != "pass" or used is None:
                continue
            if gate.name not in closest or used > closest[gate.name][0]:
                closest[gate.name] = (used, gate, attempt.stage)
    near = [one for one in closest.values() if one[0] >= NEAR_PERCENT]
    if closest and not near:
        text = f"No gate that passed used {NEAR_PERCENT:g} % of what its bound allows"
        yield Lesson(kind="gate", text=text)
    for used, gate, stage in sorted(near, key=lambda one: one[0], reverse=True)[:CLOSEST]:
        so = f"{used:.0f} % of what is allowed"
        if gate.beyond:
            so = f"beyond it in {_count(gate.beyond, 'window')}, and {gate.failure_limit} may be"
        text = (
            f"{gate.name} came to {gate.value:g} in its worst window of {stage}, bound {gate.bound:g}: {so}"
        )
        yield Lesson(kind="gate", text=text)


def _drills(drilled: Sequence[Drilled], asked: Collection[str]) -> Iterator[Lesson]:
    newest = {one.drill: one for one in drilled}
    for one in newest.values():
        yield Lesson(
            kind="drill",
            text=f"Drill {one.drill} ended with {one.verdict} at {format_time(one.finished_at)[:16]}Z",
        )
    for name in sorted({*asked} - newest.keys()):
        yield Lesson(
            kind="drill", text=f"Drill {name} is asked for by a stage, and has no record in this folder"
        )


def _forced(attempts: Sequence[Attempt], completion: Completion | None) -> Iterator[Lesson]:
    for one in attempts:
        if one.without_drills is not None:
            yield Lesson(
                kind="without_drills", text=f"{one.stage} was left without its drills: {one.without_drills}"
            )
        if one.forced is not None and one.left_by == "promote-forced":
            lacking = _lacking(one)
            yield Lesson(kind="forced", text=f"{one.stage} was promoted by force: {one.forced}{lacking}")
    if completion is not None and completion.forced is not None:
        yield Lesson(
            kind="forced",
            text=f"Switching off began though the last stage had not passed: {completion.forced}",
        )


def _lacking(one: Attempt) -> str:
    gates = one.judgement.gates if one.judgement is not None else ()
    lacking = [f"{gate.name} {gate.verdict}" for gate in gates if gate.verdict != "pass" and not gate.dry_run]
    return f" ({', '.join(lacking)})" if lacking else ""


def _attempts(attempts: Sequence[Attempt]) -> Iterator[Lesson]:
    for stage, count in Counter(one.stage for one in attempts).items():
        if count > 1:
            yield Lesson(kind="attempts", text=f"{stage} took {count} attempts")
    for one in attempts:
        if one.soaks > 1:
            yield Lesson(kind="soak", text=f"The soak of {one.stage} began {one.soaks} times")


def _evidence(totals: Totals | None, window_s: float) -> Iterator[Lesson]:
    if totals is None:
        return
    of = totals.windows
    without = of.inconclusive + of.terminated + of.missing
    every = without + of.evidence + of.quiet
    if without:
        share = f"{100 * without / every:.2f} %, {lasting(without * window_s)}"
        yield Lesson(
            kind="evidence",
            text=f"{without:,} of {every:,} windows were no evidence ({share}): "
            f"{of.inconclusive:,} inconclusive, {of.terminated:,} cut short, {of.missing:,} missing",
        )


def _brakes(incidents: Sequence[Incident]) -> Iterator[Lesson]:
    brakes = [
        one
        for one in incidents
        if one.kind in ("abort", "brake") or (one.kind == "gate" and "taken" in one.what)
    ]
    if not brakes:
        return
    text = f"{_count(len(brakes), 'brake')} pulled"
    ended = [one.duration_s for one in brakes if one.duration_s is not None]
    if ended:
        text += f"; the longest was in force for {lasting(max(ended))}"
    still = len(brakes) - len(ended)
    yield Lesson(
        kind="brake", text=text + (f"; {still} still in the record, and not lifted" if still else "")
    )


def _lost(totals: Totals | None, completion: Completion | None) -> Iterator[Lesson]:
    if totals is not None and totals.lost:
        yield Lesson(kind="lost", text=f"{_count(totals.lost, 'event')} reached nobody")
    if completion is not None and completion.accepted_lost:
        why = f": {completion.reason}" if completion.reason else ""
        yield Lesson(kind="lost", text=f"{_count(completion.accepted_lost, 'subscriber')} given up{why}")


def _reopened(incidents: Sequence[Incident]) -> Iterator[Lesson]:
    for one in incidents:
        if one.kind == "reopened":
            why = f": {one.why}" if one.why else ""
            yield Lesson(kind="reopened", text=f"{one.what[0].upper()}{one.what[1:]} once{why}")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def _day(pause: Pause) -> str:
    return f"{format_time(pause.began)[:16]}Z"
