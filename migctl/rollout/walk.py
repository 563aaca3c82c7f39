"""Walk: where a rollout stands, and what is to be done next. Pure: what is known and the time go in, one thing to do comes out.

Every change of state is a write to the record at the version that was read, so a walk that is killed between any two of them goes
on from where it stood, and neither skips a step nor does one twice.

| phase | it waits for | then | gates fail | no evidence | taken from outside (`set`, `pause`, `abort`, a brake) |
|---|---|---|---|---|---|
| moving | everybody connected has moved, or `move_timeout` | settling | - | - | paused |
| settling | the witness hears both transports; then the marker on both | soaking | - | pause after `settle_timeout` | paused |
| soaking | `soak_minutes` of evidence | judged | abort or pause, as the gate says | pause (or abort), resumed by itself | paused |
| judged | drills that the stage asks for | moving | abort or pause | stays | paused |
| paused by no data | evidence again | soaking; anew where too few were observed | abort or pause | stays | paused by a person |
| paused by settling | the marker after all, or another one | soaking, or settling | abort or pause | stays | paused |
| paused by a person | `resume` | soaking, anew | abort | stays | stays |
| aborted | `resume`, by a person | moving, at the last stage judged `pass` | - | - | stays |
| done | nothing | - | - | - | - |

Of a soak, by window:

| a window | is evidence | was observed |
|---|---|---|
| `pass` | yes | yes |
| quiet: all was observed, and nothing was there | no | yes: a sparse stream takes longer, and begins nothing again |
| inconclusive, terminated, or not there | no | no |

No evidence for `max_evidence_age` is "no data", quiet or not: where nothing comes, nothing is proven.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from migctl.rollout.completing import Completing
from migctl.rollout.counting import observed_of
from migctl.rollout.gates import Gate, Outcome, judge_all
from migctl.rollout.judgement import Judgement, judgement
from migctl.validate.witness.minute import Minute

Phase = Literal["moving", "settling", "soaking", "judged", "paused", "aborted", "done"]
PauseKind = Literal["person", "no_data", "gate", "brake", "settling"]

# A soak with less of its minutes observed than this would count survivors only: it begins again.
MIN_OBSERVED = 0.95
# A marker that did not come out of both transports is followed by another one after so many settle timeouts.
MARK_AGAIN = 5
SWITCHED_OFF = (
    "the WebSocket is switched off, and nobody can be sent there; `migctl rollout revert` opens it again"
)
_BOTH = frozenset(("websocket", "realtime"))


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the walk, from its stage's file.

    stage: its name. percent, segments: what is opened. soak_minutes: of evidence. The timeouts are seconds.
    max_evidence_age_s: the last window may be older than this before there is "no data". window_s: how long one is; `soak_minutes`
    counts windows, so that a rehearsal with short ones is short. drills: that must have passed before the next stage begins, in the
    last max_drill_age_s.
    """

    stage: str
    percent: float
    segments: dict[str, float] = {}
    gates: tuple[Gate, ...] = ()
    soak_minutes: int
    max_evidence_age_s: float
    move_timeout_s: float
    settle_timeout_s: float
    window_s: float = 60.0
    drills: tuple[str, ...] = ()
    max_drill_age_s: float = 604_800.0


