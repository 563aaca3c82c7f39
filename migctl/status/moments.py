"""Moments in a status: aware, in UTC, as RFC 3339 in the document."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta

Moment = Annotated[datetime, Meta(tz=True)]


def moment(at: float, *, mono: float, now: datetime) -> datetime:
    """The wall clock's time of a moment of the monotonic one. mono, now: this moment, on both."""
    return now - timedelta(seconds=mono - at)
