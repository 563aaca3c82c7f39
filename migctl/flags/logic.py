"""Rules compiled: flagd's JsonLogic to closures, once for each version of a flag set. Pure.

What is constant is worked out here; a rule that buckets by the targeting key, as nearly all do, costs one hash.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from migctl.flags.bucketing import MAX_WEIGHTS, hash_of, hasher, split
from migctl.flags.operators import OPERATORS, number, truth, variable
from migctl.printable import brief

# The context: attributes by name; with `targetingKey`, and `$flagd` for rules that ask for it.
Context = Mapping[str, object]
Rule = Callable[[object], object]

TARGETING_KEY = "targetingKey"
_LAZY = frozenset(("if", "?:", "and", "or", "filter", "map", "reduce", "all", "some", "none"))
_OF_CONTEXT = frozenset(("var", "missing", "missing_some", "fractional"))
_BOOLEAN = frozenset(("==", "!=", "===", "!==", "<", "<=", ">", ">=", "!", "!!", "in"))
KNOWN = frozenset(OPERATORS) | _LAZY | _OF_CONTEXT


class UnknownOperator(ValueError):
    """No evaluator of flagd has it."""


@dataclass(slots=True)
class Compiler:
    """Of one flag. evaluators: rules by name, for `$ref`.

    needs_key: found while compiling; without a targeting key such a rule decides nothing. needs_flagd: it reads `$flagd`.
    """

    flag_key: str
    evaluators: Mapping[str, object] = field(default_factory=dict)
    needs_key: bool = False
    needs_flagd: bool = False
    _within: tuple[str, ...] = ()
    _booleans: set[Rule] = field(default_factory=set)  # rules that answer True or False and nothing else

    def compile(self, logic: object) -> Rule:
        """Raises UnknownOperator, and ValueError for a `$ref` to nothing or to itself."""
        if isinstance(logic, list):
            return _list_of([self.compile(item) for item in logic])
        if not isinstance(logic, Mapping) or len(logic) != 1:
            return _constant(logic)
        operator, raw = next(iter(logic.items()))
        if operator == "$ref":
            return self._referred(raw)
        given = raw if isinstance(raw, list) else [raw]
        if operator in _LAZY:
            return self._lazy(operator, given)
        if operator == "var":
            return self._variable(given)
        if operator == "fractional":
            return self._fractional(given)
        arguments = [self.compile(item) for item in given]
        if operator in ("missing", "missing_some"):
            return _missing(operator, arguments)
        if operator not in OPERATORS:
            raise UnknownOperator(f"no such operator: {brief(operator)}")
        rule = _applied(operator, arguments)
        if operator in _BOOLEAN and not isinstance(rule, _Constant):
            self._booleans.add(rule)
        return rule

    def _condition(self, rule: Rule) -> Rule:
        """The rule's truth."""
        if isinstance(rule, _Constant):
            return _constant(truth(rule.value))
        return rule if rule in self._booleans else lambda data: truth(rule(data))

    def _referred(self, name: object) -> Rule:
        if not isinstance(name, str) or name not in self.evaluators:
            raise ValueError(f"$ref to {brief(name)}, which is not in $evaluators")
        if name in self._within:
            raise ValueError(f"$ref to {brief(name)} within itself")
        outer, self._within = self._within, (*self._within, name)
        try:
            return self.compile(self.evaluators[name])
        finally:
            self._within = outer

    def _lazy(self, operator: str, given: Sequence[object]) -> Rule:
        parts = [self.compile(item) for item in given]
        if operator in ("if", "?:"):
            return _choice(
                [self._condition(part) if n % 2 == 0 else part for n, part in enumerate(parts[:-1])]
                + parts[-1:]
            )
        if operator in ("and", "or"):
            return _until(parts, is_and=operator == "and")
        if operator == "reduce":
            # What it begins with is taken as it stands.
            return _reduced(parts, given[2] if len(given) > 2 else None)
        return _over_items(operator, parts)

    def _variable(self, given: Sequence[object]) -> Rule:
        path = self.compile(given[0]) if given else _constant(None)
        default = self.compile(given[1]) if len(given) > 1 else _constant(None)
        if not isinstance(path, _Constant):
            self.needs_key = self.needs_flagd = True  # it may
            return lambda data: variable(data, path(data), default(data))
        where = path.value
        if where == TARGETING_KEY:
            self.needs_key = True
        if where in (None, "") or (isinstance(where, str) and where.split(".")[0] == "$flagd"):
            self.needs_flagd = True
        if isinstance(where, str) and where and "." not in where and isinstance(default, _Constant):
            return _Attribute(where, default.value)
        return lambda data: variable(data, where, default(data))

    def _fractional(self, given: Sequence[object]) -> Rule:
        if not given:
            return _constant(None)
        by_key = isinstance(given[0], list)
        bucket_by = None if by_key else self.compile(given[0])
        parts = given if by_key else given[1:]
        if by_key:
            self.needs_key = True
        compiled = [self.compile(part) for part in parts]
        if all(isinstance(rule, _Constant) for rule in compiled):
            fractions = _fractions([rule(None) for rule in compiled])
            if fractions is None:
                return _constant(None)
            if bucket_by is None:
                return _split_by_key(self.flag_key, *fractions)
            if isinstance(bucket_by, _Constant) and not isinstance(bucket_by.value, list):
                return _constant(
                    _part(hash_of(bucket_by.value) if bucket_by.value is not None else None, *fractions)
                )
        self.needs_key = True  # what is bucketed by may turn out to be a part
        return _any_split(self.flag_key, bucket_by, compiled)


