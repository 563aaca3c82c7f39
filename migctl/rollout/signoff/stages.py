"""Attempts: each attempt at a stage, from its begin to what ended it, with the evidence that it was judged by. Pure.

| it ends with | `left_by` | forced, without_drills |
|---|---|---|
| the walker's next stage | begin | without_drills: the reason, where the drills were gone without |
| a promotion | promote, promote-forced | forced: the reason of the latter |
| a share set by hand, `revert` | set, revert | - |
| an abort, of a gate or a person | aborted | - |
| the last stage that passed | done | - |
| `complete --force` before that | complete-forced | forced: its reason |
| nothing yet | - | - |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from migctl.rollout.judgement import Judgement
from migctl.rollout.signoff.document import Attempt
from migctl.rollout.signoff.evidence import between, windows_of
from migctl.rollout.signoff.moves import Move, Moves, by_step
from migctl.rollout.standing import gated
from migctl.rollout.walk import State, Step
from migctl.validate.witness.minute import Minute

States = Sequence[tuple[Move, State]]


def attempts_of(
    moves: Moves,
    minutes: Sequence[Minute],
    steps: Mapping[str, Step],
    titles: Mapping[str, str],
    window_s: float,
    now: datetime,
) -> list[Attempt]:
    """steps, titles: by stage, as their files are now. now: to where an attempt is looked at that lasts."""
    every = moves.states
    found = []
    for states in by_step(moves).values():
        first, last = states[0][0], states[-1]
        left = next(iter(every[every.index(last) + 1 :]), None)
        end = _ended(states) or (left[0].at if left is not None else None)
        of = between(minutes, first.at, end or now)
        found.append(_attempt(states, left, end, of, steps, titles, window_s, now))
    return found


def _attempt(
    states: States,
    left: tuple[Move, State] | None,
    end: datetime | None,
    minutes: Sequence[Minute],
    steps: Mapping[str, Step],
    titles: Mapping[str, str],
    window_s: float,
    now: datetime,
) -> Attempt:
    first, state = states[0]
    step = steps.get(state.stage)
    percent = state.share.percent if state.share is not None else step.percent if step is not None else None
    action = left[0].action.removeprefix("rollout.") if left is not None else None
    judged = _judgement(states, left)
    recorded = judged is not None
    if judged is None and step is not None and minutes:
        as_of = next((one for _, one in reversed(states) if one.soak_from is not None), state)
        gates = gated(step, as_of, minutes, end or now)
        judged = Judgement(stage=state.stage, verdict=gates.verdict, gates=tuple(gates.gates))
    return Attempt(
        stage=state.stage, title=titles.get(state.stage), percent=percent, begun_at=first.at, by=first.who,
        reason=first.why or None,
        moved_at=_first(states, lambda one: one.phase == "settling"),
        settled_at=_first(states, lambda one: one.soak_from is not None),
        soaks=len({one.soak_from for _, one in states if one.soak_from is not None}),
        judged_at=_first(states, lambda one: one.phase in ("judged", "done")),
        left_at=end,
        left_by=states[-1][1].phase if _ended(states) else action,
        forced=left[0].why if left is not None and action in ("promote-forced", "complete-forced") else None,
        without_drills=left[0].why if left is not None and action == "without_drills" else None,
        windows=windows_of(minutes, first.at, end or now, window_s),
        judgement=judged, recorded=recorded,
    )  # fmt: skip


def _judgement(states: States, left: tuple[Move, State] | None) -> Judgement | None:
    """The last that the record has of this attempt; a promotion by hand has it in the state of the next stage."""
    own = [state.judgement for _, state in states if state.judgement is not None]
    if left is not None and left[0].action.startswith("rollout.promote") and left[1].judgement is not None:
        own.append(left[1].judgement)
    named = [one for one in own if one.stage == states[0][1].stage]
    return named[-1] if named else None


def _first(states: States, holds: Callable[[State], bool]) -> datetime | None:
    return next((move.at for move, state in states if holds(state)), None)


def _ended(states: States) -> datetime | None:
    """By itself: nothing but a person takes it further."""
    move, state = states[-1]
    return move.at if state.phase in ("done", "aborted") else None


def stage_at(attempts: Sequence[Attempt], at: datetime) -> str | None:
    """The stage that was under way then."""
    found = [one.stage for one in attempts if one.begun_at <= at]
    return found[-1] if found else None
