"""Attachment: the transports that a subscriber is attached to, by assignment, the server's word and what it hears. Pure.

One transport is assigned; the other takes over when the assigned one has failed, and is left when it has proven itself again. In
between both run: repeats are dropped further on, a hole would have to be repaired.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from migctl.transports.protocol import TransportName
from migctl.transports.wire import GATEWAY_HEARTBEAT_S, silence_s

GONE_S = 2.0
HOLD_S = 10.0
# How soon it is decided again while a transport is on its way back.
PROOF_EVERY_S = 0.25

_OTHER: dict[TransportName, TransportName] = {"websocket": "realtime", "realtime": "websocket"}


class Observed(msgspec.Struct, frozen=True):
    """One transport, as its reader observes it.

    up: connected. since: when that began, or when it was lost; a connection that went silent was lost when it was last heard.
    heard_at: when anything came over it the last time; None where nothing ever did. silence_s: how long nothing may be heard.
    """

    up: bool
    since: float
    heard_at: float | None = None
    silence_s: float = silence_s(GATEWAY_HEARTBEAT_S)


class Wanted(msgspec.Struct, frozen=True):
    """transports: those to be attached to, never none. until: the time from which on the answer may be another."""

    transports: frozenset[TransportName]
    until: float


class Attachment:
    """The state of one subscriber.

    can_fall_back: False where the other transport is not there for this subscriber; then the assigned one is all there is.
    to_realtime: False where one that is assigned the WebSocket keeps to it, whatever happens. gone_s: how long a lost connection
    may take to come back. hold_s: how long the assigned transport has to stay well before the other is left.
    """

    def __init__(
        self,
        assigned: TransportName,
        *,
        can_fall_back: bool = True,
        to_realtime: bool = True,
        gone_s: float = GONE_S,
        hold_s: float = HOLD_S,
    ) -> None:
        self.assigned = assigned
        self._can_fall_back = can_fall_back
        self._gone_s = gone_s
        self.to_realtime = to_realtime
        self.hold_s = hold_s
        self._sent_away = False
        self._rejoin_at = float("-inf")
        self._failed_at = float("-inf")
        self._well_since: float | None = None
        self.fallen = False
        self.falls = 0

    @property
    def can_fall_back(self) -> bool:
        """There is another transport for a subscriber with this assignment."""
        return self._can_fall_back and (self.to_realtime or self.assigned == "realtime")

    def assign(self, assigned: TransportName, now: float) -> None:
        """The assignment is this one now. The transport so far is left once the new one has proven itself."""
        if assigned == self.assigned:
            return
        self.assigned = assigned
        self._sent_away, self._rejoin_at = False, float("-inf")
        self._fall(now)

    def redirect(self, to: TransportName, now: float, *, jitter_s: float = 0.0) -> None:
        """The server sends us there. jitter_s: how long to wait before going back, so that not everybody goes at once."""
        away = to != self.assigned
        if self._sent_away and not away:
            self._rejoin_at = now + jitter_s
        self._sent_away = away

    def decide(self, now: float, observed: Mapping[TransportName, Observed]) -> Wanted:
        """What to be attached to, now that the transports look like this."""
        other = _OTHER[self.assigned]
        if self._sent_away and not observed[other].up and now - observed[other].since >= self._gone_s:
            # Who sent for us is gone too, and can't say when it is over.
            self._sent_away = False
        mine = observed[self.assigned]
        if not self.can_fall_back:
            return Wanted(frozenset((self.assigned,)), float("inf"))
        if self._has_failed(mine, now):
            self._fall(now)
        elif self.fallen:
            self._prove(mine, now)
        if not self.fallen:
            return Wanted(frozenset((self.assigned,)), self._fails_at(mine))
        if self._stays_away(now):
            return Wanted(frozenset((other,)), self._next_change(now, observed[other]))
        return Wanted(frozenset((self.assigned, other)), now + PROOF_EVERY_S)

    def _fails_at(self, mine: Observed) -> float:
        """When the assigned transport counts as failed, if nothing changes."""
        if not mine.up:
            return mine.since + self._gone_s
        return max(mine.since, mine.heard_at or mine.since) + mine.silence_s

    def _has_failed(self, mine: Observed, now: float) -> bool:
        return self._sent_away or now >= self._fails_at(mine)

    def _fall(self, now: float) -> None:
        self.falls += not self.fallen
        self.fallen = True
        self._failed_at, self._well_since = now, None

    def _prove(self, mine: Observed, now: float) -> None:
        """Connected is no proof; something that came over this connection after the failure is."""
        heard = mine.heard_at is not None and mine.heard_at >= max(mine.since, self._failed_at)
        if not (mine.up and heard):
            self._well_since = None
        elif self._well_since is None:
            self._well_since = now
        elif now - self._well_since >= self.hold_s:
            self.fallen = False

    def _stays_away(self, now: float) -> bool:
        # Only from Realtime: a socket is also what brings the server's word.
        return self.assigned == "realtime" and (self._sent_away or now < self._rejoin_at)

    def _next_change(self, now: float, other: Observed) -> float:
        changes = [self._rejoin_at] if now < self._rejoin_at else []
        if self._sent_away and not other.up:
            changes.append(other.since + self._gone_s)
        return min(changes, default=float("inf"))
