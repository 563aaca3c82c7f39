"""Names of measures in words, and figures with their units: the same on a terminal and on a page. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from migctl.drills.objectives import Objective
from migctl.pages.template import figure

_UNITS = {"ms": "ms", "percent": "%"}
_BOUNDS = {"max": "at most", "min": "at least"}


def parts(name: str) -> tuple[str, str, str]:
    """Of an objective's name: which bound, what is measured, the unit. `max_lost` is `("at most", "lost", "")`."""
    bound, _, measure = name.partition("_")
    stem, _, last = measure.rpartition("_")
    unit = _UNITS.get(last, "")
    return _BOUNDS.get(bound, bound), (stem if unit else measure).replace("_", " "), unit


def measure_of(one: Objective) -> str:
    """`time to detect`."""
    return parts(one.name)[1]


def bound_of(one: Objective) -> str:
    """`at most 2,000 ms`."""
    bound, _, unit = parts(one.name)
    return f"{bound} {figure(one.bound, unit)}"


def value_of(one: Objective) -> str:
    """`80 ms`; where there is none, why not."""
    return one.note if one.value is None else figure(one.value, parts(one.name)[2])


def missed(reason: str, objectives: Sequence[Objective]) -> str:
    """What a drill missed: each objective with its bound, and the reason where that is another one."""
    failed = [one for one in objectives if one.verdict != "pass"]
    own = [reason] if reason and not any(reason.startswith(one.name) for one in failed) else []
    return "; ".join([*own, *(_missed(one) for one in failed)])


def _missed(one: Objective) -> str:
    return f"{measure_of(one)}{':' if one.value is None else ''} {value_of(one)} ({bound_of(one)})"
