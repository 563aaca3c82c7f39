"""Repair: when to probe for what is missing, and when nothing seems to be. Pure: time and randomness are passed in.

A probe asks whoever has the events: for what is known to be missing, or to the end, also for what nobody has told of. `decide`:

| what is known                              | before its time                                            | from then on       |
|--------------------------------------------|------------------------------------------------------------|--------------------|
| nothing is missing                         | wait, until `poll_every_s` after the last one to the end   | probe to the end   |
| a gap, which wants repair from `gap_at` on | wait, until `gap_at` and the pause since the last are over | probe for the gap  |
| a probe to the end is owed                 | wait, until the pause since the last probe is over         | probe to the end   |

A gap may wait until a poll is due, but no longer; that one is to the end, then. It is owed at first, after `demand`, and as long as
one to the end has not been answered. The pause after a probe:

| the probe was                | nothing missing or owed | still missing, came forward | still missing, did not |
|------------------------------|-------------------------|-----------------------------|------------------------|
| answered                     | none                    | the first                   | twice the one before   |
| refused, or nobody was there | none                    | (nothing came)              | twice the one before   |

`demand` (a connection is new, and what came before it may be missing) ends every pause.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from migctl.resilience import Backoff
from migctl.transports.protocol import TransportName

POLL_HEALTHY_S = 30.0
POLL_UNHEALTHY_S = 2.0
PROBE_BEHIND = Backoff(0.25, 2.0)


def poll_every_s(attached: Collection[TransportName], *, gateway_returns: bool = False) -> float:
    """How long to leave a probe to the end when nothing is known to be missing.

    | attached                   | seconds                                                              |
    |----------------------------|----------------------------------------------------------------------|
    | the WebSocket, alone or no | never: it says itself how far the journal is                         |
    | Realtime                   | POLL_HEALTHY_S                                                       |
    | nothing                    | POLL_UNHEALTHY_S; never with `gateway_returns`: it will say it again |
    """
    if "websocket" in attached or (not attached and gateway_returns):
        return float("inf")
    return POLL_HEALTHY_S if attached else POLL_UNHEALTHY_S


class Probe(msgspec.Struct, frozen=True):
    """Ask now. to_the_end: past what is known to be missing."""

    to_the_end: bool


class Wait(msgspec.Struct, frozen=True):
    """Nothing is due before this time, if nothing changes; infinity waits for a change."""

    until: float


class Repair:
    """The state of one reader. random: uniform in [0, 1); a pause lies between a half and all of its bound."""

    def __init__(self, now: float, random: Callable[[], float], *, backoff: Backoff = PROBE_BEHIND) -> None:
        self._random = random
        self._backoff = backoff
        self._demanded = False
        self._owed = True
        self._failures = 0
        self._polled_at = now
        self._pause_until = float("-inf")

    @property
    def owes(self) -> bool:
        """A connection is new, or the time has come, and what nobody told of was not asked for yet."""
        return self._demanded or self._owed

    def demand(self) -> None:
        """Ask at once, to the end; also where a probe is on its way, which may have passed what this is about."""
        self._demanded = True

    def decide(self, now: float, *, gap_at: float | None, poll_every_s: float) -> Probe | Wait:
        """gap_at: of Merge, None where nothing is known to be missing. What is answered with Probe is then under way."""
        if self._demanded:
            self._demanded, self._owed, self._failures = False, True, 0
            self._pause_until = float("-inf")
        poll_at = self._polled_at + poll_every_s
        due = poll_at
        if self._owed:
            # Also once a poll is due: it is what is owed, and where it is refused at once nothing else would keep them apart.
            due = self._pause_until
        elif gap_at is not None:
            due = min(due, max(gap_at, self._pause_until))
        if now < due:
            return Wait(due)
        self._owed = self._owed or now >= poll_at
        return Probe(self._owed)

    def answered(self, now: float, probe: Probe, *, came_forward: bool, behind: bool) -> None:
        """The probe went through. came_forward: the reader has more than before. behind: of Merge, as it is now."""
        if probe.to_the_end:
            self._owed, self._polled_at = False, now
        self._pause(now, behind=behind, came_forward=came_forward)

    def failed(self, now: float, *, behind: bool) -> None:
        """Nobody answered, or the answer was a refusal: what was owed is owed still."""
        self._pause(now, behind=behind, came_forward=False)

    def _pause(self, now: float, *, behind: bool, came_forward: bool) -> None:
        # Still behind: what is missing is not there yet, so the next probe waits.
        if not (self._owed or behind):
            self._failures = 0
        else:
            self._failures = 1 if came_forward else self._failures + 1
        pause_s = (
            self._backoff.bound_s(self._failures) * (0.5 + self._random() / 2) if self._failures else 0.0
        )
        self._pause_until = now + pause_s
