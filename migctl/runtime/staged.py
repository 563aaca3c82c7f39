"""The settings of the stage that the rollout is in, laid over those of a running `serve`, without a restart.

Which stage holds stands in the record. With that away, what was known last holds, and is kept in the state folder, so that a start
offline goes on with it. A stage whose file can't be used changes nothing that is in force, and is told.

| the record says | settings in force |
|---|---|
| no rollout yet | those of `migctl.yaml` |
| a stage, in any phase but aborted | with those of its file laid over them |
| aborted: everybody is on the WebSocket | those of `migctl.yaml` |
| a stage whose file can't be used | as before |
| nothing, it is away | as before |
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from migctl import clock
from migctl.config import Settings
from migctl.config.files import make_private_folder, read_own, write_whole
from migctl.config.staged import laid, overlaid
from migctl.config.yamlfile import Path_
from migctl.errors import MigctlError
from migctl.events.jsontext import read_as
from migctl.flags.record import Record
from migctl.resilience import Backoff, Retry
from migctl.rollout.stages import NAMES, Stage, load
from migctl.status import PositionStatus, StageStatus
from migctl.telemetry import get_logger

# As often as flags ask the record by themselves, or less: nothing waits for these settings.
EVERY_S = 2.0
FILE = "stage.json"
# Whose settings hold from the begin of `rollout complete` on.
COMPLETING = NAMES[-1]

log = get_logger("stage")


class Kept(msgspec.Struct, frozen=True):
    """What was known last. stage: None before the first, and while the rollout is aborted.

    completed: the WebSocket is switched off.
    """

    target: str
    stage: str | None
    completed: bool = False


def stage_of(state: object) -> str | None:
    """The stage whose settings hold, by the rollout's state in the record. Pure."""
    if not isinstance(state, dict) or state.get("phase") == "aborted":
        return None
    if isinstance(state.get("completing"), dict):
        return COMPLETING
    stage = state.get("stage")
    return stage if isinstance(stage, str) else None


def completed_by(state: object) -> bool:
    """Whether the WebSocket is switched off, by the rollout's state in the record. Pure."""
    completing = state.get("completing") if isinstance(state, dict) else None
    return isinstance(completing, dict) and completing.get("phase") == "completed"


def kept_in(folder: Path) -> Kept | None:
    """What a `serve` of this state folder knew last; None where nothing can be read."""
    try:
        return read_as(read_own(folder / FILE), Kept)
    except (OSError, ValueError):
        return None


def position_of(state: object) -> PositionStatus | None:
    """Where the rollout stands, by its state in the record. Pure; None where that says nothing that can be read."""
    if not isinstance(state, dict):
        return None
    completing = state.get("completing")
    phase = completing.get("phase") if isinstance(completing, dict) else state.get("phase")
    try:
        found = {
            "stage": state.get("stage"),
            "phase": phase,
            "reason": state.get("reason"),
            "paused_by": state.get("paused"),
        }
        return msgspec.convert({**found, "since": state.get("since")}, PositionStatus)
    except msgspec.ValidationError:
        return None