class _Constant:
    """A rule that is the same for everybody."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __call__(self, _: object) -> object:
        return self.value


def _constant(value: object) -> _Constant:
    return _Constant(value)


def _list_of(rules: Sequence[Rule]) -> Rule:
    if all(isinstance(rule, _Constant) for rule in rules):
        return _constant([rule(None) for rule in rules])
    return lambda data: [rule(data) for rule in rules]


class _Attribute:
    """The value of an attribute of the context."""

    __slots__ = ("default", "name")

    def __init__(self, name: str, default: object) -> None:
        self.name = name
        self.default = default

    def __call__(self, data: object) -> object:
        # Within `filter` and its kin data is an item, which may be anything.
        value = data.get(self.name) if type(data) is dict else variable(data, self.name)
        return self.default if value is None else value


def _applied(operator: str, arguments: Sequence[Rule]) -> Rule:
    apply = OPERATORS[operator]
    if all(isinstance(rule, _Constant) for rule in arguments):
        try:
            return _constant(apply(*[rule(None) for rule in arguments]))
        except (TypeError, ValueError, ArithmeticError):
            pass  # an error of each evaluation, not of the flag set
    if len(arguments) == 2:
        first, second = arguments
        if operator in ("==", "===") and isinstance(second, _Constant) and type(second.value) is str:
            return _is_text(first, second.value, apply)
        if operator == "in" and isinstance(second, _Constant) and isinstance(second.value, list):
            return _in_list(first, second.value)
        return lambda data: apply(first(data), second(data))
    return lambda data: apply(*[rule(data) for rule in arguments])


def _is_text(rule: Rule, wanted: str, apply: Callable[..., object]) -> Rule:
    def equal(data: object) -> object:
        value = rule(data)
        return value == wanted if type(value) is str else apply(value, wanted)

    if not isinstance(rule, _Attribute) or rule.default is not None:
        return equal
    name = rule.name

    def attribute_equal(data: object) -> object:
        if type(data) is dict and type(value := data.get(name)) is str:
            return value == wanted
        return equal(data)

    return attribute_equal


def _in_list(rule: Rule, items: list[object]) -> Rule:
    try:
        known = frozenset(items)
    except TypeError:
        return lambda data: rule(data) in items

    def is_in(data: object) -> bool:
        value = rule(data)
        # What can't be hashed equals nothing that can; NaN is found by identity in both.
        return value in known if value.__hash__ is not None else False

    if not isinstance(rule, _Attribute) or rule.default is not None:
        return is_in
    name = rule.name

    def attribute_is_in(data: object) -> bool:
        if type(data) is dict and type(value := data.get(name)) is str:
            return value in known
        return is_in(data)

    return attribute_is_in


def _missing(operator: str, arguments: Sequence[Rule]) -> Rule:
    def absent(data: object, keys: Sequence[object]) -> list[object]:
        return [key for key in keys if variable(data, key) in (None, "")]

    def missing(data: object) -> list[object]:
        values = [rule(data) for rule in arguments]
        return absent(data, values[0] if values and isinstance(values[0], list) else values)

    def missing_some(data: object) -> list[object]:
        values = [rule(data) for rule in arguments]
        keys = values[1] if len(values) > 1 else None
        if not isinstance(keys, list):
            return []
        found = absent(data, keys)
        return [] if len(keys) - len(found) >= number(values[0]) else found

    return missing if operator == "missing" else missing_some


def _choice(parts: Sequence[Rule]) -> Rule:
    """Condition, outcome, condition, outcome, and what holds otherwise. Conditions answer a truth."""
    count = len(parts)
    pairs = tuple((parts[index], parts[index + 1]) for index in range(0, count - 1, 2))
    otherwise = parts[-1] if count % 2 else _constant(None)
    if len(pairs) == 1:
        condition, then = pairs[0]
        return lambda data: then(data) if condition(data) else otherwise(data)

    def choose(data: object) -> object:
        for condition, then in pairs:
            if condition(data):
                return then(data)
        return otherwise(data)

    return choose


def _until(parts: Sequence[Rule], *, is_and: bool) -> Rule:
    def first(data: object) -> object:
        value = None
        for part in parts:
            value = part(data)
            if truth(value) is not is_and:
                return value
        return value

    return first


_OF_NOTHING: Mapping[str, object] = {"map": [], "filter": [], "all": False, "some": False, "none": True}


def _over_items(operator: str, parts: Sequence[Rule]) -> Rule:
    nothing = _OF_NOTHING[operator]
    if len(parts) < 2 and (operator != "map" or not parts):
        return _constant(nothing)
    items_of, each = parts[0], parts[1] if len(parts) > 1 else _constant(None)

    def over(data: object) -> object:
        items = items_of(data)
        if not isinstance(items, list):
            return nothing
        if operator == "map":
            return [each(item) for item in items]
        if operator == "filter":
            return [item for item in items if truth(each(item))]
        if operator == "all":
            return bool(items) and all(truth(each(item)) for item in items)
        found = any(truth(each(item)) for item in items)
        return found if operator == "some" else not found

    return over


def _reduced(parts: Sequence[Rule], begin: object) -> Rule:
    if not parts:
        return _constant(None)
    items_of, rule = parts[0], parts[1] if len(parts) > 1 else _constant(None)

    def reduce(data: object) -> object:
        items = items_of(data)
        if not isinstance(items, list):
            return begin
        state = begin
        for item in items:
            state = rule({"accumulator": state, "current": item})
        return state

    return reduce


# Parts of a split.


def _fractions(parts: Sequence[object]) -> tuple[tuple[object, ...], tuple[int, ...]] | None:
    """Variants and weights; None where a part is none, or the weights don't sum to anything."""
    variants: list[object] = []
    weights: list[int] = []
    for part in parts:
        if not isinstance(part, (list, tuple)) or not 1 <= len(part) <= 2:
            return None
        weight = part[1] if len(part) == 2 else 1
        if isinstance(weight, bool) or not isinstance(weight, int):
            return None
        variants.append(part[0])
        weights.append(
            max(0, weight)
        )  # a negative one may be the result of arithmetic: nobody, not everybody
    if not 0 < sum(weights) <= MAX_WEIGHTS:
        return None
    return tuple(variants), tuple(weights)


