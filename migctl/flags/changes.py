"""Changes: what a new version of a flag set may not do to those who have a variant already. Pure.

A key falls into a part by where the part lies, so the order of a split is a promise: two parts that change places exchange their
users, and a part that is put before others pushes all of them on. Weights may change as they like; the first part keeps its users
while it grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from migctl.flags.definitions import Flag, FlagSet, Invalid, Path


def check(before: FlagSet, after: FlagSet) -> None:
    """Raises Invalid for the first change that would move users nobody meant to move."""
    for key, flag in after.flags.items():
        old = before.flags.get(key)
        if old is not None:
            _check_flag(old, flag)
    for name, rule in after.evaluators.items():
        if name in before.evaluators:
            _check_splits(before.evaluators[name], rule, ("$evaluators", name))


def _check_flag(before: Flag, after: Flag) -> None:
    # The order in which variants are defined is no promise: it puts nobody anywhere, and a record of jsonb keeps none.
    _check_splits(before.targeting, after.targeting, ("flags", after.key, "targeting"))


def _check_splits(before: object, after: object, path: Path) -> None:
    """Splits are compared in the order in which they stand, where there are as many as before."""
    old, new = list(_splits(before, path)), list(_splits(after, path))
    if len(old) != len(new):
        return
    for (_, parts), (where, now) in zip(old, new, strict=True):
        _check_order(parts, now, where)


def _check_order(before: Sequence[object], after: Sequence[object], path: Path) -> None:
    kept = [name for name in before if name in after]
    if [name for name in after if name in before] != kept:
        raise Invalid(
            path,
            f"the order {_words(after)} was {_words(before)}: it would move users who keep their share",
            f"keep the order {_words(kept)}; give the flag another key where moving everybody is meant",
        )
    if kept and list(after[: len(kept)]) != kept:
        added = next(name for name in after if name not in before)
        raise Invalid(
            path,
            f"{added!r} stands before parts that were there: it would move their users",
            f"add it at the end, after {kept[-1]!r}",
        )


def _splits(rule: object, path: Path) -> Iterator[tuple[Path, list[object]]]:
    if isinstance(rule, list):
        for index, item in enumerate(rule):
            yield from _splits(item, (*path, index))
    elif isinstance(rule, Mapping):
        for operator, given in rule.items():
            if operator == "fractional" and isinstance(given, list):
                parts = [part[0] for part in given if isinstance(part, list) and part]
                if all(isinstance(name, (str, bool, int, float)) for name in parts):
                    yield (*path, operator), parts
            yield from _splits(given, (*path, str(operator)))


def _words(names: Sequence[object]) -> str:
    return ", ".join(map(str, names)) or "(none)"
