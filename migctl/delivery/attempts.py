"""Attempts: one request tried until it goes through, with the state that an operator sees and one log line a change.

What the error says decides: transient is retried soon, systemic slowly and loudly; poison and refusals are the caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from migctl import clock
from migctl.errors import Systemic, Transient
from migctl.resilience import Backoff
from migctl.telemetry import get_logger

T = TypeVar("T")

State = Literal["running", "connecting", "retrying", "paused"]
STATES: tuple[State, ...] = ("running", "connecting", "retrying", "paused")  # from good to bad

TRANSIENT = Backoff(first_s=0.1, most_s=2.0)
SYSTEMIC = Backoff(first_s=1.0, most_s=10.0)

_log = get_logger("relay")


class Attempts:
    """what: the thing that is reached, as logs call it ("table", "heads"). random: uniform in [0, 1)."""

    def __init__(self, what: str, random: Callable[[], float]) -> None:
        self.state: State = "connecting"
        self.reason: str | None = None
        self.retries = 0
        self._what = what
        self._random = random
        self._since = 0.0

    async def until_done(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of `call`, made anew for each attempt. Its Transient and Systemic errors are not seen by the caller."""
        failures = 0
        while True:
            try:
                result = await call()
            except (Transient, Systemic) as error:
                failures += 1
                self.retries += 1
                systemic = isinstance(error, Systemic)
                self.fail("paused" if systemic else "retrying", error.what, error.do)
                await asyncio.sleep((SYSTEMIC if systemic else TRANSIENT).delay_s(failures, self._random))
            else:
                self._recover()
                return result

    def fail(self, state: State, reason: str, do: str) -> None:
        """Take this state; logged once per change, not per attempt."""
        if self.state in ("running", "connecting"):
            self._since = clock.mono()
        # The same trouble with other seqs is the same trouble: a batch that waits grows, and its text with it.
        if state != self.state:
            tell = _log.error if state == "paused" else _log.warning
            tell(f"{self._what} {state}", reason=reason, do=do)
        self.state, self.reason = state, reason

    def _recover(self) -> None:
        if self.state in ("retrying", "paused"):
            _log.info(f"{self._what} reached again", after_s=round(clock.mono() - self._since, 3))
        self.state, self.reason = "running", None
