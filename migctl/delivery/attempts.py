"""Attempts: one request tried until it goes through, with the state that an operator sees and one log line a change.

What the error says decides: transient is retried soon, systemic slowly and loudly; poison and refusals are the caller's. All who
use one dependency share its breaker: while that is open nothing is sent, and one of them makes the trial.

Only a transient failure counts against the dependency. Whatever it refuses (a key, a missing table, a value), it answered: then
asking less often is what `systemic_retry` is for, and heads may go on where only the events table is refused.

When the breaker opens is `Breaker`'s, how long to stay away is `Retry`'s, and what is worth a log line `Connection`'s: this module
has their clocks, their log and the waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Literal, TypeVar

from migctl import clock
from migctl.config.settings import ResilienceSection
from migctl.errors import MigctlError, Systemic, Transient
from migctl.resilience import (
    Backoff,
    Breaker,
    BreakerChange,
    BreakerRules,
    BreakerStatus,
    Connection,
    ConnectionState,
    Leave,
    News,
    Retry,
)
from migctl.status import RequestsStatus
from migctl.telemetry import get_logger

T = TypeVar("T")

# A trial that has no answer after this time may be on a connection that leads nowhere any more.
HANGS_S = 0.5

_log = get_logger("relay")


class SharedBreaker:
    """The breaker of a dependency for all who use it: lets their requests through, or has them wait.

    part: what is reached, as logs call it ("table"). position: what a log line says of where the work stands. hangs_s: a trial that
    took longer is given up at a sign of life.
    """

    def __init__(
        self,
        part: str,
        rules: BreakerRules,
        position: Callable[[], Mapping[str, object]] = lambda: {},
        *,
        hangs_s: float = HANGS_S,
    ) -> None:
        self._part = part
        self._position = position
        self._hangs_s = hangs_s
        self._breaker = Breaker(rules, self._changed)
        self._news = News()
        self._do: str | None = None
        self._trial: tuple[asyncio.Timeout, float] | None = None  # the trial that is out, and since when

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Around one request: waits until it may go, and judges it by what the block raises."""
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

    def follow(self, rules: BreakerRules) -> None:
        """Go by these rules from now on."""
        self._breaker.follow(rules)

    def hurry(self) -> None:
        """Something else got through to the same place: try now. A trial that hangs since before is given up for a new one."""
        now = clock.mono()
        self._breaker.hurry(now)
        if self._trial is not None and now - self._trial[1] >= self._hangs_s:
            self._trial[0].reschedule(asyncio.get_running_loop().time())
        self._news.wake()

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

    async def pause(self, retry: Retry) -> None:
        """Wait between two attempts. While open there is no wait but the breaker's own, and what changes it ends this one."""
        if self._breaker.state == "closed":
            await retry.wait(self._news)

    def status(self) -> BreakerStatus:
        """For `/api/status`."""
        return self._breaker.status(self._do, now=clock.mono(), wall=clock.now())

    async def _leave(self) -> Leave:
        while (leave := self._breaker.begin(clock.mono())) is None:
            await self._news.wait(self._breaker.wait_s(clock.mono()))
        return leave

    def _changed(self, change: BreakerChange) -> None:
        self._news.wake()
        what, where = f"{self._part} breaker {change.after.replace('_', '-')}", dict(self._position())
        if change.after == "closed":
            _log.info(what, **where)
        elif change.after == "half_open":
            _log.debug(what, doing="one trial request", **where)
        else:
            where["next_trial_in_s"] = round(self._breaker.wait_s(change.at), 3)
            # Of an outage that lasts, that a trial failed is nothing new: there is one every few seconds.
            level = logging.WARNING if change.before == "closed" else logging.DEBUG
            _log.log(level, what, reason=change.reason, do=self._do, **where)


class Attempts:
    """what: the thing that is asked, as logs call it ("table", "heads"). random: uniform in [0, 1)."""

    def __init__(
        self,
        what: str,
        breaker: SharedBreaker,
        resilience: ResilienceSection,
        random: Callable[[], float],
        position: Callable[[], Mapping[str, object]] = lambda: {},
    ) -> None:
        self.attempts = 0
        self.retries = 0
        self._what = what
        self._breaker = breaker
        self.follow(resilience)
        self._random = random
        self._position = position
        self._connection = Connection(clock.mono())

    def follow(self, resilience: ResilienceSection) -> None:
        """Stay away by these, from the next row of failures on."""
        retry, systemic = resilience.retry, resilience.systemic_retry
        self._transient = Backoff(retry.first_delay_s, retry.max_delay_s)
        self._systemic = Backoff(systemic.first_delay_s, systemic.max_delay_s)

    @property
    def state(self) -> ConnectionState:
        return self._connection.state

    @property
    def reason(self) -> str | None:
        return self._connection.reason

    @property
    def do(self) -> str | None:
        return self._connection.do

    async def until_done(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of `call`, made anew for each attempt. Its Transient and Systemic errors don't reach the caller."""
        retry = self.new_retry()
        while True:
            try:
                async with self._breaker.request():
                    self.attempts += 1
                    result = await call()
            except Transient as error:
                self._failed(retry, error, "retrying")
                await self._breaker.pause(retry)
            except Systemic as error:
                self._failed(retry, error, "paused")
                await retry.wait()
            else:
                self._succeeded()
                return result

    async def once(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """The result of one attempt; None where it failed, transient or systemic: the state says of what, and so does the log."""
        try:
            async with self._breaker.request():
                self.attempts += 1
                result = await call()
        except (Transient, Systemic) as error:
            self.retries += 1
            self.fail("retrying" if isinstance(error, Transient) else "paused", error.what, error.do)
            return None
        self._succeeded()
        return result

    def new_retry(self) -> Retry:
        """How long to stay away, failure by failure."""
        return Retry(self._transient, slow=self._systemic, random=self._random)

    def fail(self, state: Literal["retrying", "paused"], reason: str, do: str) -> None:
        """Take this state; logged once per change, not per attempt."""
        change = self._connection.failed(clock.mono(), state, reason, do)
        if change is not None:
            level = logging.ERROR if state == "paused" else logging.WARNING
            _log.log(level, f"{self._what} {state}", reason=reason, do=do, **self._position())

    def status(self, *, timeout_s: float) -> RequestsStatus:
        """For `/api/status`. timeout_s: of the last request."""
        return RequestsStatus(
            state=self.state,
            since=clock.now() - timedelta(seconds=clock.mono() - self._connection.since),
            reason=self.reason,
            do=self.do,
            attempts=self.attempts,
            retries=self.retries,
            request_timeout_s=round(timeout_s, 3),
        )

    def _failed(self, retry: Retry, error: MigctlError, state: Literal["retrying", "paused"]) -> None:
        retry.failed(error)
        self.retries += 1
        self.fail(state, error.what, error.do)

    def _succeeded(self) -> None:
        change = self._connection.succeeded(clock.mono())
        if change is not None and change.failed_for_s is not None:
            after_s = round(change.failed_for_s, 3)
            _log.info(f"{self._what} reached again", after_s=after_s, **self._position())
