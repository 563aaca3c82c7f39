"""How long events took from their commit to a subscriber, as far as two clocks can tell. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migctl.drills.judging import Line


def latency_p99_ms(lines: Sequence[Line]) -> float | None:
    """None without a live release, and where one came before it was committed: then the clocks tell nothing."""
    live = [line for line in lines if line.via == "live"]
    return p99(sorted(1000 * (line.received_at - line.committed_at).total_seconds() for line in live))


def p99(took: Sequence[float]) -> float | None:
    """Of sorted times; the nearest rank. None of none, and where one is below 0."""
    if not took or took[0] < 0:
        return None
    return round(took[ceil(0.99 * len(took)) - 1], 1)
