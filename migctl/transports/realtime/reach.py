"""Reach: what sender and canary learn of Realtime, in one place that both are given: its health, and who has to know at once."""

from __future__ import annotations

import logging

from migctl import clock
from migctl.config import Settings
from migctl.resilience import BreakerChange, BreakerRules, News
from migctl.telemetry import get_logger
from migctl.transports.protocol import Table
from migctl.transports.realtime.health import CHANGES_FIRST_S, CHANGES_TAKE_S, FIRST_S, Health

_log = get_logger("broadcast")


class Reach:
    """seq: of the last event that was sent or superseded; log lines speak of it. news: the breaker has changed, or a way.

    table: asked anew at once when Realtime is reached again; what else is there may be back too.
    """

    def __init__(self, settings: Settings, table: Table, *, seq: int) -> None:
        of = settings.resilience
        by_changes = settings.realtime.live == "postgres_changes"
        self._longer_s = CHANGES_TAKE_S if by_changes else 0.0
        self.health = Health(
            BreakerRules(**of.breaker.model_dump()),
            every_s=of.canary.every_s,
            silent_s=of.canary.silent_s + self._longer_s,
            first_s=CHANGES_FIRST_S if by_changes else FIRST_S,
            changed=self._changed,
        )
        self.news = News()
        self.seq = seq
        self._table = table

    def follow(self, settings: Settings) -> None:
        """The breaker and the canary by these from now on."""
        of = settings.resilience
        self.health.follow(
            BreakerRules(**of.breaker.model_dump()),
            every_s=of.canary.every_s,
            silent_s=of.canary.silent_s + self._longer_s,
        )

    def reached(self) -> None:
        """The sender, or the canary's subscriber, has joined a channel."""
        self.health.reached(clock.mono())
        self._table.hurry()

    def failed(self, reason: str) -> None:
        """Nothing could be handed over, or the canary's subscriber was lost."""
        self.health.failed(clock.mono(), reason)

    def _changed(self, change: BreakerChange) -> None:
        what = f"broadcast breaker {change.after.replace('_', '-')}"
        # Of an outage that lasts, the trials in between are nothing new: there is one every few seconds.
        level = logging.INFO if change.after == "closed" else logging.DEBUG
        if change.before == "closed":
            level = logging.WARNING
        _log.log(level, what, seq=self.seq, reason=change.reason)
        self.news.wake()
