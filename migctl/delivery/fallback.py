"""Fallback: when subscribers on Realtime are sent to the gateway, and when they may go back. No operator is asked.

They are sent at once when a breaker opens, of the table or of broadcast. They go back when both are closed, the table has caught
up, and heads say so. A Realtime that fails again soon after has to be well for longer each time before anybody is sent back to it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from migctl import clock
from migctl.config import Settings
from migctl.journal import Log
from migctl.status import BreakersStatus, FallbackStatus
from migctl.transports.protocol import TransportName

EVERY_S = 0.1
_MOST_SAMPLES = 100


@dataclass(frozen=True, slots=True)
class Health:
    """Realtime as the rule sees it. backlog: rule 4 of batches. lag_s: of heads.

    withheld: why it gets no live events though nothing is broken; None where it gets them.
    """

    breakers: BreakersStatus
    backlog: bool
    lag_s: float
    withheld: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Subscribers are to go there."""

    to: TransportName
    reason: str


class FallbackRule:
    """Pure: times are monotonic seconds, and a step is to be taken every now and then.

    max_lag_s: heads must be behind by less. hold_s: a failure within this time after a return makes the next return slower, and no
    return is asked to prove itself for longer. min_away_s: nobody is sent there and back within it.

    "Well": each breaker is closed, nothing is withheld, no backlog, and heads are behind by less than `max_lag_s`.

    | active | health                                                    | move         | afterwards                           |
    |--------|-----------------------------------------------------------|--------------|--------------------------------------|
    | no     | live events are withheld from it                          | to websocket | active, to prove nothing, or as below |
    | no     | no breaker is open: well, half-open, backlog, lag         | none         | as before                            |
    | no     | one is open, `hold_s` after a return, or there was none   | to websocket | active, to prove nothing             |
    | no     | one is open, sooner                                       | to websocket | active, to prove twice as much (note) |
    | yes    | not well                                                  | none         | what was proven is forgotten         |
    | yes    | well, for less than is to be proven                       | none         | as before                            |
    | yes    | well for long enough, away for less than `min_away_s`     | none         | as before                            |
    | yes    | well for long enough, away for long enough                | to realtime  | not active                           |

    (note) at least `min_away_s`, at most `hold_s`.
    """

    def __init__(self, *, max_lag_s: float, hold_s: float, min_away_s: float = 1.0) -> None:
        self._max_lag_s = max_lag_s
        self._hold_s = hold_s
        self._min_away_s = min_away_s
        self._proof_s = 0.0
        self._fell_at = float("-inf")
        self._returned_at = float("-inf")
        self._well_since: float | None = None
        self.active = False

    def follow(self, *, max_lag_s: float, hold_s: float, min_away_s: float) -> None:
        """Other bounds from the next step on."""
        self._max_lag_s, self._hold_s, self._min_away_s = max_lag_s, hold_s, min_away_s

    def step(self, now: float, health: Health) -> Move | None:
        """The move that is due now, to be announced once."""
        if not self.active:
            broken = [(part, of.reason) for part, of in health.breakers.parts() if of.state == "open"]
            if broken:
                part, why = broken[0]
                return self._fall(now, f"the breaker of {part} is open" + (f": {why}" if why else ""))
            return self._fall(now, health.withheld) if health.withheld is not None else None
        closed = all(of.state == "closed" for _, of in health.breakers.parts())
        if not closed or health.withheld is not None or health.backlog or health.lag_s >= self._max_lag_s:
            self._well_since = None
            return None
        if self._well_since is None:
            self._well_since = now
        if now - self._well_since < self._proof_s or now - self._fell_at < self._min_away_s:
            return None
        self.active, self._returned_at = False, now
        return Move("realtime", "breakers are closed, and the table has caught up")

    def _fall(self, now: float, reason: str) -> Move:
        soon = now - self._returned_at < self._hold_s
        self._proof_s = min(self._hold_s, max(self._min_away_s, 2 * self._proof_s)) if soon else 0.0
        self.active, self._fell_at, self._well_since = True, now, None
        return Move("websocket", reason)


