"""Resilience: rules for failing and coming back. Pure: time and randomness are arguments."""

from migctl.resilience.backoff import Backoff
from migctl.resilience.breaker import (
    BREAKER_STATES,
    Breaker,
    BreakerChange,
    BreakerRules,
    BreakerState,
    Leave,
)
from migctl.resilience.request_timeout import RequestTimeout

__all__ = [
    "BREAKER_STATES",
    "Backoff",
    "Breaker",
    "BreakerChange",
    "BreakerRules",
    "BreakerState",
    "Leave",
    "RequestTimeout",
]