class Share(msgspec.Struct, frozen=True):
    """What a person set in place of a step's own: percent of all, and of segments. One that is not named keeps what it has."""

    percent: float
    segments: dict[str, float] = {}


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where the rollout stands, as the record has it.

    version: of this state; a write names the one it read. step_id: of this attempt at the stage: evidence and marker belong to it.
    since: of the phase. soak_from: evidence counts that began later. marker: its position, `epoch/seq`; None before it was placed.
    passed: stages judged `pass`, in order. paused: what by, and in which phase; reason: why it waits. share: what it soaks at;
    None is the stage's own.
    completing: the WebSocket is being switched off, or is; None before, and once it was opened again. judgement: the last, by which
    this state came to be, or one before it.
    """

    version: int
    stage: str
    step_id: str
    phase: Phase
    since: datetime
    soak_from: datetime | None = None
    marker: str | None = None
    passed: tuple[str, ...] = ()
    paused: PauseKind | None = None
    reason: str | None = None
    share: Share | None = None
    completing: Completing | None = None
    judgement: Judgement | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known now. minutes: of this step, in order. moved: everybody connected is where the flag says.

    epoch: the open one. marker: the marker's position, once it is in the journal; released: transports on which the witness saw it.
    unheard: those that the witness does not hear yet. missed: those on which it never hears this marker, for it began behind it.
    braked: a brake of others that takes from what the step opens, in words. share: the flag has what the step says, or more.
    withheld: why the next stage may not begin, though this one has passed; None where it may.
    """

    minutes: Sequence[Minute] = ()
    moved: bool = False
    epoch: str = ""
    marker: str | None = None
    released: frozenset[str] = frozenset()
    unheard: frozenset[str] = frozenset()
    missed: frozenset[str] = frozenset()
    braked: str | None = None
    share: bool = True
    withheld: str | None = None


class Open(msgspec.Struct, frozen=True):
    """Write the step's share to the record, and this state, in one transaction."""

    state: State


class Mark(msgspec.Struct, frozen=True):
    """Put a marker into the journal."""


class Write(msgspec.Struct, frozen=True):
    """Write this state to the record, at the version that was read."""

    state: State


class Roll(msgspec.Struct, frozen=True):
    """Brake everything to 0, and write this state."""

    state: State


class Wait(msgspec.Struct, frozen=True):
    """Nothing is to be done. reason: what is awaited; left_s: about how long, None where that is not known."""

    reason: str
    left_s: float | None = None


Action = Open | Mark | Write | Roll | Wait


def advance(
    state: State, step: Step, following: Step | None, facts: Facts, now: datetime, step_id: str
) -> Action:
    """The one thing to do next.

    step: of the state's stage; following: the next, None after the last. step_id: for the next step, should it begin.
    """
    if state.phase in ("done", "aborted"):
        return Wait(state.reason or state.phase)
    if facts.braked is not None and state.paused not in ("person", "brake"):
        return Write(_paused(state, "brake", f"a brake was pulled: {facts.braked}", now))
    if state.phase == "moving":
        return _moving(state, step, facts, now)
    if state.phase == "settling":
        return _settling(state, step, facts, now)
    counted = _counted(state, facts.minutes)
    outcome = judge_all(step.gates, counted, whole=True)
    if outcome.action == "abort":
        by = judgement(state.stage, outcome, counted)
        return Roll(_next(state, now, phase="aborted", paused=None, reason=outcome.reason, judgement=by))
    if state.phase == "paused":
        return _while_paused(state, step, facts, now)
    if outcome.action == "pause":
        waits = _paused(state, "gate", outcome.reason or "a gate failed", now)
        by = judgement(state.stage, outcome, counted)
        return Write(msgspec.structs.replace(waits, judgement=by))
    if state.phase == "soaking":
        return _soaking(state, step, counted, facts, outcome, now)
    return _judged(state, step, following, facts, now, step_id)


def paused(state: State, reason: str, now: datetime) -> State:
    """A person pauses it. Raises ValueError where there is nothing to pause."""
    if state.phase in ("done", "aborted"):
        raise ValueError(f"the rollout is {state.phase}")
    return _paused(state, "person", reason, now)


def braked(state: State, reason: str, now: datetime) -> State:
    """A brake keeps the walk from raising: it pauses."""
    return _paused(state, "brake", reason, now)


def aborted(state: State, reason: str, now: datetime) -> State:
    """A person aborts it: everything is braked to 0 beside. Never refused. What is completed stays so: `reopened` ends that."""
    if state.completing is not None and state.completing.phase == "completed":
        return _next(state, now, reason=f"{SWITCHED_OFF}: {reason}")
    return _next(state, now, phase="aborted", paused=None, reason=reason, completing=None)


