"""Functions that a drill's file names, looked up: each is there, is of the right kind, and gets arguments that it can use."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field

from migctl.config.problems import Faulty, Problem
from migctl.config.validating import validate
from migctl.config.yamlfile import Document, Path_
from migctl.drills import document
from migctl.drills.document import Activity, Drill, HttpProvider, MigctlProvider, Section
from migctl.drills.functions import FUNCTIONS, Function
from migctl.drills.functions.soak import Changes, OfFault, OfSoak, changed
from migctl.errors import Usage

S = TypeVar("S", bound=Section)


class OfLift(Section):
    """A fault that an activity before this one armed is lifted."""

    fault: Annotated[str, Field(description="the name of the activity that armed it")]


class OfListen(Section):
    """Time passes, in which everybody listens."""

    seconds: Annotated[float, Field(gt=0, description="seconds, above 0")]


# What the runner itself does, since it keeps which faults are armed, and watches while time passes.
OWN: dict[str, type[OfLift | OfSoak | OfListen]] = {"lift": OfLift, "soak": OfSoak, "listen": OfListen}


@dataclass(frozen=True, slots=True)
class Bound:
    """A function with its arguments. function: None for those of `OWN`."""

    function: Function | None
    arguments: Section


@dataclass(frozen=True, slots=True)
class Checked:
    """A drill whose functions are known. bound: by the activity's name; those of other providers have none."""

    drill: Drill
    bound: dict[str, Bound]

    def at(self, rate_per_s: float | None, source: str | None = None) -> Checked:
        """The same with another load: made events at that rate, or a live stream; None: as it is."""
        if rate_per_s is None and source is None:
            return self
        found = self.drill.configuration
        load = found.model_copy(
            update={"rate_per_s": found.rate_per_s if rate_per_s is None else rate_per_s}
            | ({} if source is None else {"source": source, "recording": None})
        )
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
    problems += _of_soaks(drill, bound, source)
    problems += _of_read_only(drill, bound, source)
    if problems:
        raise Faulty(problems)
    return Checked(drill, bound)


def with_changes(checked: Checked, name: str, changes: Changes) -> Checked:
    """The drill with another soak. Raises Usage where it has none, or not these faults."""
    if changes.are_none:
        return checked
    for activity, bound in checked.bound.items():
        if isinstance(bound.arguments, OfListen) and changes == Changes(minutes=changes.minutes):
            other = Bound(None, OfListen(seconds=60 * (changes.minutes or 0)))
            return replace(checked, bound={**checked.bound, activity: other})
        if isinstance(bound.arguments, OfSoak):
            other = Bound(None, changed(bound.arguments, changes))
            return replace(checked, bound={**checked.bound, activity: other})
    raise Usage(
        f"drill {name} draws no faults: there is nothing that --minutes, --every, --seed or --only could change",
        do="`migctl drill soak` draws some, and so does any drill with `func: soak`",
    )


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
    where, arguments = (*at, "provider", "func"), (*at, "provider", "arguments")
    if provider.func in OWN and activity.type == "action":
        of = _arguments(OWN[provider.func], provider.arguments, arguments, source)
        if isinstance(of, OfLift) and of.fault not in armed:
            known = f"one of {', '.join(sorted(armed))}" if armed else "arm one before"
            raise _faulty(source, (*arguments, "fault"), f"no activity before this arms {of.fault!r}", known)
        return Bound(None, of)
    function = _function(provider.func, where, source)
    if (function.kind == "probe") != (activity.type == "probe"):
        do = f"write type: {'probe' if function.kind == 'probe' else 'action'}"
        raise _faulty(
            source, where, f"{function.name} is {_a(function.kind)}, and this is a {activity.type}", do
        )
    return Bound(function, _arguments(function.arguments, provider.arguments, arguments, source))


