"""Functions that a drill's file names, looked up: each is there, is of the right kind, and gets arguments that it can use."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from migctl.config.problems import Faulty, Problem
from migctl.config.validating import validate
from migctl.config.yamlfile import Document, Path_
from migctl.drills import document
from migctl.drills.document import Activity, Drill, MigctlProvider, Section
from migctl.drills.functions import FUNCTIONS, Function

LIFT = "lift"
S = TypeVar("S", bound=Section)


class OfLift(Section):
    """`lift` is the runner's own: it ends a fault that an activity armed."""

    fault: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A function with its arguments. function: None for `lift`."""

    function: Function | None
    arguments: Section


@dataclass(frozen=True, slots=True)
class Checked:
    """A drill whose functions are known. bound: by the activity's name; those of other providers have none."""

    drill: Drill
    bound: dict[str, Bound]

    def at(self, rate_per_s: float | None) -> Checked:
        """The same with another load; None: as it is."""
        if rate_per_s is None:
            return self
        load = self.drill.configuration.model_copy(update={"rate_per_s": rate_per_s})
        return replace(self, drill=self.drill.model_copy(update={"configuration": load}))


def read(path: Path) -> Checked:
    """The drill of this file. Raises Faulty, with all that is wrong."""
    return check(document.read(path), Document.read(path, most_bytes=document.MOST_BYTES))


def check(drill: Drill, source: Document) -> Checked:
    """Raises Faulty with file, line and key."""
    problems: list[Problem] = []
    bound: dict[str, Bound] = {}
    armed: set[str] = set()
    for at, activity in _placed(drill):
        if not isinstance(activity.provider, MigctlProvider):
            continue
        try:
            found = _bind(activity, activity.provider, at, source, armed)
        except Faulty as error:
            problems += error.problems
            continue
        bound[activity.name] = found
        if found.function is not None and found.function.kind == "fault":
            armed.add(activity.name)
    if problems:
        raise Faulty(problems)
    return Checked(drill, bound)


def _placed(drill: Drill) -> Iterator[tuple[Path_, Activity]]:
    """Each activity with its path in the file."""
    for index, one in enumerate(drill.steady_state_hypothesis.probes):
        yield ("steady-state-hypothesis", "probes", index), one
    for index, one in enumerate(drill.method):
        yield ("method", index), one
    for index, one in enumerate(drill.rollbacks):
        yield ("rollbacks", index), one


def _bind(
    activity: Activity, provider: MigctlProvider, at: Path_, source: Document, armed: set[str]
) -> Bound:
    where = (*at, "provider", "func")
    if provider.func == LIFT and activity.type == "action":
        of = _arguments(OfLift, provider, at, source)
        if of.fault not in armed:
            known = f"one of {', '.join(sorted(armed))}" if armed else "arm one before"
            raise _faulty(
                source,
                (*at, "provider", "arguments", "fault"),
                f"no activity before this arms {of.fault!r}",
                known,
            )
        return Bound(None, of)
    function = FUNCTIONS.get(provider.func)
    if function is None:
        close = difflib.get_close_matches(provider.func, [*FUNCTIONS, LIFT], 1)
        do = f"did you mean {close[0]}?" if close else "`migctl drill show --functions` lists them"
        raise _faulty(source, where, f"there is no function {provider.func!r}", do)
    if (function.kind == "probe") != (activity.type == "probe"):
        do = f"write type: {'probe' if function.kind == 'probe' else 'action'}"
        raise _faulty(
            source, where, f"{function.name} is {_a(function.kind)}, and this is a {activity.type}", do
        )
    return Bound(function, _arguments(function.arguments, provider, at, source))


def _a(kind: str) -> str:
    return f"an {kind}" if kind == "action" else f"a {kind}"


def _arguments(model: type[S], provider: MigctlProvider, at: Path_, source: Document) -> S:
    prefix = (*at, "provider", "arguments")
    try:
        return validate(model, provider.arguments, source.part(prefix))
    except Faulty as error:
        key = ".".join(map(str, prefix))
        raise Faulty(
            [dataclasses.replace(one, key=f"{key}.{one.key}" if one.key else key) for one in error.problems]
        ) from None


def _faulty(source: Document, path: Path_, what: str, do: str) -> Faulty:
    return Faulty([Problem(source.name, source.line(path), ".".join(map(str, path)), what, do)])