def begun(
    version: int,
    stage: str,
    step_id: str,
    now: datetime,
    *,
    passed: Sequence[str] = (),
    reason: str | None = None,
    share: Share | None = None,
) -> State:
    """The first phase of a stage. version: of the state before; 0 where there was none."""
    return State(
        version=version + 1,
        stage=stage,
        step_id=step_id,
        phase="moving",
        since=now,
        passed=tuple(passed),
        reason=reason,
        share=share,
    )


def set_by_hand(
    state: State | None, stage: str, step_id: str, reason: str, now: datetime, share: Share | None = None
) -> State:
    """A person set the share: the step is the highest at or below it, and waits for `resume`, which soaks at that share."""
    if state is not None and state.completing is not None and state.completing.phase == "completed":
        return _next(state, now, reason=f"{SWITCHED_OFF}: {reason}")
    version, passed = (state.version, state.passed) if state is not None else (0, ())
    before = begun(version, stage, step_id, now, passed=passed, reason=reason, share=share)
    return msgspec.structs.replace(before, phase="paused", paused="person")


def resumed(state: State, first: str, step_id: str, now: datetime) -> State:
    """A person lets it go on: from a pause in its own stage, with a soak of its own; from `aborted` at the last stage that passed.

    first: the stage to begin with where none has passed. Raises ValueError where it neither waits nor was aborted.
    """
    if state.phase == "aborted":
        last = state.passed[-1] if state.passed else first
        return begun(state.version, last, step_id, now, passed=state.passed[:-1])
    if state.phase != "paused":
        raise ValueError(f"the rollout is not paused: it is {state.phase}")
    return begun(state.version, state.stage, state.step_id, now, passed=state.passed, share=state.share)


def _moving(state: State, step: Step, facts: Facts, now: datetime) -> Action:
    if not facts.share:
        return Open(_next(state, now))
    left_s = step.move_timeout_s - _seconds(state, now)
    if facts.moved or left_s <= 0:
        return Write(_next(state, now, phase="settling", marker=None, reason=None))
    return Wait("users move to their transport", left_s)


def _settling(state: State, step: Step, facts: Facts, now: datetime) -> Action:
    left_s = step.settle_timeout_s - _seconds(state, now)
    if facts.marker is None or not facts.marker.startswith(f"{facts.epoch}/"):
        if facts.unheard and left_s > 0:
            return Wait(f"the witness to hear {' and '.join(sorted(facts.unheard))}", left_s)
        return Mark()
    if state.marker != facts.marker:
        return Write(_next(state, state.since, marker=facts.marker))
    if facts.released >= _BOTH:
        return Write(_next(state, now, phase="soaking", soak_from=now, reason=None))
    if facts.missed:
        return Write(_anew(state, now))
    missing = sorted(_BOTH - facts.released)
    if left_s <= 0:
        return Write(_paused(state, "settling", f"the marker did not arrive on {' and '.join(missing)}", now))
    return Wait(f"the marker on {' and '.join(missing)}", left_s)


def _soaking(
    state: State, step: Step, minutes: Sequence[Minute], facts: Facts, outcome: Outcome, now: datetime
) -> Action:
    if state.marker is not None and facts.epoch and not state.marker.startswith(f"{facts.epoch}/"):
        reason = "a new epoch takes a new marker"
        return Write(_next(state, now, phase="settling", marker=None, soak_from=None, reason=reason))
    silent = _silent(state, step, minutes, now)
    if silent is not None:
        return _without_data(state, step, silent, now)
    good = sum(minute.counts for minute in minutes)
    if good < step.soak_minutes:
        observed, windows = observed_of(state.soak_from, step.window_s, minutes)
        if windows >= step.soak_minutes and observed < MIN_OBSERVED * windows:
            reason = f"only {observed} of {windows} minutes were observed"
            return Write(_next(state, now, soak_from=now, reason=f"the soak begins again: {reason}"))
        left = step.soak_minutes - good
        return Wait(f"{left:,} of {step.soak_minutes:,} minutes of evidence", step.window_s * left)
    if outcome.verdict == "pass":
        passed, by = (*state.passed, state.stage), judgement(state.stage, outcome, minutes)
        return Write(_next(state, now, phase="judged", passed=passed, reason=None, judgement=by))
    return Wait(outcome.reason or "evidence")