class Lag:
    """How long ago the journal had what heads don't announce yet. Pure; as fine as it is sampled, and never too low by more.

    | journal head          | announced head                  | the lag                                                     |
    |-----------------------|---------------------------------|-------------------------------------------------------------|
    | as before, or higher  | below it                        | since the lowest head that is not announced was first sampled |
    | as before, or higher  | at it                           | 0                                                           |
    | lower: a new epoch    | below it                        | 0, and since now                                            |
    | lower: a new epoch    | at it                           | 0                                                           |
    """

    def __init__(self) -> None:
        self._heads: deque[tuple[float, int]] = deque()  # (when it was first sampled, journal head)

    def sample(self, now: float, journal_head: int, announced_head: int) -> float:
        """Seconds; 0 where heads announce everything. Both heads are of the open epoch."""
        heads = self._heads
        if heads and journal_head < heads[-1][1]:  # a new epoch
            heads.clear()
        if not heads or journal_head > heads[-1][1]:
            if len(heads) == _MOST_SAMPLES:  # rather too high than without a bound
                heads[-1] = (heads[-1][0], journal_head)
            else:
                heads.append((now, journal_head))
        while heads and heads[0][1] <= announced_head:
            heads.popleft()
        return now - heads[0][0] if heads else 0.0


def spread_s(subscribers: int, *, returns_per_s: float, max_spread_s: float) -> float:
    """Within which time so many subscribers are to come back, each at random."""
    return min(max_spread_s, subscribers / returns_per_s)


class Announce(Protocol):
    def __call__(self, from_: str, to: str, reason: str, *, spread_s: float | None = None) -> None: ...


class Carried(Protocol):
    """What the rule has to know of the relay."""

    @property
    def announced_head(self) -> int: ...

    def in_backlog(self) -> bool: ...


class Fallback:
    """`run` until cancelled; only where there are both, Realtime and a gateway.

    breakers: as they are now. announce: of the gateway. listeners: how many hear it. withheld: as in Health.
    """

    def __init__(
        self,
        journal: Log,
        relay: Carried,
        breakers: Callable[[], BreakersStatus],
        announce: Announce,
        listeners: Callable[[], int],
        settings: Settings,
        *,
        withheld: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._withheld = withheld
        self._journal = journal
        self._relay = relay
        self._breakers = breakers
        self._announce = announce
        self._listeners = listeners
        self._settings = of = settings.fallback
        self._rule = FallbackRule(max_lag_s=of.max_lag_s, hold_s=of.hold_s, min_away_s=of.min_away_s)
        self._lag = Lag()
        self._lag_s = 0.0
        self._reason: str | None = None
        self._since: datetime | None = None
        self._times = 0

    def follow(self, settings: Settings) -> None:
        """Go by these from the next step on."""
        self._settings = of = settings.fallback
        self._rule.follow(max_lag_s=of.max_lag_s, hold_s=of.hold_s, min_away_s=of.min_away_s)

    @property
    def active(self) -> bool:
        """Realtime's subscribers are on the WebSocket."""
        return self._rule.active

    async def run(self) -> None:
        while True:
            self._step(clock.mono())
            await asyncio.sleep(EVERY_S)

    def status(self) -> FallbackStatus:
        return FallbackStatus(
            active=self._rule.active,
            reason=self._reason,
            since=self._since,
            times=self._times,
            heads_behind_s=round(self._lag_s, 3),
        )

    def _step(self, now: float) -> None:
        self._lag_s = self._lag.sample(now, self._journal.head, self._relay.announced_head)
        health = Health(self._breakers(), self._relay.in_backlog(), self._lag_s, self._withheld())
        move = self._rule.step(now, health)
        if move is None:
            return
        away = move.to == "websocket"
        self._times += away
        self._since, self._reason = clock.now(), move.reason if away else None
        if away:
            self._announce("realtime", "websocket", move.reason)
        else:
            of = self._settings
            within_s = spread_s(
                self._listeners(), returns_per_s=of.returns_per_s, max_spread_s=of.max_spread_s
            )
            self._announce("websocket", "realtime", move.reason, spread_s=within_s)