class StagedSettings:
    """Of one `serve`. record: None where there is none: then nothing is ever laid over. find: a stage by its name; raises Usage.

    `follow` names who is to go by the settings in force; `run` follows the record until cancelled.
    """

    def __init__(
        self,
        settings: Settings,
        flag: str,
        record: Record | None,
        *,
        find: Callable[[str], Stage] = load,
        every_s: float = EVERY_S,
    ) -> None:
        self.settings = settings
        self._below = settings
        self._flag = flag
        self._record = record
        self._find = find
        self._every_s = every_s
        self._path: Path = settings.state / FILE
        self._followers: list[Callable[[Settings], None]] = []
        self._stage: str | None = None
        self._changed: list[str] = []
        self._since: datetime = clock.now()
        self._trouble: MigctlError | None = None
        self._heard = False
        self._kept: Kept | None = None
        self._moved = asyncio.Event()
        self._position: PositionStatus | None = None
        self.completed = False
        self._on_completed: Callable[[bool], None] = lambda _: None

    def when_completed(self, follower: Callable[[bool], None]) -> None:
        """It is called at each change of whether the WebSocket is switched off. One only."""
        self._on_completed = follower

    def follow(self, follower: Callable[[Settings], None]) -> None:
        """It is called with the settings in force now, and at each change."""
        self._followers.append(follower)
        follower(self.settings)

    def names(self) -> tuple[str, list[str]] | None:
        """The stage whose settings hold, and the keys that it says."""
        return (self._stage, self._changed) if self._stage is not None else None

    def begin(self) -> None:
        """Before `run`: what was known last holds until the record says something."""
        if self._record is None:
            return
        try:
            kept = read_as(read_own(self._path), Kept)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("what was kept of the stage can't be read", path=str(self._path), reason=str(error))
            return
        if kept.target == self._record.name:
            self._kept = kept
            self._take(kept.stage)
            self._complete(kept.completed)

    async def run(self) -> None:
        """Outages of the record are survived."""
        if self._record is None:
            return
        retry = Retry(Backoff(0.5, 5.0))
        while True:
            try:
                rollout = await self._record.rollout(self._flag)
            except MigctlError as error:
                if retry.failed(error).number == 1:
                    log.info("the stage of the rollout is not known anew", reason=error.what, do=error.do)
                await retry.wait()
                continue
            retry.succeeded()
            self._position = position_of(rollout.state)
            self._heard_of(stage_of(rollout.state), completed=completed_by(rollout.state))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._moved.wait()
            self._moved.clear()

    def moved(self) -> None:
        """It was moved by this process: the record is asked now, and not at the next turn."""
        self._moved.set()

    async def aclose(self) -> None:
        if self._record is not None:
            await self._record.aclose()

    def status(self) -> StageStatus:
        """For `/api/status`."""
        trouble = self._trouble
        return StageStatus(
            stage=self._stage,
            changed=list(self._changed),
            since=self._since,
            heard=self._heard,
            reason=trouble.what if trouble is not None else None,
            do=trouble.do if trouble is not None else None,
            completed=self.completed,
            rollout=self._position,
        )

    def _complete(self, completed: bool) -> None:
        if completed != self.completed:
            self.completed = completed
            self._on_completed(completed)

    def _heard_of(self, stage: str | None, *, completed: bool = False) -> None:
        self._heard = True
        if stage != self._stage or self._trouble is not None:
            self._take(stage)
        assert self._record is not None
        kept = Kept(self._record.name, stage, completed)
        if kept == self._kept:
            self._complete(completed)
            return
        durable = completed or (self._kept is not None and self._kept.completed)
        self._kept = kept
        try:
            make_private_folder(self._path.parent)
            write_whole(self._path, msgspec.json.encode(kept), durable=durable)
        except OSError as error:
            log.warning("the stage is not kept", path=str(self._path), reason=str(error))
        self._complete(completed)

    def _take(self, stage: str | None) -> None:
        try:
            settings, changed = self._below, []
            if stage is not None:
                overlay = self._find(stage).settings
                settings = overlaid(self._below, overlay, source=f"stage {stage}")
                changed = [".".join(map(str, path)) for path in _leaves(laid(overlay))]
        except MigctlError as error:
            if self._trouble is None or self._trouble.what != error.what:  # once per change
                log.warning(
                    "settings of the stage are not taken over", stage=stage, reason=error.what, do=error.do
                )
            self._trouble = error
            return
        is_new = stage != self._stage
        self._stage, self._changed, self._trouble, self.settings = stage, changed, None, settings
        if is_new:
            self._since = clock.now()
            log.info("settings of the stage hold", stage=stage, changed=changed)
        for follower in self._followers:
            follower(settings)


def _leaves(tree: object, path: Path_ = ()) -> list[Path_]:
    if not isinstance(tree, dict) or path[-1:] == ("classes",):
        return [path]
    return [found for key, value in tree.items() for found in _leaves(value, (*path, key))]
