"""Ports: what a walker asks of the world, by role. `runtime` has what stands behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from migctl.flags.shares import Shares
from migctl.flags.snapshot import Brake
from migctl.rollout.walk import State, Step
from migctl.validate.witness.minute import Minute


@dataclass(frozen=True, slots=True)
class Flags:
    """What the record says of the flag. n: of its newest row, which a raise must still find there.

    shares: as written; None before the first, and where the flag says it in words of its own. closed: why nobody has
    it whatever the shares say, such as a flag that is disabled. brakes: those in force.
    """

    n: int
    shares: Shares | None
    closed: str | None
    brakes: Sequence[Brake]


@dataclass(frozen=True, slots=True)
class Held:
    """The lease, and what stands in its row. version: of the state; 0 and None before the first."""

    fence: int
    version: int
    state: State | None


@dataclass(frozen=True, slots=True)
class Observed:
    """What the serves say. moved: every subscriber that is connected is where the flag says; None where one does not know it.

    markers: transports that released each, by position, as the witness has heard until now. heard_from: the position after which
    it hears each transport; None where no witness says.
    """

    epoch: str
    moved: bool | None
    markers: dict[str, list[str]]
    heard_from: Mapping[str, str] | None = None


class Ledger(Protocol):
    """The record. Every method raises Transient or Systemic while it is away."""

    async def flags(self) -> Flags: ...

    async def hold(self) -> Held:
        """Take or renew the lease. Raises Refused with the holder's name where another walker has it."""
        ...

    async def minutes(self, since: datetime) -> list[Minute]: ...

    async def write(self, state: State, held: Held, *, action: str, reason: str) -> None:
        """Raises Changed where somebody wrote meanwhile, Unshown where the lease was taken."""
        ...

    async def open(self, state: State, step: Step, flags: Flags, held: Held, *, reason: str) -> None:
        """Raise the share to the step's and write the state, or neither. Raises as `write`, and Unshown where a brake is live."""
        ...


class Serves(Protocol):
    """The `serve` processes. Raises Transient where none answers."""

    async def observe(self) -> Observed: ...

    async def mark(self, marker_id: str, step_id: str) -> str:
        """Put a marker into the journal: its position. Idempotent by its id."""
        ...


class Down(Protocol):
    async def roll(self, brake_id: str, reason: str) -> str:
        """Brake everything to 0, at once and everywhere. What became of it, in words. Raises nothing for who is away."""
        ...