def _of_read_only(drill: Drill, bound: Mapping[str, Bound], source: Document) -> Iterator[Problem]:
    """What a read-only drill may not name, since it might change what it listens to."""
    if not drill.read_only:
        return
    for at, activity in _placed(drill):
        provider = activity.provider
        if isinstance(provider, MigctlProvider):
            of = bound.get(activity.name)
            harmless = of is None or (
                of.function.observes if of.function is not None else isinstance(of.arguments, OfListen)
            )
            key, what = (*at, "provider", "func"), provider.func
        else:
            harmless = isinstance(provider, HttpProvider) and provider.method in ("GET", "HEAD")
            key, what = (*at, "provider", "type"), f"a provider of type {provider.type}"
        if not harmless:
            do = "name a probe that listens (`migctl drill show --functions`), `listen`, or a GET; or take out `read-only`"
            yield from _faulty(source, key, f"{what} is not for a read-only drill", do).problems


def _of_soaks(drill: Drill, bound: Mapping[str, Bound], source: Document) -> Iterator[Problem]:
    """What is wrong with a soak beyond its own keys: its faults are functions, and there is one at most, in the method."""
    names = {one.name for one in drill.activities()}
    before = ""
    for at, activity in _placed(drill):
        of = bound[activity.name].arguments if activity.name in bound else None
        if not isinstance(of, OfSoak):
            continue
        if at[0] != "method" or before:
            what = f"{before} is one already" if before else f"a soak is no part of {at[0]}"
            do = "one soak has all faults, in `method`"
            yield from _faulty(source, (*at, "provider", "func"), what, do).problems
        before = activity.name
        for index, one in enumerate(of.faults):
            where = (*at, "provider", "arguments", "faults", index)
            if one.name in names:
                what = f"the name {one.name!r} is there twice"
                yield from _faulty(source, (*where, "name"), what, "each has its own").problems
            names.add(one.name)
            try:
                _check_fault(one, where, source)
            except Faulty as error:
                yield from error.problems


def _check_fault(one: OfFault, where: Path_, source: Document) -> None:
    """Whatever is drawn for it can be used. Raises Faulty."""
    function = _function(one.func, (*where, "func"), source)
    if function.kind != "fault":
        what = f"{function.name} is {_a(function.kind)}, and is never lifted"
        raise _faulty(source, (*where, "func"), what, "name a fault: `migctl drill show --functions`")
    problems = [_placed_argument(each, one, where, source) for each in one.wrong(function.arguments)]
    if problems:
        raise Faulty(problems)


def _placed_argument(problem: Problem, one: OfFault, where: Path_, source: Document) -> Problem:
    """An argument of a soak's fault stands where it is given, or where it is said what is drawn for it."""
    name = problem.key.partition(".")[0]
    part = "one_of" if name in one.one_of else "between" if name in one.between else "arguments"
    path: Path_ = (*where, part, *problem.key.split("."))
    key = ".".join(map(str, path))
    while not source.has(path):
        path = path[:-1]
    return replace(problem, source=source.name, line=source.line(path), key=key)


def _function(name: str, where: Path_, source: Document) -> Function:
    function = FUNCTIONS.get(name)
    if function is None:
        close = difflib.get_close_matches(name, [*FUNCTIONS, *OWN], 1)
        do = f"did you mean {close[0]}?" if close else "`migctl drill show --functions` lists them"
        raise _faulty(source, where, f"there is no function {name!r}", do)
    return function


def _a(kind: str) -> str:
    return f"an {kind}" if kind == "action" else f"a {kind}"


def _arguments(model: type[S], given: Mapping[str, Any], where: Path_, source: Document) -> S:
    try:
        return validate(model, given, source.part(where))
    except Faulty as error:
        key = ".".join(map(str, where))
        raise Faulty(
            [replace(one, key=f"{key}.{one.key}" if one.key else key) for one in error.problems]
        ) from None


def _faulty(source: Document, path: Path_, what: str, do: str) -> Faulty:
    return Faulty([Problem(source.name, source.line(path), ".".join(map(str, path)), what, do)])
