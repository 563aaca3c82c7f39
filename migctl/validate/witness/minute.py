"""Evidence: one minute as the witness saw it, from outside `serve`. What gates judge, and nothing else.

A minute that lacks a transport, or that the witness did not see whole, is kept as `inconclusive`: no evidence, never a good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

SCHEMA = "migctl.minute/1"
Verdict = Literal["pass", "inconclusive", "terminated"]
# All was seen, and nothing was there: no evidence, and no fault.
QUIET = "no event was committed"


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One transport in one minute; counts of events, by the formulas of a report.

    latency: of what came live; delay: of every first release, whatever way it came.
    Percentiles are None without samples, and p50 and p95 of an older witness.
    """

    received: int = 0
    missing: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    latency_n: int = 0
    delay_p99_ms: float | None = None
    delay_n: int = 0


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """One window.

    id: of this window; started_at: its whole minute, UTC. epoch, first_seq, last_seq: what the journal took in it.
    step: of the rollout that was under way. expected, matched, mismatched, lost: of the events of the window. rejected: before the
    journal. error_rate_percent, requests: of `serve`; None without requests. availability_percent: of the witness's subscribers.
    cohorts: events released to each (`all`, and each segment). markers: position of each that was released in it, and on which
    transports. verdict: whether it is evidence at all; reason: why not.
    sha256: of what it was made from.
    """

    id: str
    started_at: datetime
    epoch: str
    first_seq: int
    last_seq: int
    step: str | None = None
    expected: int = 0
    matched: int = 0
    mismatched: int = 0
    lost: int = 0
    rejected: int = 0
    error_rate_percent: float | None = None
    requests: int = 0
    availability_percent: float | None = None
    transports: Mapping[str, Figures] = {}
    cohorts: Mapping[str, int] = {}
    markers: Mapping[str, list[str]] = {}
    verdict: Verdict = "pass"
    reason: str | None = None
    sha256: str = ""

    @property
    def match_percent(self) -> float | None:
        return 100 * self.matched / self.expected if self.expected else None

    @property
    def counts(self) -> bool:
        """Whether it is evidence."""
        return self.verdict == "pass"

    @property
    def quiet(self) -> bool:
        """All was seen, and nothing was there."""
        return self.reason == QUIET
