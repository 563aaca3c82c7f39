"""Wish: what somebody wants of a rollout, what it would do, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from migctl.errors import MigctlError
from migctl.flags.shares import ALL
from migctl.flags.snapshot import Brake
from migctl.rollout.standing import Gated
from migctl.rollout.steps import Direction
from migctl.runtime.rollout_known import Done


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a move would do. before, after: percent of the split in force. brakes: what a raise would end, to be looked at.

    stage: the rollout's after it; None where it stays. gated: what its gates say now. wanting: why they promote nothing.
    """

    command: str
    where: str
    direction: Direction
    split: str = ALL
    before: float | None = None
    after: float | None = None
    brakes: Sequence[Brake] = ()
    stage_before: str | None = None
    stage: str | None = None
    gated: Gated | None = None
    wanting: Sequence[str] = ()
    remarks: Sequence[str] = ()

    @property
    def asks(self) -> bool:
        """Whether somebody has to agree: it gives more, or ends a brake."""
        return self.direction == "up"


class Asking(Protocol):
    """Shows a proposal, and returns the ids of the brakes that were looked at. Raises Refused where nobody agrees, Usage."""

    def __call__(self, proposed: Proposed) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class Effect:
    """done: None where nothing was done: a dry run."""

    proposed: Proposed
    done: Done | None


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants it, and why. dry_run: nothing is done. notify: is told in a line what an operator must hear.

    wrong: what is wrong with the settings, which is in nobody's way down.
    """

    actor: str
    reason: str
    asking: Asking
    dry_run: bool = False
    notify: Callable[[str], None] = field(default=lambda _: None)
    wrong: MigctlError | None = None
