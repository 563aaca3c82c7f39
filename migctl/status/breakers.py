"""The status of a breaker, from the breaker. Pure: given the time."""

from __future__ import annotations

from datetime import datetime

from migctl.resilience import Breaker
from migctl.status.delivery import BreakerStatus
from migctl.status.moments import moment


def breaker_status(breaker: Breaker, *, mono: float, now: datetime, do: str | None) -> BreakerStatus:
    """mono, now: this moment, on both clocks. do: the way out of what it is open for."""
    closed = breaker.state == "closed"
    return BreakerStatus(
        state=breaker.state,
        since=None if breaker.since is None else moment(breaker.since, mono=mono, now=now),
        reason=None if closed else breaker.reason,
        do=None if closed else do,
        opened=breaker.opened,
        next_trial_in_s=round(breaker.wait_s(mono), 3) if breaker.state == "open" else None,
    )