def _judged(
    state: State, step: Step, following: Step | None, facts: Facts, now: datetime, step_id: str
) -> Action:
    if following is not None and facts.withheld is not None:
        return Wait(facts.withheld)
    silent = _silent(state, step, _counted(state, facts.minutes), now)
    if silent is not None:
        return Wait(silent)
    if following is None:
        return Write(_next(state, now, phase="done", reason="every stage has passed"))
    return Write(begun(state.version, following.stage, step_id, now, passed=state.passed))


def _while_paused(state: State, step: Step, facts: Facts, now: datetime) -> Action:
    if state.paused == "no_data":
        if any(
            minute.counts and minute.expected and minute.started_at >= state.since for minute in facts.minutes
        ):
            return Write(_returned(state, step, facts, now))
        return Wait(state.reason or "no data")
    if state.paused == "settling":
        return _while_unsettled(state, step, facts, now)
    return Wait(f"{state.reason or 'paused'}; `migctl rollout resume` goes on")


def _while_unsettled(state: State, step: Step, facts: Facts, now: datetime) -> Action:
    """Nobody has to come for this: what the marker did not reach may be back."""
    if state.marker is not None and state.marker == facts.marker and facts.released >= _BOTH:
        return Write(_next(state, now, phase="soaking", paused=None, soak_from=now, reason=None))
    is_of_old = bool(facts.epoch) and not (state.marker or "").startswith(f"{facts.epoch}/")
    if is_of_old or facts.missed or _seconds(state, now) > MARK_AGAIN * step.settle_timeout_s:
        return Write(_anew(state, now))
    return Wait(state.reason or "the marker did not arrive")


def _anew(state: State, now: datetime) -> State:
    return _next(state, now, phase="settling", paused=None, marker=None, reason="a new marker is placed")


def _returned(state: State, step: Step, facts: Facts, now: datetime) -> State:
    """Data is there again. What was observed of the soak still counts, unless too little was."""
    observed, windows = observed_of(state.soak_from, step.window_s, _counted(state, facts.minutes))
    if observed >= MIN_OBSERVED * windows:
        return _next(state, now, phase="soaking", paused=None, reason="data has returned; the soak goes on")
    reason = "data has returned; the soak begins again"
    return _next(state, now, phase="soaking", paused=None, soak_from=now, reason=reason)


def _silent(state: State, step: Step, minutes: Sequence[Minute], now: datetime) -> str | None:
    good = [minute for minute in minutes if minute.counts and minute.expected]
    # By the end of the last window, or the begin of the soak: none may have closed since.
    ends = [minute.started_at + timedelta(seconds=step.window_s) for minute in good]
    last = max(ends, default=(state.soak_from or state.since) + timedelta(seconds=step.window_s))
    age_s = (now - last).total_seconds()
    if age_s <= step.max_evidence_age_s:
        return None
    why = next((minute.reason for minute in reversed(minutes) if minute.reason), None)
    return f"no evidence for {_long(age_s)}" + (f": {why}" if why else "")


def _long(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _without_data(state: State, step: Step, reason: str, now: datetime) -> Action:
    if any(gate.no_data == "abort" and not gate.dry_run for gate in step.gates):
        return Roll(_next(state, now, phase="aborted", paused=None, reason=reason))
    return Write(_paused(state, "no_data", reason, now))


def _counted(state: State, minutes: Sequence[Minute]) -> list[Minute]:
    begin = state.soak_from
    return [] if begin is None else [minute for minute in minutes if minute.started_at >= begin]


def _paused(state: State, kind: PauseKind, reason: str, now: datetime) -> State:
    return _next(state, now, phase="paused", paused=kind, reason=reason)


def _next(state: State, since: datetime, **changed: object) -> State:
    return msgspec.structs.replace(state, version=state.version + 1, since=since, **changed)


def _seconds(state: State, now: datetime) -> float:
    return (now - state.since).total_seconds()
