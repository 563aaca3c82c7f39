"""Attempts: one request tried until it goes through, with the state that an operator sees and one log line a change.

What the error says decides: transient is retried soon, systemic slowly and loudly; poison and refusals are the caller's. All who
use one dependency share its breaker: while that is open nothing is sent, and one of them makes the trial.

Only a transient failure counts against the dependency. Whatever it refuses (a key, a missing table, a value), it answered: then
asking less often is what `systemic_retry` is for, and heads may go on where only the events table is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal, TypeVar

from migctl import clock
from migctl.config.settings import ResilienceSection
from migctl.errors import MigctlError, Systemic, Transient
from migctl.events import format_time
from migctl.resilience import Backoff, Breaker, BreakerChange, BreakerRules, Leave
from migctl.telemetry import get_logger

T = TypeVar("T")

State = Literal["running", "connecting", "retrying", "paused"]
STATES: tuple[State, ...] = ("running", "connecting", "retrying", "paused")  # from good to bad

# A trial that has no answer after this time may be on a connection that leads nowhere any more.
HANGS_S = 0.5

_log = get_logger("relay")


class SharedBreaker:
    """The breaker of a dependency for all who use it: lets their requests through, or has them wait.

    part: what is reached, as logs call it ("table"). position: what a log line says of where the work stands.
    """

    def __init__(
        self, part: str, rules: BreakerRules, position: Callable[[], Mapping[str, Any]] = lambda: {}
    ) -> None:
        self._part = part
        self._position = position
        self._breaker = Breaker(rules, self._tell)
        self._news = asyncio.Event()
        self._do: str | None = None
        self._trial: tuple[asyncio.Timeout, float] | None = None  # the trial that is out, and since when

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Around one request: waits until it may go, and hears what became of it from what the block raises."""
        leave = await self._leave()
        if self._breaker.state == "closed":
            async with self._judged(leave):
                yield
            return
        limit = asyncio.timeout(None)
        try:
            async with limit, self._judged(leave):
                self._trial = limit, clock.mono()
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise Transient(
                f"{self._part}: a trial request was given up: it hung, and others get through",
                do="nothing: it is tried again at once",
            ) from error
        finally:
            self._trial = None

    def hurry(self) -> None:
        """Something else got through to the same place: try now. A trial that hangs since before is given up for a new one."""
        now = clock.mono()
        self._breaker.hurry(now)
        if self._trial is not None and now - self._trial[1] >= HANGS_S:
            self._trial[0].reschedule(asyncio.get_running_loop().time())
        self._tell_waiting()

    @asynccontextmanager
    async def _judged(self, leave: Leave) -> AsyncIterator[None]:
        try:
            yield
        except Transient as error:
            self._do = error.do
            self._breaker.failed(clock.mono(), error.what, leave)
            raise
        except MigctlError:
            self._breaker.succeeded(clock.mono(), leave)
            raise
        except BaseException:
            self._breaker.gave_up(clock.mono(), leave)
            raise
        else:
            self._breaker.succeeded(clock.mono(), leave)

    async def pause(self, delay_s: float) -> None:
        """Wait between two attempts. While open there is no wait but the breaker's own, and what changes it ends this one."""
        if self._breaker.state == "closed":
            await self._hear(delay_s)

    def status(self) -> dict[str, Any]:
        """For `/api/status`. since: of the last change; opened: how often; next_trial_in_s: None but while open."""
        breaker, now = self._breaker, clock.mono()
        closed = breaker.state == "closed"
        return {
            "state": breaker.state,
            "since": None if breaker.since is None else _wall(breaker.since),
            "reason": None if closed else breaker.reason,
            "do": None if closed else self._do,
            "opened": breaker.opened,
            "next_trial_in_s": round(breaker.wait_s(now), 3) if breaker.state == "open" else None,
        }

    async def _leave(self) -> Leave:
        while (leave := self._breaker.begin(clock.mono())) is None:
            await self._hear(self._breaker.wait_s(clock.mono()))
        return leave

    async def _hear(self, within_s: float) -> None:
        """Return when there is news of the breaker, or this time has passed."""
        try:
            async with asyncio.timeout(None if within_s == float("inf") else within_s):
                await self._news.wait()
        except TimeoutError:
            pass

    def _tell_waiting(self) -> None:
        """Wake who waits now, and only them."""
        self._news.set()
        self._news = asyncio.Event()

    def _tell(self, change: BreakerChange) -> None:
        self._tell_waiting()
        what, where = f"{self._part} breaker {change.after.replace('_', '-')}", dict(self._position())
        if change.after == "closed":
            _log.info(what, **where)
        elif change.after == "half_open":
            _log.info(what, doing="one trial request", **where)
        else:
            where["next_trial_in_s"] = round(self._breaker.wait_s(change.at), 3)
            tell = _log.warning if change.before == "closed" else _log.info
            tell(what, reason=change.reason, do=self._do, **where)


