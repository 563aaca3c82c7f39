"""Opening: whether a flag says what a step opens, and which brakes take from it. Pure.

The walk only raises: who was given more by hand keeps it.

| the flag says of a split | the step | opened |
|---|---|---|
| less | names it | no |
| as much, or more | names it | yes |
| anything | does not name it | yes |
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

import msgspec

from migctl.events.times import parse_time
from migctl.flags.shares import EVERYTHING, Shares
from migctl.flags.snapshot import Brake
from migctl.rollout import walk
from migctl.rollout.walk import State, Step

# A walker that is killed after it braked and before it said so pulls the very same brake once more.
_DERIVED = UUID("0d5b8a0e-4a53-4f4e-8f0a-6e0a3c1f7b52")


def soaked(state: State, step: Step) -> Step:
    """The step with what this state opens: its own, or what a person set in place of that; gates ask of no other segment."""
    if state.share is None:
        return step
    percent, segments = state.share.percent, state.share.segments
    named = tuple(name for name, of in segments.items() if of > 0)
    gates = tuple(replace(gate, cohorts=named) for gate in step.gates)
    return msgspec.structs.replace(step, percent=percent, segments=segments, gates=gates)


def under(
    state: State | None, brakes: Iterable[Brake], first: str, step_id: str, now: datetime
) -> State | None:
    """Where a rollout stands under these brakes: an abort is one, also where the record was away and its state could not be moved.

    | a brake for `everything` at 0 | the state            | stands       |
    |-------------------------------|----------------------|--------------|
    | none                          | any                  | as it says   |
    | live                          | none yet             | aborted      |
    | live, not older               | any but `aborted`    | aborted      |
    | live, older                   | any                  | as it says: somebody spoke since |

    first, step_id: of the step to be aborted where none has begun.
    """
    if state is not None and state.phase == "aborted":
        return state
    for brake in brakes:
        if brake.split == EVERYTHING and brake.max_percent == 0:
            at = _pulled(brake, now)
            if state is None or at >= state.since:
                return walk.aborted(state or walk.begun(0, first, step_id, at), brake.reason or "aborted", at)
    return state


def _pulled(brake: Brake, now: datetime) -> datetime:
    """When. One that does not say it is taken for new: that way is down."""
    try:
        return min(parse_time(brake.at), now)
    except ValueError:
        return now


def is_open(shares: Shares, step: Step) -> bool:
    """Whether everybody has it whom the step opens it to."""
    named = all(shares.of(name) >= percent for name, percent in step.segments.items())
    return shares.percent >= step.percent and named


def wanted(shares: Shares, step: Step) -> tuple[float, dict[str, float]]:
    """What the step opens, and what was open before: percent of all, and of the step's segments."""
    percent = max(shares.percent, step.percent)
    return percent, {name: max(of, shares.of(name)) for name, of in step.segments.items()}


def braked(shares: Shares, brakes: Iterable[Brake], step: Step, *, own: Collection[str] = ()) -> str | None:
    """The brake that takes something from what the step opens, in words. own: ids of those that the walk pulls itself."""
    percent, segments = wanted(shares, step)
    opened = Shares(shares.opened, shares.otherwise, shares.users, {**shares.segments, **segments}, percent)
    for brake in brakes:
        if brake.id not in own and opened.capped(brake.split, brake.max_percent) != opened:
            why = f": {brake.reason}" if brake.reason else ""
            return f"{brake.split} at most {brake.max_percent:g} % by {brake.by or 'nobody named'}{why}"
    return None


def brake_id(state: State) -> str:
    """Of the brake with which this soak is rolled back."""
    return str(uuid5(_DERIVED, f"{state.step_id}/{state.soak_from.isoformat() if state.soak_from else ''}"))


def marker_id(state: State, epoch: str) -> str:
    """Of the marker of this settling: placed twice, it is still one event."""
    return str(uuid5(_DERIVED, f"{state.step_id}/{state.version}/{epoch}"))
