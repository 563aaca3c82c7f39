"""The settings in force in a running `serve`: those of its start, below those of the rollout's stage, below what operators set.

What was set lasts until `serve` restarts; each change is in the audit before it counts. A stage that begins may say something that
does not go with it: then the stage's holds, what was set is dropped, and that is in the audit too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from migctl import telemetry
from migctl.config import Settings
from migctl.config.changing import CHANGEABLE, FIXED, Changeable, changeable, overlaid, parsed
from migctl.config.problems import Faulty
from migctl.config.yamlfile import Path_
from migctl.errors import Transient, Usage
from migctl.runtime.change_log import Act, ChangeLog
from migctl.server.routes.ctl import ChangeSetting, FixedView, SettingChanged, SettingsView, SettingView

Origin = Callable[[Path_], str]
MIGCTL = "migctl"


@dataclass(frozen=True, slots=True)
class Given:
    """What an operator set."""

    value: Any
    by: str
    reason: str


def fitting(
    below: Settings, given: Mapping[Changeable, Given]
) -> tuple[dict[Changeable, Given], dict[Changeable, Faulty]]:
    """What of it still goes with the settings below, in the order in which it was set, and what does not, and why. Pure."""
    kept: dict[Changeable, Given] = {}
    dropped: dict[Changeable, Faulty] = {}
    for setting, one in given.items():
        try:
            overlaid(below, {name: of.value for name, of in {**kept, setting: one}.items()})
        except Faulty as error:
            dropped[setting] = error
        else:
            kept[setting] = one
    return kept, dropped


class LiveSettings:
    """Of one `serve`. origin: what each value of its start is from. stage: the name of the stage whose settings lie over them, and
    the keys that it says; None without one."""

    def __init__(
        self,
        settings: Settings,
        changes: ChangeLog,
        *,
        origin: Origin = lambda _: "default",
        stage: Callable[[], tuple[str, list[str]] | None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._below = settings
        self._changes = changes
        self._origin = origin
        self._stage = stage
        self._given: dict[Changeable, Given] = {}
        self._followers: list[Callable[[Settings], None]] = []

    def follow(self, follower: Callable[[Settings], None]) -> None:
        """It is called with the settings in force now, and at each change."""
        self._followers.append(follower)
        follower(self.settings)

    def rest_on(self, below: Settings) -> None:
        """Other settings lie below from now on: those of a stage, or no longer."""
        self._given, dropped = fitting(below, self._given)
        before, self._below = self.settings, below
        self._take(self._given)
        for setting, why in dropped.items():
            try:
                self._audit("dropped", setting, before, MIGCTL, f"the stage's settings hold: {why.what}")
            except OSError as error:
                telemetry.get_logger("ctl").warning("not audited", name=setting.name, reason=str(error))

    def view(self) -> SettingsView:
        return SettingsView(
            settings=[self._view(one) for one in CHANGEABLE],
            fixed=[self._fixed(name, reason) for name, reason in FIXED.items()],
        )

    def change(self, asked: ChangeSetting) -> SettingChanged:
        """Raises Usage for what it can't be, Transient where the audit can't be written: then nothing is changed."""
        setting = changeable(asked.name)
        given = dict(self._given)
        if asked.value is not None:
            given.pop(setting, None)  # the newest is the last
            given[setting] = Given(parsed(setting, asked.value), asked.by, asked.reason)
        elif given.pop(setting, None) is None:
            raise Usage(
                f"{setting.name}: nothing was set here; it is {self._view(setting).value} from {self._view(setting).origin}",
                do="`migctl ctl get` lists what was",
            )
        after = self._over(given)
        before = self.settings
        try:
            self.settings = after
            self._audit("unset" if asked.value is None else "set", setting, before, asked.by, asked.reason)
        except OSError as error:
            self.settings = before
            raise Transient(
                f"{setting.name}: the audit can't be written, so nothing was changed: {error}",
                do="make room in the state folder, or make it writable, and try again",
            ) from None
        self.settings, self._given = before, given
        self._take(given)
        return SettingChanged(before=setting.of(before), setting=self._view(setting))

    def _over(self, given: Mapping[Changeable, Given]) -> Settings:
        return overlaid(self._below, {setting: one.value for setting, one in given.items()})

    def _take(self, given: Mapping[Changeable, Given]) -> None:
        before, self.settings = self.settings, self._over(given)
        if before.log_level != self.settings.log_level:
            telemetry.set_level(self.settings.log_level)
        for follower in self._followers:
            follower(self.settings)

    def _audit(self, act: Act, setting: Changeable, before: Settings, by: str, reason: str) -> None:
        self._changes.add(
            by=by, act=act, name=setting.name, before=setting.of(before), after=setting.of(self.settings), reason=reason
        )  # fmt: skip

    def _fixed(self, name: str, reason: str) -> FixedView:
        of = Changeable(name, "")
        value = of.of(self.settings) if of.is_shown else None
        return FixedView(name=name, value=value, origin=self._origin(of.path), reason=reason)

    def _view(self, setting: Changeable) -> SettingView:
        given, stage = self._given.get(setting), self._stage()
        origin = self._origin(setting.path)
        if stage is not None and setting.name in stage[1]:
            origin = f"stage {stage[0]}"
        return SettingView(
            name=setting.name,
            value=setting.of(self.settings),
            default=setting.default,
            origin="ctl" if given is not None else origin,
            without_ctl=setting.of(self._below),
            unit=setting.unit,
            expected=setting.expected,
            bounds=setting.bounds,
            choices=setting.choices,
            applies=setting.applies,
            by=given.by if given is not None else None,
            reason=(given.reason or None) if given is not None else None,
        )
