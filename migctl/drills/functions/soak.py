"""A soak: faults one after the other, drawn by chance. What is drawn is a plan, made before it is carried out. Pure.

The same seed and the same faults make the same plan: which fault, with which arguments, when, and for how long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from migctl.config.problems import Faulty, Problem
from migctl.config.validating import validate
from migctl.drills.document import Scalar, Section
from migctl.drills.functions import FUNCTIONS
from migctl.drills.functions.registry import Function
from migctl.errors import Usage
from migctl.stack import Part

MOST_SEED = 1 << 30


def _in_order(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("expected the lower one first")
    return value


class OfFault(Section):
    """A fault that may be drawn. one_of, between: arguments that are drawn too, each time anew."""

    name: Annotated[str, Field(min_length=1, description="a name for people, once in the file")]
    func: Annotated[str, Field(min_length=1, description="the name of a fault of migctl")]
    arguments: Annotated[dict[str, Any], Field(description="keys and values", default_factory=dict)]
    one_of: Annotated[
        dict[str, Annotated[list[Scalar], Field(min_length=1)]],
        Field(description="an argument to the values of which one is drawn", default_factory=dict),
    ]
    between: Annotated[
        dict[str, Annotated[tuple[int, int], AfterValidator(_in_order)]],
        Field(
            description="an argument to two whole numbers between which one is drawn, the lower first",
            default_factory=dict,
        ),
    ]
    lasts_s: Annotated[
        float | None, Field(gt=0, description="seconds that it stays, where that is not drawn")
    ] = None

    def wrong(self, arguments: type[Section]) -> list[Problem]:
        """What is wrong with the first arguments that may be drawn and are not good; their keys alone, without a place."""
        for given in self._extremes():
            try:
                validate(arguments, given)
            except Faulty as error:
                return list(error.problems)
        return []

    def parts(self) -> set[Part]:
        """Parts of the stack that it acts on, whatever is drawn."""
        function = FUNCTIONS[self.func]
        found = (function.needs(function.arguments.model_validate(given)) for given in self._extremes())
        return {part for part in found if part is not None}

    def _extremes(self) -> Iterator[dict[str, Any]]:
        """If all of these are good, any that may be drawn is."""
        first = {key: values[0] for key, values in self.one_of.items()}
        first |= {key: low for key, (low, _) in self.between.items()}
        yield {**self.arguments, **first}
        for key, values in self.one_of.items():
            yield from ({**self.arguments, **first, key: value} for value in values[1:])
        for key, (_, high) in self.between.items():
            yield {**self.arguments, **first, key: high}


class OfSoak(Section):
    """For some minutes one fault every so many seconds, each once before any comes again, each lifted before the next one."""

    minutes: Annotated[float, Field(gt=0, description="minutes, above 0")] = 10.0
    every_s: Annotated[float, Field(gt=0, description="seconds from one fault to the next, above 0")] = 15.0
    lasts_s: Annotated[
        tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]],
        AfterValidator(_in_order),
        Field(description="two numbers of seconds between which it is drawn how long a fault stays"),
    ] = (1.0, 8.0)
    seed: Annotated[
        int | None, Field(ge=0, description="a whole number; without one it is drawn, and printed")
    ] = None
    faults: Annotated[list[OfFault], Field(min_length=1, description="a list of faults, at least one")]


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault of the plan. at_s: when it is armed, since the soak began. lasts_s: from when it was armed until it is lifted."""

    name: str
    function: Function
    arguments: Section
    at_s: float
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What is asked for on the command line in place of what the file has; None: as it stands there. only: names of faults."""

    minutes: float | None = None
    every_s: float | None = None
    seed: int | None = None
    only: Sequence[str] = ()

    @property
    def are_other_faults(self) -> bool:
        """It is another rehearsal than the file's: not merely one with a seed."""
        return self.minutes is not None or self.every_s is not None or bool(self.only)

    @property
    def are_none(self) -> bool:
        return self.seed is None and not self.are_other_faults


def changed(of: OfSoak, changes: Changes) -> OfSoak:
    """Raises Usage for a name that is no fault of it."""
    names = [one.name for one in of.faults]
    for name in changes.only:
        if name not in names:
            raise Usage(f"the soak has no fault {name!r}", do=f"one of: {', '.join(names)}")
    update: dict[str, object] = {
        key: value for key in ("minutes", "every_s", "seed") if (value := getattr(changes, key)) is not None
    }
    if changes.only:
        update["faults"] = [one for one in of.faults if one.name in changes.only]
    return of.model_copy(update=update)


def plan(of: OfSoak, seed: int) -> list[Strike]:
    """In order of time, at least one; all are lifted within `of.minutes`, unless the first alone takes longer."""
    chance = Random(seed)
    strikes: list[Strike] = []
    left: list[OfFault] = []
    at_s = 0.0
    while True:
        if not left:
            left = chance.sample(of.faults, len(of.faults))
        strike = _drawn(left.pop(), at_s, of.lasts_s, chance)
        if strikes and strike.at_s + strike.lasts_s > 60 * of.minutes:
            return strikes
        strikes.append(strike)
        at_s += max(of.every_s, strike.lasts_s)


def _drawn(one: OfFault, at_s: float, lasts_s: tuple[float, float], chance: Random) -> Strike:
    # Drawn also where it is given: what a fault says of itself changes nothing of those after it.
    seconds = round(chance.uniform(*lasts_s), 1)
    arguments = {
        **one.arguments,
        **{key: chance.choice(values) for key, values in one.one_of.items()},
        **{key: chance.randint(low, high) for key, (low, high) in one.between.items()},
    }
    function = FUNCTIONS[one.func]
    return Strike(
        name=one.name,
        function=function,
        arguments=function.arguments.model_validate(arguments),
        at_s=at_s,
        lasts_s=seconds if one.lasts_s is None else one.lasts_s,
    )
