"""Assignment: which variant a user has, by what a process holds: kill switch, flag set, brakes. Pure, and made once a change.

Raising is never this room's: it can only answer what an up row says, or less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import msgspec

from migctl.flags.definitions import Flag, FlagSet
from migctl.flags.evaluator import Compiled, Evaluation, Reason
from migctl.flags.logic import TARGETING_KEY, Context
from migctl.flags.shares import SEGMENT, Shares, shares_of
from migctl.flags.snapshot import Brake, Snapshot, effective, flag_sets, naming
from migctl.flags.splits import Deciding, Split, deciding

Why = Reason
_INSIDE = "inside"


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


@dataclass(frozen=True, slots=True)
class Placed:
    """By which share a user was drawn. named: by none, the user is assigned by name. segment: None where the share is that of all.

    percent: of the opened variant, under the brakes. kept: it is that by which a sticky experiment drew the user, not that of now.
    """

    named: bool
    segment: str | None
    percent: float
    kept: bool = False

    @property
    def is_drawn(self) -> bool:
        """Chance decided: neither a name nor a share of nobody or everybody."""
        return not self.named and 0 < self.percent < 100


class Assignments:
    """Of one snapshot. Immutable: a change makes another one.

    override: the environment's kill switch, which beats all. blind: the record was not reached since the start, so nobody knows
    what it says today: everybody has `when_blind`. overrides: of other flags, the variant by key, which beats all there too.
    """

    def __init__(
        self,
        switch: Switch,
        snapshot: Snapshot,
        *,
        override: str | None = None,
        blind: bool = False,
        when_blind: str | None = None,
        overrides: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.switch = switch
        self.snapshot = snapshot
        self._override = override
        self._blind = blind
        self._overrides = overrides
        self._when_blind = when_blind or switch.otherwise
        self._brakes = snapshot.live_brakes(switch.flag)
        self._deciding: dict[str, Deciding] = {}  # only of flags that keep something
        # Each flag set twice: as it is, and as it is under the brakes.
        self._sets = [
            (Compiled(each), Compiled(_braked(each, switch, self._brakes))) for each in flag_sets(snapshot)
        ]

    def assign(
        self,
        user: str,
        attributes: Mapping[str, object] = MappingProxyType({}),
        kept: str | None = None,
    ) -> Assigned:
        """user: the targeting key. attributes: what else is known of them, for segments that ask. kept: as `evaluate` takes it."""
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
        found = found or Assigned(switch.otherwise, "DEFAULT", 0)
        # Never the opened one: going down waits for nobody, so nobody is held above what a share or a brake leaves.
        if (
            kept == switch.otherwise
            and found.variant == switch.opened
            and self._holds(switch.flag, context, kept)
        ):
            return Assigned(kept, "KEPT", n)
        return found

    def _holds(self, key: str, context: Context, kept: str) -> bool:
        split = self.split(key, context)
        return split is not None and split.may_give(kept)

    def split(self, key: str, context: Context) -> Split | None:
        """The percentage that decides this flag for this context, as it is written; None where something else decides."""
        flag_set = self.flag_set
        if flag_set is None or key not in flag_set.flags or self._is_decided(key):
            return None
        if key not in self._deciding:
            self._deciding[key] = deciding(flag_set.flags[key], flag_set.evaluators)
        return self._deciding[key](context)

    def _is_decided(self, key: str) -> bool:
        """By the environment, or for want of a record."""
        if key != self.switch.flag:
            return key in self._overrides
        return self._override is not None or self._blind

    def is_braked(self, key: str) -> bool:
        """A brake is in force on this flag."""
        return key == self.switch.flag and bool(self._brakes)

    def placed(self, user: str, attributes: Mapping[str, object] = MappingProxyType({})) -> Placed | None:
        """By which share this user is drawn; None where the flag set says it in words of its own, or there is none."""
        shares = self._shares
        if shares is None:
            return None
        if user in shares.users:
            return Placed(True, None, shares.percent)
        context = {**attributes, TARGETING_KEY: user}
        for name, percent in shares.segments.items():
            if self._segments.evaluate(name, context).variant == _INSIDE:
                return Placed(False, name, percent)
        return Placed(False, None, shares.percent)

    @cached_property
    def _shares(self) -> Shares | None:
        return self.shares()

    @cached_property
    def _segments(self) -> Compiled:
        """Each segment as a flag of its own, which says who is in it."""
        flag_set = self.flag_set or FlagSet()
        names = [name.removeprefix(SEGMENT) for name in flag_set.evaluators if name.startswith(SEGMENT)]
        flags = {
            name: Flag(
                key=name,
                state="ENABLED",
                variants={_INSIDE: _INSIDE},
                targeting={"if": [{"$ref": f"{SEGMENT}{name}"}, _INSIDE, None]},
            )
            for name in names
        }
        return Compiled(msgspec.structs.replace(flag_set, flags=flags))

    @property
    def is_blind(self) -> bool:
        """The record was not reached since the start."""
        return self._blind

    @property
    def flag_set(self) -> FlagSet | None:
        """As it was written, without what brakes cap; None before the first."""
        return self._sets[0][0].flag_set if self._sets else None

    def needs_key(self, key: str) -> bool:
        """Whether this flag can't be decided without a targeting key."""
        if self._is_decided(key) or not self._sets:
            return False
        return self._sets[0][0].needs_key(key)

    def evaluate(self, key: str, context: Context, kept: str | None = None) -> Evaluation:
        """Any flag, as an OpenFeature provider answers it. Never raises.

        kept: the variant that a percentage gave this user once. It holds where the percentage that decides now could give it, and
        is not of the whole; the reason is KEPT where it would be another one by now. Of the switch only `otherwise` can be kept.

        | the flag      | environment says   | blind                            | else                             |
        |---------------|--------------------|----------------------------------|----------------------------------|
        | the switch    | it, OVERRIDE       | `when_blind`, STALE              | as `assign`, BRAKED where it is  |
        | another one   | it, OVERRIDE       | what was held at the start, STALE | what its rule says              |
        """
        flag_set = self.flag_set
        flag = flag_set.flags.get(key) if flag_set is not None else None
        if key == self.switch.flag:
            user = context.get(TARGETING_KEY)
            is_decided = self._override is not None or (self._blind and flag is not None)
            if is_decided or (flag is not None and isinstance(user, str)):
                found = self.assign(user if isinstance(user, str) else "", context, kept)
                return _evaluation(key, flag, found.variant, found.reason)
        elif key in self._overrides:
            return _evaluation(key, flag, self._overrides[key], "OVERRIDE")
        if not self._sets:
            return Evaluation(key, None, None, "ERROR", "FLAG_NOT_FOUND", f"there is no flag {key!r}")
        answer = self._sets[0][1].evaluate(key, context)
        if kept is not None and flag is not None and self._is_kept(flag, context, kept, answer):
            answer = msgspec.structs.replace(answer, variant=kept, value=flag.variants[kept], reason="KEPT")
        stale = self._blind and answer.reason != "ERROR"
        return msgspec.structs.replace(answer, reason="STALE") if stale else answer

    def _is_kept(self, flag: Flag, context: Context, kept: str, answer: Evaluation) -> bool:
        """Chance has answered, and something else than what is kept."""
        by_rule = (
            answer.reason == "TARGETING_MATCH" and answer.variant != kept and flag.key != self.switch.flag
        )
        return by_rule and kept in flag.variants and self._holds(flag.key, context, kept)

    def shares(self) -> Shares | None:
        """What everybody together has, under the brakes; None where the flag set says it in words of its own, or there is none."""
        found: Shares | None = None
        for plain, _ in self._sets:
            flag = plain.flag_set.flags.get(self.switch.flag)
            shares = shares_of(flag, self.switch.opened, self.switch.otherwise) if flag is not None else None
            if shares is None:
                return None
            shares = effective(naming(shares, self._brakes, plain.flag_set), self._brakes)
            if found is None or shares.percent < found.percent:
                found = shares
        return found


def _evaluation(key: str, flag: Flag | None, variant: str, reason: Reason) -> Evaluation:
    """A variant that something else than the flag's rule gave. One that the flag does not have is its own value."""
    if flag is None:
        return Evaluation(key, variant, variant, reason)
    if variant not in flag.variants:
        details = f"{variant!r} is no variant of {key!r}, which has {', '.join(flag.variants)}"
        return Evaluation(key, None, None, "ERROR", "GENERAL", details)
    return Evaluation(key, variant, flag.variants[variant], reason, metadata=flag.metadata)


def _braked(flag_set: FlagSet, switch: Switch, brakes: Sequence[Brake]) -> FlagSet:
    flag = flag_set.flags.get(switch.flag)
    if not brakes or flag is None:
        return flag_set
    shares = shares_of(flag, switch.opened, switch.otherwise)
    if shares is not None:
        targeting: object = effective(naming(shares, brakes, flag_set), brakes).targeting()
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
