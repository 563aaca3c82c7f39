"""What a `serve` says of flags: what it holds, what of that is in force, and where it has it from."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from migctl.events.times import Moment

FlagTierName = Literal["record", "redis", "file"]
FlagTierState = Literal["running", "connecting", "retrying", "paused"]


class FlagTierStatus(Struct, frozen=True, kw_only=True):
    """One place where flags come from. since: of its state. age_s: since it last said something; None: not since the start."""

    state: FlagTierState
    since: Moment
    reason: str | None
    do: str | None
    age_s: float | None


class BrakeStatus(Struct, frozen=True, kw_only=True):
    """A brake in force: no more than max_percent of the split, until an up row names its id."""

    id: str
    flag: str
    max_percent: float
    split: str
    by: str
    at: str
    reason: str


class FlagProcessStatus(Struct, frozen=True, kw_only=True):
    """A process that evaluates flags, as the record listed it last."""

    id: str
    name: str
    url: str | None


class SharesStatus(Struct, frozen=True, kw_only=True):
    """Who has the opened variant. percent: of those who are in no segment. segments: percent by name.

    users: how many are assigned to it by name. assigned_percent: how many of those a brake leaves it to.
    """

    percent: float
    segments: dict[str, float]
    users: int
    assigned_percent: float


class FlagsStatus(Struct, frozen=True, kw_only=True):
    """process: the id of this one. n: of the flag set in use; 0 before the first. override: the environment's kill switch.

    written, effective: the shares of the flag `transport` as it is written, and under the brakes; None where there are none.
    Effective is 0 before the first flag, and of a disabled one: nobody has Realtime then.
    blind: the record was not reached since the start, and nobody is sent to what is opened. confirms: what it hears outlives it.
    unkept: why what it holds is not on disk. unreadable_n: of a newer flag set that can't be read; 0 without one.
    """

    process: str
    target: str
    n: int
    written: SharesStatus | None
    effective: SharesStatus | None
    override: str | None
    blind: bool
    confirms: bool
    unkept: str | None
    unreadable_n: int
    brakes: list[BrakeStatus]
    tiers: dict[FlagTierName, FlagTierStatus]
    processes: list[FlagProcessStatus]
