"""Resilience: rules for failing and coming back, pure: time and randomness are arguments. And the forms in which rooms wait."""

from migctl.resilience.backoff import Backoff
from migctl.resilience.breaker import (
    BREAKER_STATES,
    Breaker,
    BreakerChange,
    BreakerRules,
    BreakerState,
    BreakerStatus,
    Leave,
)
from migctl.resilience.connection import (
    CONNECTION_STATES,
    Connection,
    ConnectionChange,
    ConnectionState,
)
from migctl.resilience.request_timeout import RequestTimeout
from migctl.resilience.retry import Failure, Retry
from migctl.resilience.waiting import News, raise_if_cancelled, staggered, within

__all__ = [
    "BREAKER_STATES",
    "CONNECTION_STATES",
    "Backoff",
    "Breaker",
    "BreakerChange",
    "BreakerRules",
    "BreakerState",
    "BreakerStatus",
    "Connection",
    "ConnectionChange",
    "ConnectionState",
    "Failure",
    "Leave",
    "News",
    "RequestTimeout",
    "Retry",
    "raise_if_cancelled",
    "staggered",
    "within",
]
