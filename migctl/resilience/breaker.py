"""Breaker: stops asking a dependency that keeps failing, and finds out with one request whether it is back. Pure: given the time.

closed: requests go; too many failures in a row, or too large a share of them in the window, open it.
open: nothing goes for a while. half_open: one trial request is out; it closes the breaker, or opens it for twice as long.

A request asks leave and reports its result with that leave. What was begun before the last change proves nothing of now, so such a
result is passed over: a late answer to an old request can't end the trial of another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from migctl.events.times import Moment

BreakerState = Literal["closed", "open", "half_open"]
BREAKER_STATES: tuple[BreakerState, ...] = ("closed", "half_open", "open")  # from good to bad


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a breaker opens, and for how long.

    consecutive_failures: in a row; or, of at least `min_requests` in the last `window_s` seconds, `max_failure_percent` and more.
    open_s: the first time; doubled each time a trial fails, up to `max_open_s`.
    """

    consecutive_failures: int = 5
    window_s: float = 10.0
    min_requests: int = 20
    max_failure_percent: float = 50.0
    open_s: float = 1.0
    max_open_s: float = 3.0


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """One change of state. at: monotonic seconds. reason: what the last failure said; None when it closes."""

    before: BreakerState
    after: BreakerState
    at: float
    reason: str | None


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave for one request. era: the changes of state before it."""

    era: int


class BreakerStatus(Struct, frozen=True, kw_only=True):
    """A part of the status. since: of the last change, None before the first. next_trial_in_s: None but while open.

    opened: how often it was closed and opened.
    """

    state: BreakerState
    since: Moment | None
    reason: str | None
    do: str | None
    opened: int
    next_trial_in_s: float | None


class Breaker:
    """The state of one dependency. Times are monotonic seconds and never fall.

    changed: called with each change, after it.
    A result is reported with the leave of its request. One without a leave is a sign that nobody asked for, such as a canary that
    came or is missed: it counts in every state.
    """

    def __init__(
        self, rules: BreakerRules, changed: Callable[[BreakerChange], None] = lambda _: None
    ) -> None:
        self._rules = rules
        self._changed = changed
        self._results: deque[tuple[float, bool]] = deque()  # (when, failed), not older than the window
        self._failed_in_window = 0
        self._in_a_row = 0
        self._open_for_s = rules.open_s
        self._until = 0.0
        self._era = 0
        self.state: BreakerState = "closed"
        self.since: float | None = None  # of the last change
        self.reason: str | None = None
        self.opened = 0  # how often it was closed and opened; trials that failed are not counted

    def follow(self, rules: BreakerRules) -> None:
        """Go by these rules from now on. What was counted counts; a time that runs is over when it was to be."""
        self._rules = rules
        self._open_for_s = rules.open_s if self.state == "closed" else min(self._open_for_s, rules.max_open_s)

    def wait_s(self, now: float) -> float:
        """Seconds until a request may go; 0 is now. While half-open it is infinite: the trial's result decides."""
        if self.state == "closed":
            return 0.0
        if self.state == "half_open":
            return float("inf")
        return max(0.0, self._until - now)

    def begin(self, now: float) -> Leave | None:
        """Leave for one request, whose end must be reported, come what may. None while open, and while another is the trial."""
        if self.wait_s(now) > 0:
            return None
        if self.state == "open":
            self._become("half_open", now, self.reason)
        return Leave(self._era)

    def succeeded(self, now: float, leave: Leave | None = None) -> None:
        """A request was answered, be it with a refusal of its own content."""
        if self._is_late(leave):
            return
        self._in_a_row = 0
        if self.state == "closed":
            self._note(now, failed=False)
            return
        self._results.clear()
        self._failed_in_window = 0
        self._open_for_s = self._rules.open_s
        self._become("closed", now, None)

    def failed(self, now: float, reason: str, leave: Leave | None = None) -> None:
        """A request failed for the dependency's sake, not for its own."""
        if self._is_late(leave):
            return
        self.reason = reason
        if self.state == "half_open":
            self._open_for_s = min(self._rules.max_open_s, 2 * self._open_for_s)
            self._open(now)
        elif self.state == "closed":
            self._in_a_row += 1
            self._note(now, failed=True)
            if self._in_a_row >= self._rules.consecutive_failures or self._share_is_high():
                self._open(now)

    def trip(self, now: float, reason: str) -> None:
        """Open it at once: something better than a failed request said so, such as a canary that is missed."""
        self.reason = reason
        if self.state != "open":
            self._open(now)

    def hurry(self, now: float) -> None:
        """Something else reached the dependency: where it is open, the trial may go now and not when its time is over."""
        self._until = min(self._until, now)

    def gave_up(self, now: float, leave: Leave | None = None) -> None:
        """A request ended without a result (it was cancelled): where it was the trial, another one may be that at once."""
        if self.state == "half_open" and not self._is_late(leave):
            self._until = now
            self._become("open", now, self.reason)

    def status(self, do: str | None, *, now: float, wall: datetime) -> BreakerStatus:
        """What an operator sees. do: the way out of the last failure. wall: the wall clock's time of `now`, aware."""
        closed = self.state == "closed"
        return BreakerStatus(
            state=self.state,
            since=None if self.since is None else wall - timedelta(seconds=now - self.since),
            reason=None if closed else self.reason,
            do=None if closed else do,
            opened=self.opened,
            next_trial_in_s=round(self.wait_s(now), 3) if self.state == "open" else None,
        )

    def _is_late(self, leave: Leave | None) -> bool:
        return leave is not None and leave.era != self._era

    def _open(self, now: float) -> None:
        self._until = now + self._open_for_s
        self._in_a_row = 0
        self.opened += self.state == "closed"
        self._become("open", now, self.reason)

    def _note(self, now: float, *, failed: bool) -> None:
        self._results.append((now, failed))
        self._failed_in_window += failed
        while self._results and self._results[0][0] <= now - self._rules.window_s:
            self._failed_in_window -= self._results.popleft()[1]

    def _share_is_high(self) -> bool:
        count = len(self._results)
        if count < self._rules.min_requests:
            return False
        return 100.0 * self._failed_in_window >= self._rules.max_failure_percent * count

    def _become(self, state: BreakerState, now: float, reason: str | None) -> None:
        before, self.state = self.state, state
        self.since, self.reason = now, reason
        self._era += 1
        self._changed(BreakerChange(before, state, now, reason))
