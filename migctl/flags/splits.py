"""Splits: by which percentage a flag's rule decides for a context, so that what chance gave once can be kept. Pure.

A rule is walked as it is evaluated, `if` by `if`, to what it ends in; only where that is a `fractional` chance decides. It costs
what an evaluation costs, and is asked only of flags that keep something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from migctl.events.canonical import canonical
from migctl.events.jsontext import dumps
from migctl.flags.bucketing import MAX_WEIGHTS
from migctl.flags.definitions import Flag
from migctl.flags.evaluator import FAILURES
from migctl.flags.logic import Compiler, Context, Rule
from migctl.flags.operators import truth
from migctl.flags.shares import SEGMENT


@dataclass(frozen=True, slots=True)
class Split:
    """place: the condition that led to it: a segment's name, else a digest; empty for the one that needed none.

    weights: by variant.
    """

    place: str
    weights: Mapping[str, int]

    def may_give(self, variant: str) -> bool:
        """Some have it by chance, and some have not: neither nobody nor everybody."""
        return 0 < self.weights.get(variant, 0) < sum(self.weights.values())

    def percent(self, variant: str) -> float:
        """Its share."""
        return 100 * self.weights.get(variant, 0) / sum(self.weights.values())


Deciding = Callable[[Context], Split | None]
_Found = Callable[[object], Split | None]


def deciding(flag: Flag, evaluators: Mapping[str, object]) -> Deciding:
    """What finds the split that decides this flag for a context; None where a rule, a name or nothing does. Never raises."""
    if flag.state != "ENABLED" or not flag.targeting:
        return lambda _: None
    compiler = Compiler(flag.key, evaluators)
    find = _of(compiler, flag.targeting, ())
    added, needs_flagd = {"flagKey": flag.key}, compiler.needs_flagd

    def found(context: Context) -> Split | None:
        try:
            return find(context if not needs_flagd or "$flagd" in context else {**context, "$flagd": added})
        except FAILURES:  # the evaluation itself answers the error
            return None

    return found


def _of(compiler: Compiler, rule: object, within: tuple[str, ...]) -> _Found:
    """within: the conditions that were true on the way."""
    if isinstance(rule, Mapping) and len(rule) == 1:
        operator, given = next(iter(rule.items()))
        if operator == "$ref" and isinstance(given, str):
            return _of(
                compiler, compiler.evaluators[given], within
            )  # that it ends was checked when it was read
        if operator in ("if", "?:") and isinstance(given, list):
            return _choice(compiler, given, within)
        if operator == "fractional" and isinstance(given, list):
            return _fractional(compiler, given, "/".join(within))
    return lambda _: None


def _choice(compiler: Compiler, given: Sequence[object], within: tuple[str, ...]) -> _Found:
    pairs = [
        (compiler.compile(condition), _of(compiler, then, (*within, _name(condition))))
        for condition, then in zip(given[:-1:2], given[1::2], strict=False)
    ]
    otherwise = _of(compiler, given[-1], within) if len(given) % 2 else _of(compiler, None, within)

    def choose(data: object) -> Split | None:
        for condition, then in pairs:
            if truth(condition(data)):
                return then(data)
        return otherwise(data)

    return choose


def _fractional(compiler: Compiler, given: Sequence[object], place: str) -> _Found:
    parts: list[tuple[Rule, Rule | None]] = [
        (compiler.compile(part[0]), compiler.compile(part[1]) if len(part) > 1 else None)
        for part in given
        if isinstance(part, list) and part
    ]

    def made(data: object) -> Split | None:
        weights: dict[str, int] = {}
        for name, weight in parts:
            variant, value = name(data), 1 if weight is None else weight(data)
            if not isinstance(value, int) or isinstance(value, bool):
                return None
            key = str(variant).lower() if isinstance(variant, bool) else str(variant)
            weights[key] = weights.get(key, 0) + max(0, value)
        return Split(place, weights) if 0 < sum(weights.values()) <= MAX_WEIGHTS else None

    if not all(isinstance(value, (str, int)) for part in given if isinstance(part, list) for value in part):
        return made
    constant = made(None)  # the same for everybody, as nearly all are
    return lambda _: constant


def _name(condition: object) -> str:
    """Short, and the same for as long as the condition is the same, whoever wrote its text anew."""
    if isinstance(condition, Mapping) and isinstance(name := condition.get("$ref"), str):
        return name.removeprefix(SEGMENT)
    return "#" + blake2b(canonical(dumps(condition)), digest_size=6).hexdigest()
