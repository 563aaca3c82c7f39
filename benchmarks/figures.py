"""Figures: percentiles as every benchmark prints them. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def percentiles(values: Sequence[float], digits: int = 1) -> dict[str, float | int | None]:
    """{p50, p95, p99, max, n}; null where there is none. The value below which that share lies (nearest rank)."""
    ordered = sorted(values)

    def at(share: float) -> float | None:
        if not ordered:
            return None
        return round(ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))], digits)

    return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1.0), "n": len(ordered)}
