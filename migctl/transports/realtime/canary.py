"""Canary: a message of our own that goes through Realtime the way hints go, and must be seen by a subscriber of ours.

Health is what the canary says: a socket that is open, and a message that was acknowledged, prove nothing of what subscribers get.
It has the breaker of broadcast: silence opens it, and a canary that is seen while it is half-open closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal
from uuid import uuid4

from migctl import clock
from migctl.config import Settings, Target
from migctl.errors import Systemic, Transient
from migctl.events.jsontext import dumps
from migctl.resilience import Backoff, Breaker, BreakerChange, BreakerRules, BreakerStatus
from migctl.status import CanaryStatus
from migctl.target.tokens import SENDER_TTL_S, mint
from migctl.telemetry import get_logger
from migctl.transports.realtime.cadence import Pace
from migctl.transports.realtime.channel import RateLimited, joined

EVENT = "canary"
LOOK_S = 0.1
# Before the first canary was ever seen: sockets, joins, and on a hosted project a tenant that is only just started.
FIRST_S = 5.0
# So many refusals for the rate within a minute, each after a longer pause, are no peak.
REFUSALS = 3
_DO = "nothing: a canary is tried again; if it stays so, see the project's Realtime logs, and `migctl schema verify --delivery`"

_log = get_logger("broadcast")


class Watch:
    """When the canary counts as silent. Pure: times are monotonic seconds.

    every_s: how often one is sent. silent_s: none seen for so long is silence.
    Only what was sent can be missed, and only while somebody looks: a process that was stopped has heard nothing, and so it
    knows nothing.
    """

    def __init__(self, *, every_s: float, silent_s: float, first_s: float) -> None:
        self._every_s = every_s
        self._silent_s = silent_s
        self._allowed_s = first_s
        self._number = 0
        self._sent: dict[int, float] = {}
        self._since: float | None = None  # from when on one is missing
        self._seen_at = float("-inf")
        self._looked_at: float | None = None

    def sent(self, now: float) -> int:
        """One goes now, or should: where there is no way to send it, it is missed all the same. Returns its number."""
        self._number += 1
        self._sent[self._number] = now
        if self._since is None:
            self._since = max(now - self._every_s, self._seen_at) if self._has_seen else now
        return self._number

    def seen(self, number: int, now: float) -> float | None:
        """This one was seen; how long it took, in seconds. None for one that is not waited for (any more)."""
        at = self._sent.get(number)
        if at is None:
            return None
        self._sent = {later: when for later, when in self._sent.items() if later > number}
        self._since = now if self._sent else None
        self._seen_at, self._allowed_s = now, self._silent_s
        return now - at

    def silent(self, now: float) -> bool:
        """To be asked every LOOK_S."""
        gap = 0.0 if self._looked_at is None else now - self._looked_at
        self._looked_at = now
        if self._since is None:
            return False
        if gap > 3 * LOOK_S:
            self._since += gap - LOOK_S
        return now - self._since >= self._allowed_s

    def restart(self) -> None:
        """Wait only for what is sent from now on."""
        self._sent, self._since, self._allowed_s = {}, None, self._silent_s
        self._seen_at = float("-inf")

    @property
    def _has_seen(self) -> bool:
        return self._seen_at > float("-inf")


class Canary:
    """`run` until cancelled. `breaker` is broadcast's.

    topic: the canary's own. send: hands a payload over the way hints go. position: the seq that log lines speak of.
    changed: called when the breaker has changed; reached: each time a subscriber's way is open anew.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings,
        topic: str,
        *,
        send: Callable[[bytes], Awaitable[bool]],
        pace: Pace,
        position: Callable[[], int],
        changed: Callable[[], None],
        reached: Callable[[], None],
        random: Callable[[], float],
    ) -> None:
        of, rules = settings.resilience, settings.resilience.breaker
        self._target = target
        self._topic = topic
        self._send = send
        self._pace = pace
        self._position = position
        self._changed = changed
        self._reached = reached
        self._random = random
        self._every_s, self._silent_s = of.canary.every_s, of.canary.silent_s
        self._backoff = Backoff(of.retry.first_delay_s, of.retry.max_delay_s)
        self._watch = Watch(every_s=self._every_s, silent_s=self._silent_s, first_s=FIRST_S)
        self._id = str(uuid4())  # another serve on the same target has a canary of its own on this topic
        self._role: Literal["authenticated", "service_role"] = (
            "authenticated" if target.jwt_secret else "service_role"
        )
        self._renew = asyncio.Event()
        self._refusals = 0
        self._listening = False
        self._trouble: str | None = None
        self._do: str | None = None
        self._sent = self._seen = 0
        self._last_ms: float | None = None
        self.breaker = Breaker(BreakerRules(**rules.model_dump()), self._tell)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="canary listener")
            group.create_task(self._fly(), name="canary sender")
            group.create_task(self._look(), name="canary look")

    def failed(self, reason: str) -> None:
        """Nothing could be handed over to Realtime. What a trial is worth, only the canary itself says."""
        if self.breaker.state == "closed":
            self.breaker.failed(clock.mono(), reason)

    def hurry(self) -> None:
        """The way to Realtime is open again: where the breaker is open, a canary may go now."""
        self.breaker.hurry(clock.mono())

    def status(self) -> CanaryStatus:
        """For `/api/status`."""
        return CanaryStatus(
            state="listening" if self._listening else "connecting",
            reason=self._trouble,
            role=self._role,
            sent=self._sent,
            seen=self._seen,
            last_ms=self._last_ms,
        )

    def breaker_status(self) -> BreakerStatus:
        """For `/api/status`."""
        return self.breaker.status(self._do or _DO, now=clock.mono(), wall=clock.now())

    # Sending and hearing

    async def _fly(self) -> None:
        while True:
            started = clock.mono()
            if self._pace.pause_s(started) == 0 and self._may_go(started):
                number = self._watch.sent(started)
                self._pace.book(started, receivers=1)
                self._sent += await self._send(dumps({"from": self._id, "n": number}))
            await asyncio.sleep(max(0.0, started + self._every_s - clock.mono()))

    def _may_go(self, now: float) -> bool:
        """One trial lasts until a canary is seen, or is missed; within it they go as often as ever."""
        if self.breaker.state == "open":
            if not self.breaker.begin(now):
                return False
            self._watch.restart()
        return True

    def _heard(self, event: str, payload: dict[str, Any]) -> None:
        number = payload.get("n")
        if event != EVENT or payload.get("from") != self._id or not isinstance(number, int):
            return
        now = clock.mono()
        took_s = self._watch.seen(number, now)
        if took_s is None:
            return
        self._seen += 1
        self._last_ms = round(took_s * 1000, 1)
        if self.breaker.state != "open":
            self.breaker.succeeded(now)

    async def _listen(self) -> None:
        failures = 0
        while True:
            seen = self._seen
            delay_s = 0.0
            self._renew.clear()
            try:
                async with joined(
                    self._target.supabase_url,
                    apikey=self._target.anon_key or self._target.need("service_role_key"),
                    topics=[self._topic],
                    token=self._token,
                    heard=self._heard,
                ):
                    self._listening, self._trouble, self._do = True, None, None
                    await self._renew.wait()
            except (Transient, Systemic) as error:
                failures = 1 if self._seen > seen else failures + 1
                self._lost(error)
                delay_s = self._backoff.delay_s(failures, self._random)
                if isinstance(error, RateLimited):
                    delay_s = max(delay_s, self._every_s)
            finally:
                self._listening = False
            await asyncio.sleep(delay_s)

    def _token(self) -> str:
        secret = self._target.jwt_secret
        return mint(secret, self._role, SENDER_TTL_S) if secret else self._target.need("service_role_key")

    def _lost(self, error: Transient | Systemic) -> None:
        if error.what != self._trouble:  # once per change
            _log.warning(
                "canary not listening",
                topic=self._topic,
                seq=self._position(),
                reason=error.what,
                do=error.do,
            )
        self._trouble, self._do = error.what, error.do
        if isinstance(error, RateLimited):
            self._pace.refused(clock.mono())
        self.failed(error.what)

    # Judging

    async def _look(self) -> None:
        while True:
            now = clock.mono()
            if self._watch.silent(now):
                self._miss(now)
            if self._pace.limited != self._refusals:
                self._refusals = self._pace.limited
                if self._pace.halvings(now) >= REFUSALS and self.breaker.state == "closed":
                    self.breaker.trip(now, f"Realtime refuses for the rate, {REFUSALS} times in a minute")
            await asyncio.sleep(LOOK_S)

    def _miss(self, now: float) -> None:
        self._watch.restart()
        reason = f"no canary seen for {self._silent_s:g} s" + (f": {self._trouble}" if self._trouble else "")
        if self.breaker.state == "half_open":
            self.breaker.failed(now, reason)
        elif self.breaker.state == "closed":
            self.breaker.trip(now, reason)
        if self._listening:
            self._renew.set()  # a socket that went silent says nothing of itself

    def _tell(self, change: BreakerChange) -> None:
        what = f"broadcast breaker {change.after.replace('_', '-')}"
        if change.after == "open" and change.before == "closed":
            _log.warning(what, seq=self._position(), reason=change.reason)
        else:
            _log.info(what, seq=self._position(), reason=change.reason)
        self._changed()
