"""What a publisher says of itself, to whoever asks and to whoever wants to hear of a change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from migctl.clock import now
from migctl.telemetry import get_logger

log = get_logger("publisher")


class PublisherState(msgspec.Struct, frozen=True):
    """name: new; open: what is published is acknowledged; away: nobody takes it now, and it waits; stopped; left.

    since: aware UTC. reason: why it is away or stopped.
    """

    name: Literal["new", "open", "away", "stopped", "left"]
    since: datetime
    reason: str | None = None


class Standing:
    """The state of now. changed: called with each other one, in the publisher's loop; what it raises is logged, and no more."""

    def __init__(self, changed: Callable[[PublisherState], object] | None) -> None:
        self._changed = changed
        self.now = PublisherState("new", now())

    def become(self, name: Literal["open", "away", "stopped", "left"], reason: str | None = None) -> None:
        """Another reason of the same state is the same state; `since` stays."""
        before = self.now
        if before.name == "stopped" and name != "left":
            return
        self.now = PublisherState(name, before.since if before.name == name else now(), reason)
        if self._changed is None or before.name == name:
            return
        try:
            self._changed(self.now)
        except Exception:
            log.exception("on_state raised", state=name)