def _part(hashed: int | None, variants: Sequence[object], weights: Sequence[int]) -> object:
    if hashed is None:
        return None
    index = split(hashed, weights)
    return None if index is None else variants[index]


def _split_by_key(flag_key: str, variants: tuple[object, ...], weights: tuple[int, ...]) -> Rule:
    hash_key = hasher(flag_key)
    total = sum(weights)
    ends = tuple(accumulate(weights))
    first, last = variants[0], variants[-1]
    # (hash * total) >> 32 < ends[0], with the division done here.
    bound = -(-(ends[0] << 32) // total)

    def two(data: object) -> object:
        key = data.get(TARGETING_KEY) if type(data) is dict else variable(data, TARGETING_KEY)
        if type(key) is not str or not key:
            return None
        return first if hash_key(key) < bound else last

    def several(data: object) -> object:
        key = data.get(TARGETING_KEY) if type(data) is dict else variable(data, TARGETING_KEY)
        if type(key) is not str or not key:
            return None
        return variants[bisect_right(ends, (hash_key(key) * total) >> 32)]

    return two if len(variants) == 2 else several


def _any_split(flag_key: str, bucket_by: Rule | None, parts: Sequence[Rule]) -> Rule:
    hash_key = hasher(flag_key)

    def decide(data: object) -> object:
        values = [part(data) for part in parts]
        by = bucket_by(data) if bucket_by is not None else None
        if bucket_by is None or isinstance(by, (list, tuple)):
            key = variable(data, TARGETING_KEY)
            if not isinstance(key, str) or not key:
                return None
            if bucket_by is not None:
                values.insert(0, by)
            hashed: int | None = hash_key(key)
        else:
            hashed = None if by is None else hash_of(by)
        fractions = _fractions(values)
        return None if fractions is None else _part(hashed, *fractions)

    return decide
