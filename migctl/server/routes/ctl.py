"""Routes below /admin/ by which an operator steers a running `serve`: settings asked and set, and the relay throttled.

An error is answered with its way out and the exit code of the command that asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import msgspec
from aiohttp import web

from migctl.errors import MigctlError, Usage
from migctl.serve_client.answers import Failure
from migctl.server.answers import answer, refusal
from migctl.status import ThrottleStatus

SETTINGS = "/admin/settings"
THROTTLE = "/admin/throttle"

T = TypeVar("T")

_STATUS = {1: 409, 2: 422, 3: 503, 4: 409}


class SettingView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that may change while it runs. value: in force; origin: what that is from: an option, a variable, a file with its
    line, `stage NAME`, `ctl`, or `default`. without_ctl: what `unset` brings back; the same where nothing was set.

    unit: None for what is no measure. expected: what it may be, in words; bounds, choices: the same for machines. applies: from
    when on a change counts. by, reason: who set it here, and why.
    """

    name: str
    value: Any
    default: Any
    origin: str
    without_ctl: Any
    unit: str | None
    expected: str
    bounds: dict[str, float]
    choices: list[str]
    applies: str
    by: str | None = None
    reason: str | None = None


class SettingsView(msgspec.Struct, frozen=True, kw_only=True):
    """Every one of them. kept_until: what is set here lasts so long."""

    schema: str = "migctl.settings/1"
    kept_until: str = "serve restarts"
    settings: list[SettingView]


class ChangeSetting(msgspec.Struct, kw_only=True):
    """Asks to set one, or with a value of null to take back what was set here. value: as the settings file would have it, as text.

    by: who asks, for the audit.
    """

    name: str
    value: str | None
    by: str
    reason: str = ""


class SettingChanged(msgspec.Struct, frozen=True, kw_only=True):
    """before: what was in force, setting: what is."""

    before: Any
    setting: SettingView
    kept_until: str = "serve restarts"


class ChangeThrottle(msgspec.Struct, kw_only=True):
    """Asks to hold the relay's writing, or to lift that."""

    hold: bool
    by: str
    reason: str = ""


class ThrottleChanged(msgspec.Struct, frozen=True, kw_only=True):
    """throttled: who holds it now. unkept: why a restart, or the audit, does not know of it."""

    before: ThrottleStatus | None
    throttled: ThrottleStatus | None
    backlog: int
    unkept: str | None = None


class Steered(Protocol):
    """What may be changed. Raises MigctlError, with the way out."""

    def settings(self) -> SettingsView: ...

    async def change(self, asked: ChangeSetting) -> SettingChanged: ...

    async def throttle(self, asked: ChangeThrottle) -> ThrottleChanged: ...


def ctl_routes(steered: Steered) -> list[web.RouteDef]:
    async def show(_: web.Request) -> web.StreamResponse:
        return answer(200, steered.settings())

    return [
        web.get(SETTINGS, show),
        web.post(SETTINGS, _answering(ChangeSetting, steered.change)),
        web.post(THROTTLE, _answering(ChangeThrottle, steered.throttle)),
    ]


def _answering(
    shape: type[T], work: Callable[[T], Awaitable[object]]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            asked = msgspec.json.decode(await request.read(), type=shape)
        except msgspec.ValidationError as error:
            return refusal(422, "shape", str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            failure = Usage(f"the body is no JSON: {error}", do="send an object")
            return answer(422, Failure(failure.what, failure.do, failure.exit_code))
        try:
            return answer(200, await work(asked))
        except MigctlError as error:
            return answer(_STATUS.get(error.exit_code, 500), Failure(error.what, error.do, error.exit_code))

    return handle
