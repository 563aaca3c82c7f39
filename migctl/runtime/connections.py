"""Connections: how table, heads, broadcast and gateway are reached: since when, why not, and what to do.

Table and heads keep their own state, since each of their requests changes it. That of a transport is observed here, a few times a
second, so that each change is one log line, in one form, whoever made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from migctl import clock
from migctl.status import BreakersStatus, ConnectionsStatus, ConnectionStatus, TransportStatus
from migctl.status.health import WELL
from migctl.telemetry import get_logger

if TYPE_CHECKING:
    from migctl.delivery import Relay
    from migctl.transports.realtime import Broadcast
    from migctl.transports.websocket import Gateway

OBSERVE_EVERY_S = 0.25

_log = get_logger("connections")


class Connections:
    """Of one `serve`. None for what the mode does not have."""

    def __init__(self, relay: Relay | None, broadcast: Broadcast | None, gateway: Gateway | None) -> None:
        self._relay = relay
        self._broadcast = broadcast
        self._gateway = gateway
        self._states: dict[
            str, tuple[str, datetime]
        ] = {}  # by part: the last state that was observed, since when

    async def run(self) -> None:
        """Observe until cancelled."""
        while True:
            self.status()
            await asyncio.sleep(OBSERVE_EVERY_S)

    def breakers(self) -> BreakersStatus:
        """Of the table, and of broadcast."""
        return BreakersStatus(
            table=self._relay.breaker() if self._relay is not None else None,
            broadcast=self._broadcast.breaker_status() if self._broadcast is not None else None,
        )

    def status(self) -> ConnectionsStatus:
        """Of each part. A change is logged."""
        asked = self._relay.connections() if self._relay is not None else ConnectionsStatus()
        broadcast = gateway = None
        if (sender := self._broadcast) is not None:
            of, do = sender.state(), sender.breaker_status().do
            since = self._observed("broadcast", of, "sent_to_seq", lambda: sender.status().sent_to_seq)
            broadcast = ConnectionStatus(state=of.state, since=since, reason=of.reason, do=do)
        if (handing_out := self._gateway) is not None:
            of = handing_out.state()
            since = self._observed("gateway", of, "delivered_seq", lambda: handing_out.status().delivered_seq)
            gateway = ConnectionStatus(state=of.state, since=since, reason=of.reason, do=None)
        return msgspec.structs.replace(asked, broadcast=broadcast, gateway=gateway)

    def _observed(self, part: str, of: TransportStatus, position: str, seq: Callable[[], int]) -> datetime:
        """When it came into the state that it is in. position, seq: how far it is, asked where that is logged."""
        before = self._states.get(part)
        if before is not None and before[0] == of.state:
            return before[1]
        now = clock.now()
        self._states[part] = (of.state, now)
        expected = of.state in WELL or before is None or of.reason == "draining"
        log = _log.info if expected else _log.warning
        log(f"{part} {of.state}", reason=of.reason, **{position: seq()})
        return now
