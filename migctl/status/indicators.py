"""Indicators: one word for each transport, as people read it at a glance. Pure, by what the parts of a `serve` say.

Of Realtime, the first row that is true:

| what is so | word |
|---|---|
| a breaker is open, and the gateway carries its subscribers | fallback |
| a breaker is open, or there is no way to send | down |
| subscribers were sent to the WebSocket, and are not back yet | catching up |
| the witness had it, and has it no more | down |
| the oldest event that the table lacks waits for longer than it should | catching up |
| none of these | connected |

Of the WebSocket:

| what is so | word |
|---|---|
| the gateway does not serve, or drains | down |
| the witness had it, and has it no more | down |
| it is behind the journal | catching up |
| none of these | connected |
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from migctl.status.delivery import (
    BreakersStatus,
    FallbackStatus,
    IndicatorStatus,
    IndicatorWord,
    RelayStatus,
    TransportName,
    TransportsStatus,
)
from migctl.status.health import OLDEST_WAITS_S, WITNESS_SILENT_S
from migctl.status.witness import HeardStatus, WitnessStatus
from migctl.status.words import wait

# Handed out within a moment; more than so many events is a moment that lasts.
BEHIND_EVENTS = 1000
Word = tuple[IndicatorWord, str | None]


class Carrying(Protocol):
    """What a word goes by, and no more: it is asked several times a second, whoever looks at a page."""

    @property
    def draining(self) -> bool: ...

    @property
    def started_at(self) -> datetime: ...

    @property
    def transports(self) -> TransportsStatus: ...

    @property
    def breakers(self) -> BreakersStatus: ...

    @property
    def relay(self) -> RelayStatus | None: ...

    @property
    def fallback(self) -> FallbackStatus | None: ...

    @property
    def witness(self) -> WitnessStatus | None: ...


class Indicators:
    """Of one `serve`: the word, and since when it stands. That is as fine as it is observed, by `of`; who asks for a status later
    than that learns the moment that was observed.
    """

    def __init__(self) -> None:
        self._words: dict[TransportName, tuple[IndicatorWord, datetime]] = {}

    def of(self, parts: Carrying, now: datetime) -> dict[str, IndicatorStatus]:
        """By transport that the mode has."""
        found: dict[str, IndicatorStatus] = {}
        for name, (word, reason) in words(parts, now).items():
            before = self._words.get(name)
            if before is None or before[0] != word:
                before = self._words[name] = (word, now)
            found[name] = IndicatorStatus(state=word, since=before[1], reason=reason)
        return found


def words(of: Carrying, now: datetime) -> dict[TransportName, Word]:
    """Each transport's word, and why it is not connected."""
    found: dict[TransportName, Word] = {}
    if of.transports.websocket is not None:
        found["websocket"] = _websocket(of, now)
    if of.transports.realtime is not None:
        found["realtime"] = _realtime(of, now)
    return found


def _websocket(of: Carrying, now: datetime) -> Word:
    gateway = of.transports.websocket
    assert gateway is not None
    if of.draining:
        return "down", "draining"
    if gateway.state != "connected":
        return "down", gateway.reason or gateway.state
    lost = _lost(of, "websocket", now)
    if lost is not None:
        return "down", lost
    if gateway.behind_events > BEHIND_EVENTS:
        return "catching up", f"{gateway.behind_events:,} events are to be handed out"
    return "connected", None


def _realtime(of: Carrying, now: datetime) -> Word:
    broadcast, fallback, relay = of.transports.realtime, of.fallback, of.relay
    assert broadcast is not None
    gateway = of.transports.websocket
    opened = [(part, breaker) for part, breaker in of.breakers.parts() if breaker.state != "closed"]
    if opened:
        part, breaker = opened[0]
        reason = f"the breaker of {part} is {breaker.state.replace('_', '-')}" + (
            f": {breaker.reason}" if breaker.reason else ""
        )
        carried = fallback is not None and gateway is not None and gateway.state == "connected"
        return ("fallback" if carried and not of.draining else "down"), reason
    if broadcast.state in ("connecting", "closed"):
        return "down", broadcast.reason or broadcast.state
    if fallback is not None and fallback.active:
        return "catching up", "breakers are closed, and the backlog is not through"
    lost = _lost(of, "realtime", now)
    if lost is not None:
        return "down", lost
    if relay is not None and relay.oldest_waits_s is not None and relay.oldest_waits_s > OLDEST_WAITS_S:
        return "catching up", f"{wait(relay.backlog)} for the table"
    return "connected", None


def _lost(of: Carrying, name: TransportName, now: datetime) -> str | None:
    """Why the witness has it no more. One that is silent, that never had it, or that ended says nothing of it."""
    witness = of.witness
    if witness is None or witness.state == "stopped" or (now - witness.at).total_seconds() > WITNESS_SILENT_S:
        return None
    heard: HeardStatus | None = witness.live.get(name)
    if heard is None or heard.up or heard.since is None or heard.since < of.started_at:
        return None
    return f"the witness lost it: {heard.reason or 'no reason'}"
