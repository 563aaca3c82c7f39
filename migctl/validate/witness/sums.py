"""Sums: what one window comes to. Pure; the order in which things are added makes no difference.

| | expected | received | missing | matched | mismatched | lost |
|---|---|---|---|---|---|---|
| released on both, bodies equal to the journal's | 1 | 1 each | | 1 | | |
| released on both, one body unequal | 1 | 1 each | | | 1 | |
| released on one, its body equal | 1 | 1 there | 1 on the other | | | |
| released on one, its body unequal | 1 | 1 there | 1 on the other | | 1 | |
| released on none | 1 | | 1 each | | | 1 |
| control (`sys.*`) | | | | | | |

Numbers that are the same double are no mismatch. Latency is of what came live, delay of every first release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

import msgspec

from migctl.events.equality import Equality
from migctl.events.times import from_micros, micros_of, parse_time
from migctl.subscriber.core.release import Release, encode_release
from migctl.validate.kinds import compare
from migctl.validate.latency import Histogram
from migctl.validate.lines import Line
from migctl.validate.witness.minute import Figures, Minute, Verdict

TRANSPORTS = ("websocket", "realtime")
_MODULUS = 1 << 256


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What `serve` has counted since it started. requests: without those of who only watches."""

    started_at: datetime
    requests: int
    answered_5xx: int
    dead_letters: int
    rejected: int


class Side(msgspec.Struct):
    """One transport in one window."""

    received: int = 0
    missing: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    unavailable_us: int = 0
    live: Histogram = msgspec.field(default_factory=Histogram)
    all: Histogram = msgspec.field(default_factory=Histogram)

    def figures(self) -> Figures:
        return Figures(
            received=self.received,
            missing=self.missing,
            duplicates=self.duplicates,
            out_of_order=self.out_of_order,
            latency_p50_ms=_ms(self.live, 50),
            latency_p95_ms=_ms(self.live, 95),
            latency_p99_ms=_ms(self.live),
            latency_n=self.live.n,
            delay_p99_ms=_ms(self.all),
            delay_n=self.all.n,
        )


class Sums(msgspec.Struct):
    """One window. start_us, end_us: its bounds. spoiled: why it is no evidence, where that is known before it closes."""

    start_us: int
    end_us: int
    epoch: str = ""
    first_seq: int = 0
    last_seq: int = 0
    expected: int = 0
    matched: int = 0
    mismatched: int = 0
    lost: int = 0
    released: int = 0
    sides: dict[str, Side] = msgspec.field(default_factory=lambda: {name: Side() for name in TRANSPORTS})
    markers: dict[str, set[str]] = {}
    spoiled: str | None = None
    overrun: bool = False
    _digests: int = 0

    def took(self, event: Release) -> None:
        """The journal has it."""
        if self.epoch != event.epoch:
            if self.epoch:
                self.spoil("the journal began a new epoch")
            self.epoch, self.first_seq, self.last_seq = event.epoch, event.seq, event.seq
        self.first_seq, self.last_seq = min(self.first_seq, event.seq), max(self.last_seq, event.seq)

    def spoil(self, reason: str) -> None:
        self.spoiled = self.spoiled or reason

    def settle(self, truth: Release, heard: Mapping[str, Release]) -> None:
        """One event of the journal, with its first release on each transport that had one. Raises nothing."""
        if truth.is_control:
            return
        self.expected += 1
        committed_us = micros_of(parse_time(truth.committed_at or truth.timestamp))
        line, differ = None, False
        for name, side in self.sides.items():
            release = heard.get(name)
            if release is None:
                side.missing += 1
                continue
            side.received += 1
            taken = [micros_of(release.received_at) - committed_us]
            side.all.add_all(taken)
            if release.via == "live":
                side.live.add_all(taken)
            line = line or line_of(truth)
            differ = not _same(line, truth, release) or differ
        self.released += bool(heard)
        self.lost += not heard
        self.mismatched += differ
        self.matched += len(heard) == len(self.sides) and not differ
        self._digests = (self._digests + _digest(truth, heard)) % _MODULUS

    def close(
        self, reason: str | None, *, terminated: bool, before: Counted | None, after: Counted | None
    ) -> Minute:
        """What it came to. before, after: what `serve` had counted at its bounds. reason: why it is no evidence."""
        rejected, requests, error_rate = 0, 0, None
        if before is not None and after is not None:
            same = before.started_at == after.started_at
            rejected = max(0, after.rejected - (before.rejected if same else 0))
            if same:
                requests = max(0, after.requests - before.requests)
                failed = after.answered_5xx - before.answered_5xx + after.dead_letters - before.dead_letters
                whole = requests + self.expected
                error_rate = min(100.0, 100 * max(0, failed) / whole) if whole else None
        verdict: Verdict = "terminated" if terminated else "inconclusive" if reason else "pass"
        length_us = self.end_us - self.start_us
        waited_us = sum(min(side.unavailable_us, length_us) for side in self.sides.values())
        return Minute(
            id=f"{from_micros(self.start_us):%Y%m%dT%H%M%SZ}",
            started_at=from_micros(self.start_us),
            epoch=self.epoch,
            first_seq=self.first_seq,
            last_seq=self.last_seq,
            expected=self.expected,
            matched=self.matched,
            mismatched=self.mismatched,
            lost=self.lost,
            rejected=rejected,
            error_rate_percent=error_rate,
            requests=requests,
            availability_percent=100 * (1 - waited_us / (length_us * len(self.sides))),
            transports={name: side.figures() for name, side in self.sides.items()},
            cohorts={"all": self.released},
            markers={position: sorted(names) for position, names in sorted(self.markers.items())},
            verdict=verdict,
            reason=reason,
            sha256=self._sha256(),
        )

    @property
    def skewed(self) -> bool:
        """True where something was received before it was committed: two clocks, and no figure of time holds."""
        return any(side.all.least < 0 for side in self.sides.values())

    def _sha256(self) -> str:
        """Of all that was compared, in whatever order it came: the sum of the events' digests, hashed with their number."""
        text = f"{self.epoch}/{self.first_seq}-{self.last_seq} {self.expected} {self._digests:064x}"
        return hashlib.sha256(text.encode()).hexdigest()


def line_of(release: Release) -> Line:
    """As a report compares it."""
    return Line(
        id=release.id,
        event_type=release.event_type,
        timestamp=parse_time(release.timestamp),
        data=msgspec.Raw(release.data),
        source=release.source,
    )


def _same(line: Line, truth: Release, release: Release) -> bool:
    if release.id != truth.id:
        return False
    try:
        return compare(line, line_of(release)) is not Equality.DIFFERENT
    except ValueError:  # what is no JSON, or no time, equals nothing
        return False


def _digest(truth: Release, heard: Mapping[str, Release]) -> int:
    lines = hashlib.sha256(b"%b/%d\n" % (truth.epoch.encode(), truth.seq))
    lines.update(truth.id.encode() + truth.timestamp.encode() + truth.data)
    for name in TRANSPORTS:
        release = heard.get(name)
        lines.update(b"\n" if release is None else b"\n" + encode_release(release))
    return int.from_bytes(lines.digest(), "big")


def _ms(histogram: Histogram, percent: int = 99) -> float | None:
    micros = histogram.percentile_us(percent)
    return None if micros is None else micros / 1000
