"""Completing a rollout, composed: the record's state moved a phase at a time, as the rules of `rollout.completing` allow.

Each phase is a write at the version that was read, so a command that is killed anywhere is simply run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from migctl import clock
from migctl.config import Settings
from migctl.errors import Wanting
from migctl.rollout import completing
from migctl.rollout.completing import Completing, Completion, Go, Hold, Holding
from migctl.rollout.stages import WALKED
from migctl.rollout.walk import State
from migctl.runtime.clients import Asking, clients_at
from migctl.runtime.rollout import Control, control
from migctl.runtime.rollout_known import Standing, require
from migctl.runtime.rollout_signoff import Signed, signed_off
from migctl.runtime.staged import COMPLETING, kept_in

# How long processes have to hear of it: they ask the record every two seconds.
HEARD_S = 15.0
_AGAIN_S = 0.2

WORDS: dict[Completion, str] = {
    "rampdown": "begin to switch the WebSocket off: it is still fed meanwhile",
    "draining": "wait until nobody uses the WebSocket",
    "completed": "switch the WebSocket off: /ws answers 410, and everybody is on Realtime",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What is about to be written. where: the target. embedded: it is a stack of our own. lost: subscribers that are given up."""

    to: Completion
    where: str
    embedded: bool
    forced: bool = False
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """accept_lost, force: with a reason. asking: shows a step, and raises Refused where nobody agrees."""

    actor: str
    reason: str
    accept_lost: int
    force: bool
    asking: Callable[[Step], None]
    dry_run: bool = False
    notify: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True)
class Progress:
    """phase: that it is in now; None where nothing was begun. hold: why it goes no further yet.

    holding, asking: who holds it back, and who was asked. unheard: processes that have not switched off. signed: the sign-off
    report, once it is completed.
    """

    where: str
    phase: Completion | None
    hold: Hold | None = None
    holding: Holding | None = None
    asking: Asking | None = None
    unheard: tuple[str, ...] = ()
    signed: Signed | None = None


async def complete(settings: Settings, request: Request) -> Progress:
    """Go as far as the rules allow now. Raises Wanting, Changed, Refused, Usage, Transient, Systemic."""
    async with control(settings, request.notify) as at:
        stage = at.stage(COMPLETING)
        while True:
            standing = await at.read(processes=False)
            require(standing)
            if standing.unreadable is not None:
                raise standing.unreadable
            state = standing.state
            if state is None:
                raise Wanting(
                    f"no rollout has begun on {at.where}: there is nothing to complete",
                    do="begin it: `migctl rollout set N --reason WHY`, or `migctl rollout run`",
                )
            now, of = clock.now(), state.completing
            if of is None:
                passed = WALKED[-1] in state.passed
                begun = completing.begin(last_passed=passed, forced=request.force)
                if isinstance(begun, Hold):
                    return Progress(at.where, None, begun)
                step = Step(begun.to, at.where, _embedded(at), forced=not passed)
                after = Completing(phase=begun.to, since=now, forced=None if passed else request.reason)
            else:
                asked = await clients_at(at) if of.phase == "draining" else None
                held = completing.holding(asked.asked, stage.drain_minutes, now) if asked else Holding()
                found = completing.advance(
                    of.phase, of.since, stage.rampdown_minutes, held, now, request.accept_lost
                )
                if isinstance(found, Hold):
                    return Progress(at.where, of.phase, found, held, asked)
                if not isinstance(found, Go):
                    unheard = await _unheard(at)
                    signed = None if request.dry_run else await signed_off(at, request.notify)
                    return Progress(at.where, of.phase, unheard=unheard, signed=signed)
                step = Step(found.to, at.where, _embedded(at), lost=len(held.clients))
                after = msgspec.structs.replace(
                    of,
                    phase=found.to,
                    since=now,
                    accepted_lost=len(held.clients),
                    reason=request.reason or None,
                )
            request.asking(step)
            if request.dry_run:
                return Progress(
                    at.where,
                    of.phase if of is not None else None,
                    Hold(f"dry run: it would {WORDS[step.to]}"),
                )
            action = "complete-forced" if step.forced else f"complete-{step.to}"
            await at.move_shown(
                standing, _with(state, after), action=action, actor=request.actor, reason=_why(request, step)
            )


async def known_whole(at: Control, standing: Standing) -> Standing:
    """The same, unless the record was silent and only it can say: what stands, where nobody else knows; a completion that may have
    begun, which is taken back by the record alone. Then it is waited for. Raises Transient, Systemic where it stays away.
    """
    if standing.basis is not None or (standing.all_effective and not _may_complete(at)):
        return standing
    patient = await at.read(processes=False)
    require(patient)
    return patient


def _may_complete(at: Control) -> bool:
    """As far as this folder knows."""
    kept = kept_in(at.settings.state)
    return kept is not None and kept.target == at.name and kept.stage == COMPLETING


def _with(state: State, after: Completing) -> State:
    """Nothing is walked any more from the begin on."""
    return msgspec.structs.replace(
        state, phase="done", paused=None, since=after.since, reason=None, completing=after
    )


def _why(request: Request, step: Step) -> str:
    lost = f"{step.lost} subscribers given up: " if step.lost else ""
    return f"{lost}{request.reason}" if request.reason or lost else WORDS[step.to]


def _embedded(at: Control) -> bool:
    return at.settings.supabase.url is None


async def _unheard(at: Control) -> tuple[str, ...]:
    """Processes of which nobody knows that `/ws` answers 410 there, once they had the time to hear of it."""
    end = clock.mono() + HEARD_S
    while True:
        asked = await clients_at(at)
        found = tuple(
            one.name for one in asked.processes if one.status is None or not one.status.switched_off
        )
        if asked.unlisted is not None:
            found = (*found, asked.unlisted)
        if not found or clock.mono() >= end:
            return found
        await asyncio.sleep(_AGAIN_S)
