"""Definitions: a flag set in flagd's format, read and checked. Pure.

    {"flags": {KEY: {"state", "variants", "defaultVariant", "targeting", "metadata"}}, "$evaluators": {NAME: RULE}, "metadata": {}}

flagd's clients fail on any other key, so there is none; experiments stand in documents beside it. What flagd would
only find at an evaluation (an unknown operator, a variant that is not there, weights that sum to nothing) is refused here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from migctl.flags.bucketing import BUCKETING, MAX_WEIGHTS
from migctl.flags.logic import KNOWN, Compiler
from migctl.printable import brief

State = Literal["ENABLED", "DISABLED"]
Scalar = str | int | float | bool
Path = tuple[str | int, ...]

# Clients of OFREP don't percent-encode keys.
_KEY = re.compile(r"[A-Za-z0-9._-]+\Z")
# Steps of a path, and what is no ordinary key of an object in JavaScript: no client could ask for these.
_NO_KEYS = (".", "..", "__proto__")
_FLAG_KEYS = ("state", "variants", "defaultVariant", "targeting", "metadata")
_SET_KEYS = ("flags", "$evaluators", "metadata", "$schema")
_MAX_DEPTH = 64
_MAX_FLOAT = sys.float_info.max


class Flag(msgspec.Struct, frozen=True):
    """One flag. variants: values of one type, in an order that is never changed. default: None leaves it to the code."""

    key: str
    state: State
    variants: Mapping[str, object]
    default: str | None = None
    targeting: object = None
    metadata: Mapping[str, Scalar] = {}

    def document(self) -> dict[str, object]:
        """As flagd writes it, without the key."""
        made: dict[str, object] = {
            "state": self.state,
            "variants": dict(self.variants),
            "defaultVariant": self.default,
        }
        if self.targeting:
            made["targeting"] = self.targeting
        if self.metadata:
            made["metadata"] = dict(self.metadata)
        return made


class FlagSet(msgspec.Struct, frozen=True):
    """All flags. metadata: of the set; `bucketing` names how keys fall into parts."""

    flags: Mapping[str, Flag] = {}
    evaluators: Mapping[str, object] = {}
    metadata: Mapping[str, Scalar] = {}

    def document(self) -> dict[str, object]:
        """As flagd reads it."""
        made: dict[str, object] = {"flags": {key: flag.document() for key, flag in self.flags.items()}}
        if self.evaluators:
            made["$evaluators"] = dict(self.evaluators)
        return {**made, "metadata": {"bucketing": BUCKETING, **self.metadata}}


class Invalid(ValueError):
    """A definition can't be used. path: where it stands in the document. do: the way out."""

    def __init__(self, path: Path, what: str, do: str) -> None:
        super().__init__(f"{'.'.join(map(str, path)) or 'the document'}: {what}")
        self.path = path
        self.what = what
        self.do = do


def read(document: object) -> FlagSet:
    """The flag set of a document that was JSON or YAML. Raises Invalid: the first thing wrong."""
    whole = _mapping(document, (), 'write {"flags": {...}}')
    for key in whole:
        if key not in _SET_KEYS:
            raise Invalid((key,), "no such key", f"the keys here are: {', '.join(_SET_KEYS[:3])}")
    if "flags" not in whole:
        raise Invalid((), 'has no "flags"', 'write {"flags": {KEY: {"state", "variants", "defaultVariant"}}}')
    metadata = _metadata(whole.get("metadata") or {}, ("metadata",))
    if metadata.get("bucketing", BUCKETING) != BUCKETING:
        raise Invalid(
            ("metadata", "bucketing"),
            f"this evaluator buckets by {BUCKETING}, the flag set by {brief(metadata['bucketing'])}",
            f"another bucketing moves users who were never asked; where that is meant, write {BUCKETING}",
        )
    evaluators = _mapping(whole.get("$evaluators") or {}, ("$evaluators",), "write NAME: RULE")
    for name, rule in evaluators.items():
        _compilable("", rule, ("$evaluators", name), evaluators)
    flags = _mapping(whole["flags"], ("flags",), "write KEY: {state, variants, defaultVariant}")
    return FlagSet({key: _flag(key, given, evaluators) for key, given in flags.items()}, evaluators, metadata)


