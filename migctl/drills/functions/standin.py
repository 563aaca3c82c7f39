"""Faults of the stand-in: the ways in which the real service loses events in silence, its rates, its tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from migctl.drills.document import Section
from migctl.drills.functions.registry import Armed, Nothing, fault
from migctl.drills.world.deployment import Deployment
from migctl.faults import switches
from migctl.stack.standin.faults import Name
from migctl.stack.standin_process import Rates, StandinOptions


class OfSwitch(Section):
    fault: Annotated[Name, Field(description="a fault of `migctl stack fault list`")]


class OfRates(Section):
    plan: Annotated[Rates, Field(description="no-cap, off, pro, free or self-hosted")] = "free"


@fault("switch", OfSwitch, needs="standin")
def switch(on: Deployment, of: OfSwitch) -> Armed:
    """A switch of `migctl stack fault`."""
    found = {one.name: one for one in switches.switch_on(on.direct, of.fault)}
    one = found[of.fault]
    lift = (lambda: switches.clear(on.direct, of.fault)) if one.lasting else (lambda: [])
    return Armed(lift, one.what)


@fault("rates", OfRates, needs="standin")
def rates(on: Deployment, of: OfRates) -> Armed:
    """The stand-in keeps another plan's limits; it is restarted for it."""
    before = on.stack.standin_options
    _restart(on, replace(before, rates=of.plan))
    return Armed(lambda: _restart(on, before), f"the {of.plan} plan")


@fault("no-tokens", Nothing)
def no_tokens(on: Deployment, _: Nothing) -> Armed:
    """No subscriber gets a new access token, so that the old ones expire."""
    on.no_tokens.touch()
    return Armed(lambda: on.no_tokens.unlink(missing_ok=True))


def _restart(on: Deployment, options: StandinOptions) -> None:
    on.stack.change_standin(options)
    on.stack.start_part("standin")