class Attempts:
    """what: the thing that is asked, as logs call it ("table", "heads"). random: uniform in [0, 1)."""

    def __init__(
        self,
        what: str,
        breaker: SharedBreaker,
        resilience: ResilienceSection,
        random: Callable[[], float],
        position: Callable[[], Mapping[str, Any]] = lambda: {},
    ) -> None:
        self.state: State = "connecting"
        self.reason: str | None = None
        self.do: str | None = None
        self.attempts = 0
        self.retries = 0
        self._what = what
        self._breaker = breaker
        retry, systemic = resilience.retry, resilience.systemic_retry
        self._transient = Backoff(retry.first_delay_s, retry.max_delay_s)
        self._systemic = Backoff(systemic.first_delay_s, systemic.max_delay_s)
        self._random = random
        self._position = position
        self._since = clock.mono()  # of the last change
        self._failing_since = self._since

    async def until_done(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of `call`, made anew for each attempt. Its Transient and Systemic errors are not seen by the caller."""
        failures = 0
        while True:
            try:
                async with self._breaker.request():
                    self.attempts += 1
                    result = await call()
            except Transient as error:
                failures += 1
                self.retries += 1
                self.fail("retrying", error.what, error.do)
                await self._breaker.pause(self._transient.delay_s(failures, self._random))
            except Systemic as error:
                failures += 1
                self.retries += 1
                self.fail("paused", error.what, error.do)
                await asyncio.sleep(self._systemic.delay_s(failures, self._random))
            else:
                self._recover()
                return result

    def fail(self, state: State, reason: str, do: str) -> None:
        """Take this state; logged once per change, not per attempt."""
        if self.state in ("running", "connecting"):
            self._failing_since = clock.mono()
        # The same trouble with other seqs is the same trouble: a batch that waits grows, and its text with it.
        if state != self.state:
            tell = _log.error if state == "paused" else _log.warning
            tell(f"{self._what} {state}", reason=reason, do=do, **self._position())
            self._since = clock.mono()
        self.state, self.reason, self.do = state, reason, do

    def systemic_delay_s(self, failures: int) -> float:
        """How long to wait after so many refusals in a row that are nobody's in particular."""
        return self._systemic.delay_s(failures, self._random)

    def status(self) -> dict[str, Any]:
        """For `/api/status`."""
        return {
            "state": self.state,
            "since": _wall(self._since),
            "reason": self.reason,
            "do": self.do,
            "attempts": self.attempts,
            "retries": self.retries,
        }

    def _recover(self) -> None:
        if self.state != "running":
            if self.state != "connecting":
                after_s = round(clock.mono() - self._failing_since, 3)
                _log.info(f"{self._what} reached again", after_s=after_s, **self._position())
            self._since = clock.mono()
        self.state, self.reason, self.do = "running", None, None


def _wall(mono: float) -> str:
    """The wall clock's time of a moment of the monotonic one."""
    return format_time(clock.now() - timedelta(seconds=clock.mono() - mono))