def _flag(key: str, given: object, evaluators: Mapping[str, object]) -> Flag:
    path: Path = ("flags", key)
    if not _KEY.match(key):
        raise Invalid(
            path,
            "a flag's key has letters, digits, `.`, `_` and `-` only",
            "rename it: clients don't encode keys",
        )
    if key in _NO_KEYS:
        raise Invalid(path, f"{brief(key)} can't be asked for by clients", "give it another name")
    fields = _mapping(given, path, "write state, variants and defaultVariant")
    for name in fields:
        if name not in _FLAG_KEYS:
            raise Invalid(
                (*path, name),
                "no such key: flagd's clients refuse it",
                f"the keys here are: {', '.join(_FLAG_KEYS)}",
            )
    state = fields.get("state")
    if state not in ("ENABLED", "DISABLED"):
        raise Invalid(
            (*path, "state"), f"expected ENABLED or DISABLED, got {brief(state)}", "write one of the two"
        )
    variants = _variants(fields.get("variants"), (*path, "variants"))
    default = fields.get("defaultVariant")
    if default is not None and (not isinstance(default, str) or default not in variants):
        raise Invalid(
            (*path, "defaultVariant"),
            f"{brief(default)} is no variant",
            f"name one of {', '.join(variants)}, or null for the code's own default",
        )
    targeting = fields.get("targeting") or None
    if targeting is not None:
        _targeting(key, targeting, (*path, "targeting"), variants, evaluators)
    metadata = _metadata(fields.get("metadata") or {}, (*path, "metadata"))
    return Flag(key, state, variants, default, targeting, metadata)


def _variants(given: object, path: Path) -> Mapping[str, object]:
    variants = _mapping(given, path, "write NAME: VALUE, at least one")
    if not variants:
        raise Invalid(path, "has no variant", "write NAME: VALUE, at least one")
    kinds = {name: _kind(value) for name, value in variants.items()}
    first = next(iter(kinds.values()))
    for name, kind in kinds.items():
        if kind is None:
            raise Invalid(
                (*path, name), "a variant is no null", "leave defaultVariant null for the code's own default"
            )
        if kind != first:
            raise Invalid(
                (*path, name), f"is {kind}, and the first variant is {first}", "all variants have one type"
            )
    return _alike(variants, path)


def _alike(variants: dict[str, object], path: Path) -> Mapping[str, object]:
    """Numbers of one spelling: a client that asks for a float takes no integer, so beside a fraction 1 is 1.0."""
    if not any(isinstance(value, float) for value in variants.values()):
        return variants
    spelled: dict[str, object] = {}
    for name, value in variants.items():
        if isinstance(value, (int, float)) and abs(value) <= _MAX_FLOAT:
            spelled[name] = float(value)
        else:
            raise Invalid((*path, name), f"{brief(value)} is no number that JSON can say", "write another")
    return spelled


def _kind(value: object) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    for kind, types in (("a string", str), ("a number", (int, float)), ("an object", (dict, list))):
        if isinstance(value, types):
            return kind
    return None


def _targeting(
    key: str, rule: object, path: Path, variants: Mapping[str, object], evaluators: Mapping[str, object]
) -> None:
    if not isinstance(rule, Mapping):
        raise Invalid(
            path,
            f"expected a rule, got {brief(rule)}",
            'write JsonLogic, such as {"fractional": [["on", 25], ["off", 75]]}',
        )
    for where, operator, arguments in _operations(rule, path, evaluators):
        if operator == "fractional":
            _fractional(arguments, where, variants)
    for where, outcome in _outcomes(rule, path):
        name = str(outcome).lower() if isinstance(outcome, bool) else outcome
        if name not in variants:
            raise Invalid(
                where,
                f"{brief(outcome)} is no variant",
                f"name one of {', '.join(variants)}, or null for the default",
            )
    _compilable(key, rule, path, evaluators)


