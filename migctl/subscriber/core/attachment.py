"""Attachment: the transports that a subscriber is attached to, by assignment, the server's word and what it hears. Pure.

One transport is assigned; the other takes over when the assigned one has failed, and is left when it has proven itself again. In
between both run: repeats are dropped further on, a hole would have to be repaired.

A new assignment is a move, not a failure: both run until the new transport has caught up, then the old one is left.

| moving to | Realtime was called away from | both run, until                                                         |
|-----------|-------------------------------|-------------------------------------------------------------------------|
| either    | no                            | the new one is up, was heard, and all is here that was known then       |
| websocket | yes                           | never both, unless the socket can't be had: nobody goes to Realtime     |
| realtime  | yes                           | the call back; it stays on the WebSocket, and has fallen as any other   |
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from migctl.events import Position
from migctl.transports.protocol import TransportName
from migctl.transports.wire import GATEWAY_HEARTBEAT_S, silence_s

# Who waits for two seconds has missed one: before that the other transport has to be joined. A killed worker is back sooner.
GONE_S = 1.5
HOLD_S = 10.0
# How soon it is decided again while a transport is on its way back, and while one is moved to.
PROOF_EVERY_S = 0.25
MOVE_EVERY_S = 0.05

_OTHER: dict[TransportName, TransportName] = {"websocket": "realtime", "realtime": "websocket"}


class Observed(msgspec.Struct, frozen=True):
    """One transport, as its reader observes it.

    up: connected. since: when that began, or when it was lost; a connection that went silent was lost when it was last heard.
    heard_at: when anything came over it the last time; None where nothing ever did. silence_s: how long nothing may be heard.
    carries: False for a standby socket, by which the gateway is observed, and which brings no event.
    """

    up: bool
    since: float
    heard_at: float | None = None
    silence_s: float = silence_s(GATEWAY_HEARTBEAT_S)
    carries: bool = True

    @property
    def proven(self) -> bool:
        """It brings events, and something came over this very connection."""
        return self.carries and self.up and self.heard_at is not None and self.heard_at >= self.since


class Reach(msgspec.Struct, frozen=True):
    """How far the run is. top: all up to here is here; None before the start. known: the highest seq of that epoch heard of.

    owes: what nobody told of was not asked for since a connection is new.
    """

    top: Position | None
    known: int = 0
    owes: bool = False

    def goal(self) -> Position | None:
        """Where it is once all is here that is known now; None before the start."""
        if self.top is None:
            return None
        return Position(self.top.epoch, max(self.known, self.top.seq))

    def past(self, goal: Position) -> bool:
        """All of that is here; of an epoch that was left nothing is missing."""
        return self.top is not None and (self.top.epoch != goal.epoch or self.top.seq >= goal.seq)


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
        self._called_away = False  # from Realtime, by the server's last word
        self._rejoin_at = float("-inf")
        self._failed_at = float("-inf")
        self._well_since: float | None = None
        self._goal: Position | None = None
        self.moving = False
        self.fallen = False
        self.falls = 0

    @property
    def can_fall_back(self) -> bool:
        """There is another transport for a subscriber with this assignment."""
        return self._can_fall_back and (self.to_realtime or self.assigned == "realtime")

    @property
    def _sent_away(self) -> bool:
        return self._called_away and self.assigned == "realtime"

    def assign(self, assigned: TransportName) -> None:
        """The assignment is this one now. The transport so far is left once the new one has caught up."""
        if assigned == self.assigned:
            return
        self.assigned = assigned
        self._rejoin_at, self._well_since, self._goal = float("-inf"), None, None
        self.moving, self.fallen = True, False

    def redirect(self, to: TransportName, now: float, *, jitter_s: float = 0.0) -> None:
        """The server sends those who are assigned Realtime there. jitter_s: how long to wait before going back to it."""
        away = to == "websocket"
        if self._sent_away and not away:
            self._rejoin_at = now + jitter_s
        self._called_away = away

    def decide(self, now: float, observed: Mapping[TransportName, Observed], reach: Reach) -> Wanted:
        """What to be attached to, now that the transports look like this, and the run is so far."""
        other = _OTHER[self.assigned]
        if self._sent_away and not observed[other].up and now - observed[other].since >= self._gone_s:
            # Who sent for us is gone too, and can't say when it is over.
            self._called_away = False
        mine = observed[self.assigned]
        is_moving = self.moving and not (self._sent_away and self.can_fall_back)
        if is_moving and (both := self._move(now, mine, reach)) is not None:
            return both
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

    def _move(self, now: float, mine: Observed, reach: Reach) -> Wanted | None:
        """What the move wants; None once it is over."""
        other = _OTHER[self.assigned]
        if self._sent_away:
            return Wanted(frozenset((other,)), now + PROOF_EVERY_S)
        if not mine.proven:
            self._goal = None
        elif self._goal is None and not (reach.owes and self.assigned == "realtime"):
            # A socket says in its hello how far the journal is; of Realtime that has to be asked.
            self._goal = reach.goal()
        if self._goal is not None and reach.past(self._goal):
            self.moving, self._goal = False, None
            return None
        alone = self._called_away and now < self._fails_at(mine)
        return Wanted(frozenset((self.assigned,) if alone else (self.assigned, other)), now + MOVE_EVERY_S)

    def _fails_at(self, mine: Observed) -> float:
        """When the assigned transport counts as failed, if nothing changes."""
        if not mine.up:
            return mine.since + self._gone_s
        return max(mine.since, mine.heard_at or mine.since) + mine.silence_s

    def _has_failed(self, mine: Observed, now: float) -> bool:
        return self._sent_away or now >= self._fails_at(mine)

    def _fall(self, now: float) -> None:
        self.falls += not self.fallen
        self.fallen, self.moving = True, False
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
