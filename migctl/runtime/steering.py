"""Steering: what an operator changes in a running `serve`, from inside it and from outside."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from migctl.delivery.throttle import Throttle
from migctl.errors import Refused, Usage
from migctl.runtime.change_log import Act, ChangeLog
from migctl.runtime.live_settings import LiveSettings
from migctl.runtime.parts import Parts
from migctl.serve_client import Answer
from migctl.serve_client.control import reached, understood
from migctl.serve_client.errors import NotUnderstood
from migctl.server.routes.ctl import (
    SETTINGS,
    THROTTLE,
    ChangeSetting,
    ChangeThrottle,
    SettingChanged,
    SettingsView,
    ThrottleChanged,
)

T = TypeVar("T")

# A full disk, or one that hangs, is waited for this long.
ANSWERS_WITHIN_S = 30.0


class Steering:
    """Of one `serve`."""

    def __init__(self, parts: Parts, changes: ChangeLog) -> None:
        self._live: LiveSettings = parts.live
        self._parts = parts
        self._changes = changes

    def settings(self) -> SettingsView:
        return self._live.view()

    async def change(self, asked: ChangeSetting) -> SettingChanged:
        return self._live.change(asked)

    async def throttle(self, asked: ChangeThrottle) -> ThrottleChanged:
        """Raises Refused where there is no relay, Usage for a hold without a reason."""
        relay = self._parts.relay
        if relay is None:
            raise Refused(
                "this serve has no relay to throttle: it runs in mode websocket", do="nothing: it writes to no table"
            )  # fmt: skip
        throttle: Throttle = relay.throttle
        if asked.hold and not asked.reason.strip():
            raise Usage(
                "throttle: no reason", do="say why: `migctl ctl throttle REASON`; the status shows it"
            )
        act: Act = "throttle" if asked.hold else "no-throttle"
        changed = await (
            throttle.hold(asked.by, asked.reason) if asked.hold else throttle.lift(asked.by, asked.reason)
        )
        unkept = changed.unkept
        try:
            self._changes.add(
                by=asked.by, act=act, name=None, before=changed.before, after=changed.after, reason=asked.reason
            )  # fmt: skip
        except OSError as error:
            unkept = unkept or f"the audit can't be written: {error}"
        return ThrottleChanged(
            before=changed.before, throttled=changed.after, backlog=relay.backlog, unkept=unkept
        )


async def settings_of(folder: Path) -> SettingsView:
    """Of the `serve` of this state folder. Raises NotRunning, NotUnderstood."""
    async with reached(folder) as http:
        return _understood(await http.get(SETTINGS), SettingsView)


async def change_of(folder: Path, asked: ChangeSetting) -> SettingChanged:
    """Raises NotRunning, and what `LiveSettings.change` does."""
    async with reached(folder, timeout_s=ANSWERS_WITHIN_S) as http:
        return _understood(await http.post(SETTINGS, msgspec.json.encode(asked)), SettingChanged)


async def throttle_of(folder: Path, asked: ChangeThrottle) -> ThrottleChanged:
    """Raises NotRunning, and what `Steering.throttle` does."""
    async with reached(folder, timeout_s=ANSWERS_WITHIN_S) as http:
        return _understood(await http.post(THROTTLE, msgspec.json.encode(asked)), ThrottleChanged)


def _understood(answer: Answer, shape: type[T]) -> T:
    lacking = NotUnderstood(
        "this serve is of a version that can't be steered", do="start it again with this version of migctl"
    )
    return understood(answer, shape, lacking=lacking)
