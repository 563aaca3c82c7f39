"""Steps: which stage a share belongs to, and what a person's share does to the one that stands. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from migctl.errors import Usage
from migctl.flags.shares import ALL, Shares
from migctl.rollout.walk import Share, State, Step

Direction = Literal["up", "down", "same"]


def percent_of(text: str) -> float:
    """A share as a person writes it. Raises Usage for what is none."""
    try:
        percent = float(text.strip().removesuffix("%"))
    except ValueError:
        percent = float("nan")
    if not 0 <= percent <= 100:
        raise Usage(f"{text!r} is no share", do="give a number from 0 to 100")
    if round(percent * 100) != round(percent * 100, 6):
        raise Usage(f"{text}: a share has hundredths of a percent at the finest", do=f"give {percent:.2f}")
    return percent + 0.0  # -0 is 0


def at_or_below(percent: float, steps: Sequence[Step]) -> Step:
    """The highest step at or below a share; the first where none is. Of two with one share the first."""
    found = steps[0]
    for step in steps:
        if found.percent < step.percent <= percent:
            found = step
    return found


def by_hand(percent: float, split: str, state: State | None, steps: Sequence[Step]) -> tuple[str, Share]:
    """The stage that a share set by hand belongs to, and what is soaked there: what a person set, and no more.

    | set       | stage                      | soaked                                                   |
    |-----------|----------------------------|----------------------------------------------------------|
    | of all    | the highest at or below it | N of all; segments keep what they have                   |
    | a segment | as it was; else the first  | N of the segment; the rest as it was soaked until now    |
    """
    if split == ALL:
        return at_or_below(percent, steps).stage, Share(percent)
    if state is None:
        return steps[0].stage, Share(steps[0].percent, {split: percent})
    if state.share is not None:
        return state.stage, Share(state.share.percent, {**state.share.segments, split: percent})
    step = steps[index_of(state.stage, steps)]
    return state.stage, Share(step.percent, {**step.segments, split: percent})


def before(stage: str, steps: Sequence[Step]) -> Step | None:
    """The step before this one; None before the first. Raises Usage where there is no such stage."""
    index = index_of(stage, steps)
    return steps[index - 1] if index else None


def following(stage: str, steps: Sequence[Step]) -> Step | None:
    """The step after this one; None after the last. Raises Usage where there is no such stage."""
    index = index_of(stage, steps)
    return steps[index + 1] if index + 1 < len(steps) else None


def index_of(stage: str, steps: Sequence[Step]) -> int:
    """Raises Usage where there is no such stage."""
    names = [step.stage for step in steps]
    if stage not in names:
        raise Usage(
            f"the rollout stands at stage {stage!r}, and there is no such stage",
            do=f"write configs/stages/{stage}.yaml, or name one with `migctl rollout set N`: {', '.join(names)}",
        )
    return names.index(stage)


def direction(percent: float, standing: Sequence[Shares], split: str = ALL) -> Direction:
    """What a share does to what is in force. standing: as it is held at each place that could be asked; the highest counts.

    | above the highest | below it | as it |
    |-------------------|----------|-------|
    | up                | down     | same  |
    """
    highest = max(shares.of(split) for shares in standing)
    if percent == highest:
        return "same"
    return "up" if percent > highest else "down"
