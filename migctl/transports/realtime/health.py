"""Health: whether subscribers of Realtime get what is sent, as far as a canary can say. Pure: given times, in monotonic seconds.

A socket that is open, and a message that was acknowledged, prove nothing of what subscribers get. So health has the breaker of
broadcast, and the canary its last word: silence opens it, and a canary that arrives during a trial closes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from migctl.resilience import Breaker, BreakerChange, BreakerRules, BreakerState, BreakerStatus

PROBE_S = 0.1
# Before the first canary ever arrived: sockets, joins, and on a hosted project a tenant that is only just started.
FIRST_S = 5.0
# With postgres_changes a canary may take that much longer: an idle server reads its slot every 0.5 s and answers the touch and the
# policies before and after. The first one also waits for the subscription, which takes one to three seconds.
CHANGES_TAKE_S = 1.0
CHANGES_FIRST_S = FIRST_S + 3.0
# So many refusals for the rate within a minute, each after a longer pause, are no peak.
REFUSALS = 3


class Silence:
    """When the canary counts as silent.

    every_s: how often one is sent. silent_s: none arrived for so long is silence; first_s: the same before the first one.
    Only what was sent can be missed, and only while somebody probes: a process that was stopped has heard nothing, and so it
    knows nothing.
    """

    def __init__(self, *, every_s: float, silent_s: float, first_s: float) -> None:
        self._every_s = every_s
        self._silent_s = silent_s
        self._allowed_s = first_s
        self._number = 0
        self._sent: dict[int, float] = {}
        self._since: float | None = None  # from when on one is missing
        self._arrived_at = float("-inf")
        self._probed_at: float | None = None

    def follow(self, *, every_s: float, silent_s: float) -> None:
        """By these from the next one on; until one arrived, the first is waited for as before."""
        if self._allowed_s == self._silent_s:
            self._allowed_s = silent_s
        self._every_s, self._silent_s = every_s, silent_s

    def sent(self, now: float) -> int:
        """One goes now, or should: where there is no way to send it, it is missed all the same. Returns its number."""
        self._number += 1
        self._sent[self._number] = now
        if self._since is None:
            self._since = max(now - self._every_s, self._arrived_at) if self._has_arrived else now
        return self._number

    def arrived(self, number: int, now: float) -> float | None:
        """This one arrived; how long it took, in seconds. None for one that is not awaited (any more)."""
        at = self._sent.get(number)
        if at is None:
            return None
        self._sent = {later: when for later, when in self._sent.items() if later > number}
        self._since = now if self._sent else None
        self._arrived_at, self._allowed_s = now, self._silent_s
        return now - at

    def probe(self, now: float) -> bool:
        """Whether it is silent. To be asked every PROBE_S."""
        gap = 0.0 if self._probed_at is None else now - self._probed_at
        self._probed_at = now
        if self._since is None:
            return False
        if gap > 3 * PROBE_S:
            self._since += gap - PROBE_S
        return now - self._since >= self._allowed_s

    def restart(self) -> None:
        """Await only what is sent from now on."""
        self._sent, self._since, self._allowed_s = {}, None, self._silent_s
        self._arrived_at = float("-inf")

    @property
    def _has_arrived(self) -> bool:
        return self._arrived_at > float("-inf")


class Health:
    """The breaker of broadcast, and what moves it.

    | input                | closed                  | open                             | half_open                |
    |----------------------|-------------------------|----------------------------------|--------------------------|
    | `due`                | goes                    | waits; at its time a trial (1)   | goes                     |
    | `arrived`, awaited   | failures in a row end   | stays: the trial decides         | closed                   |
    | `arrived`, other     | stays                   | stays                            | stays                    |
    | `probe`, silent      | open, new socket        | stays, new socket                | open (2), new socket     |
    | `probe`, not silent  | stays                   | stays                            | stays                    |
    | `failed`             | counts (3)              | stays                            | stays: a canary decides  |
    | `refused`, often     | open                    | stays                            | stays                    |
    | `refused`, seldom    | stays                   | stays                            | stays                    |
    | `reached`            | stays                   | stays, the trial may go at once  | stays                    |

    1: half_open; it goes, and only what goes from now on is awaited. 2: for twice as long. 3: and opens where the rules say so.
    A canary that was missed is awaited no more: what arrives of it later is another one. changed: called after each change.
    """

    def __init__(
        self,
        rules: BreakerRules,
        *,
        every_s: float,
        silent_s: float,
        first_s: float = FIRST_S,
        changed: Callable[[BreakerChange], None] = lambda _: None,
    ) -> None:
        self._silent_s = silent_s
        self._silence = Silence(every_s=every_s, silent_s=silent_s, first_s=first_s)
        self._breaker = Breaker(rules, changed)

    def follow(self, rules: BreakerRules, *, every_s: float, silent_s: float) -> None:
        """Go by these from now on."""
        self._breaker.follow(rules)
        self._silent_s = silent_s
        self._silence.follow(every_s=every_s, silent_s=silent_s)

    @property
    def state(self) -> BreakerState:
        return self._breaker.state

    @property
    def reason(self) -> str | None:
        return self._breaker.reason

    def status(self, do: str | None, *, now: float, wall: datetime) -> BreakerStatus:
        """As `Breaker.status`."""
        return self._breaker.status(do, now=now, wall=wall)

    def due(self, now: float) -> int | None:
        """A canary's turn, every `every_s`: its number where it goes now. One trial lasts until one arrives, or is missed."""
        if self.state == "open":
            if not self._breaker.begin(now):
                return None
            self._silence.restart()
        return self._silence.sent(now)

    def arrived(self, number: int, now: float) -> float | None:
        """A subscriber got this one; how long it took, in seconds. None for one that is not awaited."""
        took_s = self._silence.arrived(number, now)
        if took_s is not None and self.state != "open":
            self._breaker.succeeded(now)
        return took_s

    def probe(self, now: float, *, by: Sequence[str] = (), trouble: str | None = None) -> bool:
        """True where silence begins: who listens needs a new socket, since one that went silent says nothing of itself.

        To be asked every PROBE_S. by: the ways that are silent, trouble: what is known to be wrong with them; for the reason.
        """
        if not self._silence.probe(now):
            return False
        self._silence.restart()
        ways = f" by {' and '.join(by)}" if by else ""
        reason = f"no canary seen{ways} for {self._silent_s:g} s" + (f": {trouble}" if trouble else "")
        if self.state == "half_open":
            self._breaker.failed(now, reason)
        elif self.state == "closed":
            self._breaker.trip(now, reason)
        return True

    def failed(self, now: float, reason: str) -> None:
        """Nothing could be handed over, or the canary's subscriber was lost. What a trial is worth, only a canary says."""
        if self.state == "closed":
            self._breaker.failed(now, reason)

    def refused(self, now: float, times: int) -> None:
        """Realtime refused for the rate, by now so many times in a minute."""
        if times >= REFUSALS and self.state == "closed":
            self._breaker.trip(now, f"Realtime refuses for the rate, {REFUSALS} times in a minute")

    def reached(self, now: float) -> None:
        """A way to Realtime is open again: where the breaker is open, a canary may go now."""
        self._breaker.hurry(now)
