"""Segments: groups of users by name, each a rule of the flag set, so that who is in one is versioned and pushed with it. Pure.

segments:
  internal: {users: [ann, bob], ends_with: ["@example.org"]}
  eu: {rule: {"==": [{"var": "region"}, "eu"]}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from migctl.flags.definitions import FlagSet, Invalid
from migctl.flags.logic import TARGETING_KEY
from migctl.flags.shares import ALL, EVERYTHING, SEGMENT
from migctl.printable import brief

_KEYS = ("users", "starts_with", "ends_with", "rule")


def rule_of(
    users: Iterable[str] = (), starts_with: Iterable[str] = (), ends_with: Iterable[str] = ()
) -> dict[str, object]:
    """The rule of a segment that holds these users, and those whose key begins or ends so. Nobody, where nothing is given."""
    key = {"var": TARGETING_KEY}
    cases: list[object] = []
    if listed := sorted(set(users)):
        cases.append({"in": [key, listed]})
    cases += [{"starts_with": [key, text]} for text in starts_with]
    cases += [{"ends_with": [key, text]} for text in ends_with]
    return {"or": cases} if cases else {"in": [key, []]}


def segments_of(flag_set: FlagSet) -> Mapping[str, object]:
    """Rule by name."""
    return {
        name.removeprefix(SEGMENT): rule
        for name, rule in flag_set.evaluators.items()
        if name.startswith(SEGMENT)
    }


def with_segments(flag_set: FlagSet, rules: Mapping[str, object]) -> FlagSet:
    """The flag set with these segments defined, or defined anew; others stay."""
    added = {f"{SEGMENT}{name}": rule for name, rule in rules.items()}
    return msgspec.structs.replace(flag_set, evaluators={**flag_set.evaluators, **added})


def missing_segments(flag_set: FlagSet, names: Iterable[str]) -> list[str]:
    """Those of `names` that nobody has defined."""
    known = segments_of(flag_set)
    return [name for name in names if name not in known]


def read_segments(document: object) -> dict[str, object]:
    """Rule by name, of a document with the key `segments`. Raises Invalid."""
    if not isinstance(document, Mapping) or not isinstance(document.get("segments"), Mapping):
        raise Invalid((), 'has no "segments"', "write segments: {NAME: {users: [...]}}")
    return {str(name): _read(str(name), given) for name, given in document["segments"].items()}


def _read(name: str, given: object) -> object:
    path = ("segments", name)
    if name in (ALL, EVERYTHING) or not name:
        raise Invalid(path, f"a segment can't be called {brief(name)}", "give it another name")
    if not isinstance(given, Mapping) or not given:
        raise Invalid(
            path, f"expected keys and values, got {brief(given)}", f"write one of {', '.join(_KEYS)}"
        )
    for key, value in given.items():
        if key not in _KEYS:
            raise Invalid((*path, str(key)), "no such key", f"the keys here are: {', '.join(_KEYS)}")
        if key != "rule" and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            raise Invalid(
                (*path, key), f"expected a list of texts, got {brief(value)}", "put numbers in quotes"
            )
    if "rule" in given:
        if len(given) > 1:
            raise Invalid(
                (*path, "rule"), "stands beside other keys", "say all of it in the rule, or leave it out"
            )
        return given["rule"]
    return rule_of(given.get("users", ()), given.get("starts_with", ()), given.get("ends_with", ()))