def _compilable(key: str, rule: object, path: Path, evaluators: Mapping[str, object]) -> None:
    for _ in _operations(rule, path, evaluators):
        pass
    try:
        Compiler(key, evaluators).compile(rule)
    except ValueError as error:
        raise Invalid(path, str(error), "mend the rule") from None


def _operations(
    rule: object, path: Path, evaluators: Mapping[str, object], depth: int = 0
) -> Iterator[tuple[Path, str, list[object]]]:
    """Each operation of a rule with its place. Raises Invalid for one that nobody knows."""
    if depth > _MAX_DEPTH:
        raise Invalid(path, f"is nested deeper than {_MAX_DEPTH}", "write it flatter, with $evaluators")
    if isinstance(rule, list):
        for index, item in enumerate(rule):
            yield from _operations(item, (*path, index), evaluators, depth + 1)
    elif isinstance(rule, Mapping) and len(rule) == 1:
        operator, given = next(iter(rule.items()))
        if operator == "$ref":
            if not isinstance(given, str) or given not in evaluators:
                raise Invalid((*path, operator), f"no evaluator {brief(given)}", "name one of $evaluators")
            return
        if operator not in KNOWN:
            raise Invalid(
                (*path, str(operator)), "no such operator", f"known are: {', '.join(sorted(KNOWN))}"
            )
        arguments = given if isinstance(given, list) else [given]
        yield (*path, operator), operator, arguments
        yield from _operations(given, (*path, operator), evaluators, depth + 1)


def _fractional(arguments: list[object], path: Path, variants: Mapping[str, object]) -> None:
    parts = [(index, part) for index, part in enumerate(arguments) if isinstance(part, list)]
    if not parts:
        raise Invalid(path, "has no part", 'write [["on", 25], ["off", 75]]')
    total = 0
    is_known = True
    for index, part in parts:
        where = (*path, index)
        if not 1 <= len(part) <= 2:
            raise Invalid(where, f"expected [variant, weight], got {brief(part)}", 'write ["on", 25]')
        weight = part[1] if len(part) == 2 else 1
        if isinstance(weight, Mapping):
            is_known = False
        elif isinstance(weight, bool) or not isinstance(weight, int) or weight < 0:
            raise Invalid(
                (*where, 1),
                f"a weight is a whole number from 0 on, got {brief(weight)}",
                "write shares in whole numbers",
            )
        else:
            total += weight
        if isinstance(part[0], str) and part[0] not in variants:
            raise Invalid(
                (*where, 0), f"{brief(part[0])} is no variant", f"name one of {', '.join(variants)}"
            )
    if is_known and not 0 < total <= MAX_WEIGHTS:
        raise Invalid(path, f"weights sum to {total}", f"they sum to at least 1 and at most {MAX_WEIGHTS}")


def _outcomes(rule: object, path: Path) -> Iterator[tuple[Path, object]]:
    """What a rule answers where that stands in it as a text."""
    if isinstance(rule, Mapping) and len(rule) == 1:
        operator, given = next(iter(rule.items()))
        if operator in ("if", "?:") and isinstance(given, list):
            last = len(given) - 1
            for index, item in enumerate(given):
                if index % 2 or index == last:
                    yield from _outcomes(item, (*path, operator, index))
    elif isinstance(rule, (str, bool)):
        yield path, rule


def _metadata(given: object, path: Path) -> Mapping[str, Scalar]:
    metadata: dict[str, Scalar] = {}
    for name, value in _mapping(given, path, "write NAME: VALUE").items():
        if not name or not isinstance(value, (str, int, float, bool)):
            raise Invalid(
                (*path, name),
                f"expected a text, a number or a boolean, got {brief(value)}",
                "write one of these",
            )
        metadata[name] = value
    return metadata


def _mapping(given: object, path: Path, do: str) -> dict[str, object]:
    if not isinstance(given, Mapping):
        raise Invalid(path, f"expected keys and values, got {brief(given)}", do)
    for key in given:
        if not isinstance(key, str):
            raise Invalid(
                (*path, str(key)), f"YAML reads this key as {brief(key)}", 'put it in quotes, such as "on"'
            )
    return dict(given)
