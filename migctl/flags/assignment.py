"""Assignment: which variant a user has, by what a process holds: kill switch, flag set, brakes. Pure, and made once a change.

Raising is never this room's: it can only answer what an up row says, or less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import msgspec

from migctl.flags.definitions import Flag, FlagSet
from migctl.flags.evaluator import Compiled
from migctl.flags.logic import TARGETING_KEY
from migctl.flags.shares import Shares, shares_of
from migctl.flags.snapshot import Brake, Snapshot, effective, flag_sets

Why = Literal["OVERRIDE", "STALE", "BRAKED", "STATIC", "DEFAULT", "TARGETING_MATCH", "DISABLED", "ERROR"]


@dataclass(frozen=True, slots=True)
class Assigned:
    """variant: of the flag. n: the number of the flag set that said so; 0 where none did, which is no version to compare with."""

    variant: str
    reason: Why
    n: int


@dataclass(frozen=True, slots=True)
class Switch:
    """The flag that decides between two ways. opened: what is opened step by step; otherwise: what everybody has before."""

    flag: str
    opened: str
    otherwise: str


class Assignments:
    """Of one snapshot. Immutable: a change makes another one.

    override: the environment's kill switch, which beats all. blind: the record was not reached since the start, so nobody knows
    what it says today: everybody has `when_blind`.
    """

    def __init__(
        self,
        switch: Switch,
        snapshot: Snapshot,
        *,
        override: str | None = None,
        blind: bool = False,
        when_blind: str | None = None,
    ) -> None:
        self.switch = switch
        self.snapshot = snapshot
        self._override = override
        self._blind = blind
        self._when_blind = when_blind or switch.otherwise
        self._brakes = snapshot.live_brakes(switch.flag)
        # Each flag set twice: as it is, and as it is under the brakes.
        self._sets = [
            (Compiled(each), Compiled(_braked(each, switch, self._brakes))) for each in flag_sets(snapshot)
        ]

    def assign(self, user: str, attributes: Mapping[str, object] = MappingProxyType({})) -> Assigned:
        """user: the targeting key. attributes: what else is known of them, for segments that ask."""
        switch, n = self.switch, self.snapshot.n
        if self._override is not None:
            return Assigned(self._override, "OVERRIDE", 0)
        if self._blind:
            return Assigned(self._when_blind, "STALE", 0)
        context = {**attributes, TARGETING_KEY: user}
        found: Assigned | None = None
        for plain, braked in self._sets:
            now = braked.evaluate(switch.flag, context)
            variant = now.variant if now.variant in (switch.opened, switch.otherwise) else switch.otherwise
            is_braked = bool(self._brakes) and plain.evaluate(switch.flag, context).variant != now.variant
            if found is None or variant != switch.opened:  # of several, each caps the others
                found = Assigned(variant, "BRAKED" if is_braked else now.reason, n)
        return found or Assigned(switch.otherwise, "DEFAULT", 0)

    def shares(self) -> Shares | None:
        """What everybody together has, under the brakes; None where the flag set says it in words of its own, or there is none."""
        found: Shares | None = None
        for plain, _ in self._sets:
            flag = plain.flag_set.flags.get(self.switch.flag)
            shares = shares_of(flag, self.switch.opened, self.switch.otherwise) if flag is not None else None
            if shares is None:
                return None
            shares = effective(shares, self._brakes)
            if found is None or shares.percent < found.percent:
                found = shares
        return found


def _braked(flag_set: FlagSet, switch: Switch, brakes: Sequence[Brake]) -> FlagSet:
    flag = flag_set.flags.get(switch.flag)
    if not brakes or flag is None:
        return flag_set
    shares = shares_of(flag, switch.opened, switch.otherwise)
    if shares is not None:
        targeting: object = effective(shares, brakes).targeting()
        default = flag.default
    else:
        # A rule in its author's own words: whoever has the opened variant by it is bucketed once more.
        targeting = _capped(flag, switch, min(brake.max_percent for brake in brakes))
        default = switch.otherwise
    capped = msgspec.structs.replace(flag, targeting=targeting, default=default)
    return msgspec.structs.replace(flag_set, flags={**flag_set.flags, switch.flag: capped})


def _capped(flag: Flag, switch: Switch, percent: float) -> object:
    """The flag's rule, with no more than this share of `opened` in it."""
    split = Shares(switch.opened, switch.otherwise, percent=percent).targeting()
    rule = flag.targeting if flag.targeting is not None else flag.default
    return {"if": [{"==": [rule, switch.opened]}, split, rule]}
