"""`/api/rollout`: where the rollout stands, and moving it; `/api/drills`: the drills that were run here.

The documents are those of `migctl rollout status` and of its moves with `--output json`. A refusal is answered with its way out and
the exit code of the command.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, Protocol

import msgspec
from aiohttp import web
from msgspec import Meta

from migctl.errors import MigctlError
from migctl.events.jsontext import read_as
from migctl.rollout.drills import Drilled
from migctl.rollout.report import RolloutStatus
from migctl.server.access.bodies import body_of
from migctl.server.access.guard import name_of
from migctl.server.answers import answer, refusal
from migctl.server.routes.answering import failed

ROLLOUT = "/api/rollout"
DRILLS = "/api/drills"
# Who has no token is at this machine.
NOBODY = "dashboard"
MAX_REASON_CHARS = 1000


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the dry run said that would be afterwards, which whoever agreed has read."""

    percent: float | None
    stage: str | None


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A move. percent, segment: of `set`. dry_run: say what it would do. lift: ids of the brakes that a raise may end.

    reason: everything needs one but going down, which waits for none. shown: a raise that would be another one by now is refused;
    None for whoever was shown nothing. What does not pass its gates is not promoted from here: that is for the command line.
    """

    action: Literal["set", "pause", "resume", "promote", "abort"]
    percent: Annotated[float, Meta(ge=0, le=100)] | None = None
    segment: str | None = None
    reason: Annotated[str, Meta(max_length=MAX_REASON_CHARS, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    dry_run: bool = False
    lift: list[str] = []
    shown: Shown | None = None


class Drills(msgspec.Struct, frozen=True):
    """The newest that were run in this state folder, the last one last."""

    drills: list[Drilled]


class Rolls(Protocol):
    """What the routes ask."""

    async def status(self) -> RolloutStatus: ...

    async def drills(self) -> Drills: ...

    async def move(self, order: Order, actor: str) -> dict[str, object]: ...


def rollout_routes(rolls: Rolls) -> list[web.RouteDef]:
    """For the rollout of this serve's target."""

    async def status(_: web.Request) -> object:
        return await rolls.status()

    async def drills(_: web.Request) -> object:
        return await rolls.drills()

    async def move(request: web.Request) -> object:
        order = _read(await body_of(request))
        return await rolls.move(order, name_of(request) or NOBODY)

    return [
        web.get(ROLLOUT, _answering(status)),
        web.post(ROLLOUT, _answering(move)),
        web.get(DRILLS, _answering(drills)),
    ]


class _NoJson(Exception):
    """A body that is none."""


def _read(body: bytes) -> Order:
    """Raises ValidationError for another shape, _NoJson."""
    try:
        return read_as(body, Order)
    except msgspec.ValidationError:
        raise
    except ValueError as error:
        raise _NoJson(str(error)) from None


def _answering(
    work: Callable[[web.Request], Awaitable[object]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return answer(200, await work(request))
        except MigctlError as error:
            return failed(error)
        except msgspec.ValidationError as error:
            return refusal(422, "shape", str(error))
        except _NoJson as error:
            return refusal(400, "encoding", f"the body is no JSON: {error}")

    return handle
