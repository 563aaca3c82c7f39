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
from uuid import UUID, uuid5

from migctl.flags.shares import Shares
from migctl.flags.snapshot import Brake
from migctl.rollout.walk import State, Step

# A walker that is killed after it braked and before it said so pulls the very same brake once more.
_DERIVED = UUID("0d5b8a0e-4a53-4f4e-8f0a-6e0a3c1f7b52")


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
