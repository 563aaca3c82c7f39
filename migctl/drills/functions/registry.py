"""What a function of a drill is, and how a module declares one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, TypeVar

from migctl.drills.availability import Transport
from migctl.drills.document import Section
from migctl.drills.world.around import Around
from migctl.drills.world.deployment import Deployment
from migctl.stack import Part

A = TypeVar("A", bound=Section)
Kind = Literal["probe", "action", "fault"]


class Nothing(Section):
    """No arguments."""


@dataclass(frozen=True, slots=True)
class Armed:
    """A fault that is armed. lift: makes it well again; may be called twice. detail: what exactly was struck.

    away: the subscriber that is stopped by it, and wants nothing meanwhile. to: the transport that it sends users to, where it is
    a command that moves them: how long that took is measured from before it was typed.
    """

    lift: Callable[[], object]
    detail: str = ""
    away: str | None = None
    to: Transport | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """probe: returns a value. action: does something, and returns what in words. fault: an action that stays until it is lifted.

    observes: it asks and listens only, so that a read-only drill may name it; any other acts on a deployment of the drill's own.
    needs: the part of an embedded stack that it acts on with these arguments; None: it acts on none, and may do so before a
    project of the operator's own.
    """

    name: str
    kind: Kind
    summary: str
    arguments: type[Section]
    _call: Callable[[Around, Section], object]
    observes: bool = False
    needs: Callable[[Section], Part | None] = lambda _: None

    def probe(self, on: Around, arguments: Section) -> object:
        return self._call(on, arguments)

    def act(self, on: Around, arguments: Section) -> str:
        return str(self._call(on, arguments) or "")

    def arm(self, on: Around, arguments: Section) -> Armed:
        armed = self._call(on, arguments)
        if not isinstance(armed, Armed):
            raise TypeError(f"{self.name} is a fault, and armed nothing")
        return armed


Call = Callable[[Deployment, A], object]


Needs = Part | Callable[[A], Part] | None


def _declared(
    kind: Kind, name: str, arguments: type[A], needs: Needs[A] = None
) -> Callable[[Call[A]], Function]:
    def part(given: Section) -> Part | None:
        assert isinstance(given, arguments)
        return needs(given) if callable(needs) else needs

    def declare(call: Call[A]) -> Function:
        summary = (call.__doc__ or "").strip().splitlines()[0]

        def checked(on: Around, given: Section) -> object:
            assert isinstance(given, arguments)
            assert isinstance(on, Deployment)
            return call(on, given)

        return Function(name, kind, summary, arguments, checked, needs=part)

    return declare


def probe(name: str, arguments: type[A]) -> Callable[[Call[A]], Function]:
    """Declares a probe; its docstring's first line is shown to operators."""
    return _declared("probe", name, arguments)


def observing(name: str, arguments: type[A]) -> Callable[[Callable[[Around, A], object]], Function]:
    """Declares a probe that asks and listens only, wherever it runs."""

    def declare(call: Callable[[Around, A], object]) -> Function:
        summary = (call.__doc__ or "").strip().splitlines()[0]

        def checked(on: Around, given: Section) -> object:
            assert isinstance(given, arguments)
            return call(on, given)

        return Function(name, "probe", summary, arguments, checked, observes=True)

    return declare


def action(name: str, arguments: type[A], *, needs: Needs[A] = None) -> Callable[[Call[A]], Function]:
    """Declares an action that is over when it returns. needs: the part of the stack that it acts on, if it does."""
    return _declared("action", name, arguments, needs)


def fault(name: str, arguments: type[A], *, needs: Needs[A] = None) -> Callable[[Call[A]], Function]:
    """Declares a fault: it returns `Armed`. needs: as of an action."""
    return _declared("fault", name, arguments, needs)


def functions_of(*modules: ModuleType) -> dict[str, Function]:
    """Each function of these modules by its name."""
    found = [one for module in modules for one in vars(module).values() if isinstance(one, Function)]
    made = {one.name: one for one in found}
    assert len(made) == len(set(map(id, found))), "two functions of one name"
    return made
