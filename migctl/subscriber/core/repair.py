"""Repair: looks for what is missing, when something is, and now and then when nothing seems to be."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from migctl import clock
from migctl.errors import MigctlError
from migctl.resilience import Backoff
from migctl.subscriber.core.flow import Flow
from migctl.telemetry import get_logger

POLL_HEALTHY_S = 30.0
POLL_UNHEALTHY_S = 2.0
POLL_BEHIND = Backoff(0.25, 2.0)

log = get_logger("subscriber")


class Repair:
    """`run` once the flow was started, until cancelled.

    look: one look at whoever has the events; True where the reader came forward. Told whether to look past what is known to be
    missing. poll_every_s: how long to leave that when nothing is known to be missing.
    """

    def __init__(
        self, flow: Flow, look: Callable[[bool], Awaitable[bool]], poll_every_s: Callable[[], float]
    ) -> None:
        self._flow = flow
        self._look = look
        self._poll_every_s = poll_every_s
        self._now = False
        self._owed = True

    @property
    def owes(self) -> bool:
        """A connection is new, or the time has come, and what nobody told of was not looked for yet."""
        return self._now or self._owed

    def look_now(self) -> None:
        """The next look is due at once: a connection is new, and what came before it may be missing."""
        self._now = True
        self._flow.changed.set()

    async def run(self) -> None:
        failures = 0
        reachable = True
        looked_at = float("-inf")
        polled_at = clock.mono()
        while True:
            if self._now:
                self._now, self._owed, failures = False, True, 0
            due = poll_at = polled_at + self._poll_every_s()
            missing_since = looked_at if self._owed else self._flow.merge.repair_at()
            if missing_since is not None:
                pause = POLL_BEHIND.bound_s(failures) * (0.5 + random.random() / 2) if failures else 0.0
                due = min(due, max(missing_since, looked_at + pause))
            if (wait_s := due - clock.mono()) > 0:
                self._flow.changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s if wait_s < float("inf") else None):
                        await self._flow.changed.wait()
                continue
            self._owed = to_the_end = self._owed or clock.mono() >= poll_at
            came = False
            try:
                came = await self._look(to_the_end)
                if to_the_end:
                    self._owed, polled_at = False, clock.mono()
                reachable = True
            except MigctlError as error:
                tell = log.warning if reachable else log.debug
                tell("tables not read", position=str(self._flow.merge.position), reason=error.what)
                reachable = False
            looked_at = clock.mono()
            # Still behind: what was missing is not in the table yet, so the next look waits.
            failures = 0 if not (self._owed or self._flow.merge.behind) else 1 if came else failures + 1
