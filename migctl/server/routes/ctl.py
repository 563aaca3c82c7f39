"""Routes below /admin/ by which an operator steers a running `serve`: settings asked and set, and the relay throttled.

An error is answered with its way out and the exit code of the command that asked.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from aiohttp import web

from migctl.server.answers import answer
from migctl.server.routes.answering import answering
from migctl.status import ThrottleStatus

SETTINGS = "/admin/settings"
THROTTLE = "/admin/throttle"


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


class FixedView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that a running serve can't take over. reason: why not. value: None where it may hold a secret."""

    name: str
    value: Any
    origin: str
    reason: str


class SettingsView(msgspec.Struct, frozen=True, kw_only=True):
    """Every one that may change. kept_until: what is set here lasts so long. fixed: all others."""

    schema: str = "migctl.settings/1"
    kept_until: str = "serve restarts"
    settings: list[SettingView]
    fixed: list[FixedView] = []


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
        web.post(SETTINGS, answering(ChangeSetting, steered.change)),
        web.post(THROTTLE, answering(ChangeThrottle, steered.throttle)),
    ]
