"""Probing: asks for what is missing whenever Repair says so."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable

from migctl import clock
from migctl.errors import MigctlError
from migctl.resilience import within
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.repair import Probe, Repair
from migctl.telemetry import get_logger

log = get_logger("subscriber")


class Probing:
    """`run` once the flow was started, until cancelled.

    probe: ask whoever has the events once, past what is known to be missing where it is told so; what it can't do it raises.
    poll_every_s: how long to leave that when nothing is known to be missing.
    """

    def __init__(
        self, flow: Flow, probe: Callable[[bool], Awaitable[None]], poll_every_s: Callable[[], float]
    ) -> None:
        self._flow = flow
        self._probe = probe
        self._poll_every_s = poll_every_s
        self._repair = Repair(clock.mono(), random.random)
        self._reachable = True

    @property
    def owes(self) -> bool:
        """What nobody told of was not asked for yet."""
        return self._repair.owes

    def demand(self) -> None:
        """A connection is new: the next probe is due at once."""
        self._repair.demand()
        self._flow.changed.set()

    def reconsider(self) -> None:
        """Something changed by which it is polled more or less often."""
        self._flow.changed.set()

    async def run(self) -> None:
        while True:
            self._flow.changed.clear()
            now = clock.mono()
            due = self._repair.decide(
                now, gap_at=self._flow.merge.repair_at(), poll_every_s=self._poll_every_s()
            )
            if isinstance(due, Probe):
                await self._once(due)
            else:
                await within(due.until - now, self._flow.changed.wait())

    async def _once(self, probe: Probe) -> None:
        merge = self._flow.merge
        before = merge.top
        try:
            await self._probe(probe.to_the_end)
        except MigctlError as error:
            level = logging.WARNING if self._reachable else logging.DEBUG
            log.log(level, "tables not read", position=merge.place, reason=error.what)
            self._reachable = False
            self._repair.failed(clock.mono(), behind=merge.behind)
            return
        self._reachable = True
        self._repair.answered(clock.mono(), probe, came_forward=merge.top != before, behind=merge.behind)
