"""Objectives: what was measured against its bound. Pure.

| measured                                   | verdict      |
|--------------------------------------------|--------------|
| within the bound                           | pass         |
| beyond it                                  | fail         |
| it never came (no fallback, no return)     | fail         |
| nothing to measure it by (no such fault)   | inconclusive |

The drill passes where each of them does; one that is inconclusive is no pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Verdict = Literal["pass", "fail", "inconclusive", "error", "terminated"]

# From the worst to the best: the worst of several is that of all.
_ORDER: tuple[Verdict, ...] = ("error", "terminated", "fail", "inconclusive", "pass")

NAMES = (
    "max_lost", "max_duplicates", "max_out_of_order", "max_time_to_detect_ms", "max_time_to_fallback_ms",
    "max_time_to_recover_ms", "max_latency_p99_ms", "max_longest_silence_ms", "min_availability_percent",
)  # fmt: skip


class Never(msgspec.Struct, frozen=True):
    """It was to come, and did not. why: in words."""

    why: str


Measured = float | Never | None


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """One bound. value: None where there is none. note: why not, in words."""

    name: str
    bound: float
    value: float | None
    verdict: Verdict
    note: str = ""


def judge(bounds: Mapping[str, float], measured: Mapping[str, Measured]) -> list[Objective]:
    """bounds: by key, such as `max_lost`. measured: by what it measures, such as `lost`."""
    return [_judge(name, bound, measured.get(name.partition("_")[2])) for name, bound in bounds.items()]


def _judge(name: str, bound: float, value: Measured) -> Objective:
    if value is None:
        note = "nothing to measure it by"
        return Objective(name=name, bound=bound, value=None, verdict="inconclusive", note=note)
    if isinstance(value, Never):
        return Objective(name=name, bound=bound, value=None, verdict="fail", note=value.why)
    good = value <= bound if name.startswith("max_") else value >= bound
    return Objective(name=name, bound=bound, value=value, verdict="pass" if good else "fail")


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """That of all of them; inconclusive where there is none."""
    return min(verdicts, key=_ORDER.index, default="inconclusive")
