"""What a `serve` says of the stage of the rollout: whose settings are laid over its own."""

from __future__ import annotations

from msgspec import Struct

from migctl.events.times import Moment


class PositionStatus(Struct, frozen=True, kw_only=True):
    """Where the rollout stands, as the record said last. reason: why it waits; paused_by: what by. since: of the phase."""

    stage: str
    phase: str
    reason: str | None = None
    paused_by: str | None = None
    since: Moment | None = None


class StageStatus(Struct, frozen=True, kw_only=True):
    """stage: whose settings hold; None: those of migctl.yaml alone. changed: keys that it says. since: when they were taken over.

    heard: the record has said so since the start; else it is what was known last. reason, do: why the settings of the stage are not
    taken over; None where they are. completed: the WebSocket is switched off, whatever the mode, flags and brakes say.
    rollout: None before the record has said it, and before the first stage.
    """

    stage: str | None
    changed: list[str]
    since: Moment
    heard: bool
    reason: str | None = None
    do: str | None = None
    completed: bool = False
    rollout: PositionStatus | None = None
