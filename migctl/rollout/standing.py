"""Standing: where a rollout is, what its gates say, and what it waits for. Pure.

What a gate says is judged from the minutes that count for it: since the soak began, or since a person set the share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from migctl.errors import Systemic
from migctl.rollout.gates import Judged, Outcome, Verdict, judge_all
from migctl.rollout.judgement import GateView, views
from migctl.rollout.opening import soaked
from migctl.rollout.walk import Phase, State, Step
from migctl.validate.witness.minute import Minute


class Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """The state. reason: why it is in it; awaits: what for; left_s: about how long, None where nobody knows."""

    phase: Phase | None
    reason: str | None = None
    awaits: str | None = None
    left_s: float | None = None
    since: datetime | None = None
    paused_by: str | None = None


class Evidence(msgspec.Struct, frozen=True):
    """A minute that a verdict is made of, by its digest."""

    started_at: datetime
    verdict: str
    sha256: str


class Gated(msgspec.Struct, frozen=True, kw_only=True):
    """All gates of a step. gathered, needed: minutes of evidence, and of the soak. age_s: since the newest began; None without one.

    wanting: why the step may not be promoted by it, one reason a line; empty where it may.
    """

    verdict: Verdict
    gates: list[GateView]
    gathered: int = msgspec.field(name="seen")
    needed: int
    age_s: float | None
    wanting: list[str]
    evidence: list[Evidence]


def state_of(document: object) -> State | None:
    """The state that the record has; None before the first. Raises Systemic where it is none that this version knows."""
    if document is None:
        return None
    try:
        return msgspec.convert(document, State, strict=False)
    except msgspec.ValidationError as error:
        raise Systemic(
            f"the rollout's state in the record can't be read: {error}",
            do="use the migctl that wrote it; `migctl rollout abort` and a lower `set` work all the same",
        ) from None


def counts_from(state: State | None) -> datetime | None:
    """From when on evidence counts; None before the first stage: then whatever there is."""
    return None if state is None else state.soak_from or state.since


def gated(step: Step, state: State | None, minutes: Sequence[Minute], now: datetime) -> Gated:
    """What the gates of a step say, of what is soaked there. minutes: in order."""
    step = soaked(state, step) if state is not None else step
    begin = counts_from(state)
    of = [minute for minute in minutes if begin is None or minute.started_at >= begin]
    good = [minute for minute in of if minute.counts]
    whole = len(good) >= step.soak_minutes
    outcome = judge_all(step.gates, of, whole=whole)
    age_s = (now - good[-1].started_at).total_seconds() if good else None
    return Gated(
        verdict=outcome.verdict,
        gates=views(outcome, good),
        gathered=len(good),
        needed=step.soak_minutes,
        age_s=age_s,
        wanting=_wanting(outcome, step, len(good), age_s),
        evidence=[Evidence(minute.started_at, minute.verdict, minute.sha256) for minute in good],
    )


def _wanting(outcome: Outcome, step: Step, gathered: int, age_s: float | None) -> list[str]:
    """Why these gates promote nothing."""
    found = []
    for one in outcome.gates:
        if one.gate.dry_run or one.verdict in ("pass", "terminated"):
            continue
        what = one.missing if one.verdict == "inconclusive" else _beyond(one)
        found.append(f"{one.gate.name}: {what}")
    if not any(not one.gate.dry_run for one in outcome.gates):
        found.append("the stage has no gate that decides")
    if gathered < step.soak_minutes:
        found.append(f"the soak: {gathered:,} of {step.soak_minutes:,} minutes of evidence")
    # A window is over when it has lasted.
    if age_s is not None and age_s - step.window_s > step.max_evidence_age_s:
        found.append(
            f"the newest evidence is {age_s / 60:,.0f} min old, and may be {step.max_evidence_age_s / 60:g}"
        )
    return found


def _beyond(one: Judged) -> str:
    limit = one.gate.failure_limit
    return f"{one.value:g}, bound {one.gate.bound:g}: beyond it in {len(one.failed)} min, and {limit} may be"


def awaited(
    state: State | None, step: Step | None, of: Gated | None, now: datetime, *, walked: bool
) -> Awaited:
    """What it waits for. step: of the state's stage; of: what its gates say. walked: somebody holds the walker's lease.

    | phase            | awaits                                               | left_s            |
    |------------------|------------------------------------------------------|-------------------|
    | none             | a first `set`, or `run`                              |                   |
    | moving, settling | users, the marker                                    | of their timeouts |
    | soaking          | minutes of evidence, or what a gate lacks            | of the soak       |
    | judged           | the next stage                                       |                   |
    | paused           | evidence, where that is why; else a person           |                   |
    | aborted          | a person                                             |                   |
    | done             | `complete`                                           |                   |
    | completing       | `complete` again, or nothing more                    |                   |
    """
    if state is None:
        return Awaited(phase=None, awaits="`migctl rollout set N`, or `migctl rollout run`")
    if state.completing is not None:
        return Awaited(
            phase=state.phase, reason=f"completing: {state.completing.phase}", awaits=_COMPLETING[state.completing.phase],
            since=state.completing.since,
        )  # fmt: skip
    awaits, left_s = _AWAITS.get(state.phase, ""), None
    spent_s = (now - state.since).total_seconds()
    if state.phase == "moving" and step is not None:
        left_s = step.move_timeout_s - spent_s
    elif state.phase == "settling" and step is not None:
        left_s = step.settle_timeout_s - spent_s
    elif state.phase == "soaking" and of is not None:
        left = max(0, of.needed - of.gathered)
        left_s = (step.window_s if step is not None else 60.0) * left if left else None
        awaits = f"evidence: {of.gathered:,} of {of.needed:,} minutes"
        if not left and of.wanting:
            awaits = of.wanting[0]
    elif state.phase == "paused":
        awaits = _PAUSED.get(state.paused or "person", _PAUSED["person"])
    if state.phase in ("moving", "settling", "soaking", "judged") and not walked:
        awaits += "; nobody walks: `migctl rollout run` does"
        left_s = None
    return Awaited(
        phase=state.phase, reason=state.reason, awaits=awaits, left_s=None if left_s is None else max(0.0, left_s),
        since=state.since, paused_by=state.paused,
    )  # fmt: skip


_AWAITS: Mapping[str, str] = {
    "moving": "connected users move to their transport",
    "settling": "the marker on both transports",
    "judged": "the next stage",
    "aborted": "`migctl rollout resume`, which begins the last stage that passed",
    "done": "`migctl rollout complete`",
}
_COMPLETING: Mapping[str, str] = {
    "rampdown": "`migctl rollout complete` after the rampdown; until then `revert` takes it back",
    "draining": "`migctl rollout complete`, once nobody uses the WebSocket; until then `revert` takes it back",
    "completed": "nothing: the WebSocket is switched off; `migctl rollout revert` opens it again",
}
_PAUSED: Mapping[str, str] = {
    "person": "`migctl rollout resume`, or `promote`",
    "no_data": "evidence: it goes on by itself",
    "gate": "`migctl rollout resume`, once the cause is gone",
    "brake": "`migctl rollout resume`, which ends the brake",
    "settling": "`migctl rollout resume`, once the marker can arrive",
}
