"""Counting: how much of a soak was observed. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from migctl.validate.witness.minute import Minute


def observed_of(soak_from: datetime | None, window_s: float, minutes: Sequence[Minute]) -> tuple[int, int]:
    """Windows that were observed, and how many there were: whole ones, from the soak's begin to the last that was heard of."""
    if soak_from is None or not minutes:
        return 0, 0
    first = math.ceil(soak_from.timestamp() / window_s)
    last = round(max(minute.started_at for minute in minutes).timestamp() / window_s)
    observed = len({minute.started_at for minute in minutes if minute.counts or minute.quiet})
    return observed, max(last - first + 1, observed)
