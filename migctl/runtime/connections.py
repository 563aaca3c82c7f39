"""Connections: how table, heads, broadcast and gateway are reached: since when, why not, and what to do.

Table and heads keep their own state, since each of their requests changes it. That of a transport is looked at here, a few times a
second, so that each change is one log line, in one form, whoever made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from migctl import clock
from migctl.events import format_time
from migctl.server.health import WELL
from migctl.telemetry import get_logger
from migctl.transports import Transport, TransportName, TransportStatus

LOOK_EVERY_S = 0.25

PARTS: dict[TransportName, str] = {"realtime": "broadcast", "websocket": "gateway"}

_POSITIONS = ("sent_to_seq", "delivered_seq")

_log = get_logger("connections")


class Relays(Protocol):
    """What is asked of a relay."""

    def connections(self) -> dict[str, dict[str, Any]]: ...

    def breaker(self) -> dict[str, Any]: ...


class Connections:
    """Of one `serve`. relay: None in a mode without one."""

    def __init__(self, transports: Sequence[Transport], relay: Relays | None) -> None:
        self._transports = transports
        self._relay = relay
        self._seen: dict[str, tuple[str, datetime]] = {}

    async def run(self) -> None:
        """Notice changes until cancelled."""
        while True:
            self._look()
            await asyncio.sleep(LOOK_EVERY_S)

    def breakers(self) -> dict[str, dict[str, Any]]:
        """State of each breaker, by the part that it protects."""
        found = {"table": self._relay.breaker()} if self._relay is not None else {}
        return found | {
            PARTS[one.name]: one.details["breaker"] for one in self._look() if "breaker" in one.details
        }

    def status(self) -> dict[str, Any]:
        """`connections` and `breakers` of `/api/status`, each by its part."""
        connections = dict(self._relay.connections()) if self._relay is not None else {}
        breakers = self.breakers()
        for one in self._look():
            part = PARTS[one.name]
            connections[part] = {
                "state": one.state,
                "since": format_time(self._seen[part][1]),
                "reason": one.reason,
                "do": (breakers.get(part) or {}).get("do"),
            }
        return {"connections": connections, "breakers": breakers}

    def degraded(self) -> list[str]:
        """The parts that are not reached, or not asked for now."""
        status = self.status()
        away = [part for part, of in status["connections"].items() if of["state"] not in WELL]
        shut = [part for part, of in status["breakers"].items() if of["state"] != "closed"]
        return [*away, *(part for part in shut if part not in away)]

    def _look(self) -> list[TransportStatus]:
        found = [transport.status() for transport in self._transports]
        for one in found:
            part = PARTS[one.name]
            before = self._seen.get(part)
            if before is not None and before[0] == one.state:
                continue
            self._seen[part] = (one.state, clock.now())
            where = {key: one.details[key] for key in _POSITIONS if key in one.details}
            tell = (
                _log.info if one.state in WELL or before is None or one.reason == "draining" else _log.warning
            )
            tell(f"{part} {one.state}", reason=one.reason, **where)
        return found
