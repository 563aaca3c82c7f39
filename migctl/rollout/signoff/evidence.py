"""Evidence of a whole walk: how many windows of which kind, what they come to together, and the gaps between them. Pure.

| a window | counts as | its figures |
|---|---|---|
| `pass` | evidence | are added up |
| without an event, all was there | quiet | - |
| inconclusive, terminated | that | its events are `outside`: nothing proves them |
| not there at all | missing | - |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import msgspec

from migctl.rollout.gates import TRANSPORTS
from migctl.rollout.signoff.document import Bucket, Spread, Totals, TransportTotals, Windows
from migctl.validate.witness.minute import Figures, Minute

# Points of a plot: more can't be told apart on a page.
MOST_BUCKETS = 360


class Gap(msgspec.Struct, frozen=True):
    """Windows in a row that are no evidence. reason: of the first that gives one; missing: how many are not there at all.

    ended: None where no window came after them.
    """

    began: datetime
    ended: datetime | None
    windows: int
    missing: int
    reason: str | None


def between(minutes: Sequence[Minute], begin: datetime, end: datetime) -> list[Minute]:
    """Those that began in this time."""
    return [minute for minute in minutes if begin <= minute.started_at < end]


def whole_within(minutes: Sequence[Minute], begin: datetime, end: datetime, window_s: float) -> list[Minute]:
    """Those whose windows lie whole within this time."""
    slots = _slots(begin, end, window_s)
    return [minute for minute in minutes if _slot(minute.started_at, window_s) in slots]


def windows_of(minutes: Sequence[Minute], begin: datetime, end: datetime, window_s: float) -> Windows:
    """Of the windows that lie whole within this time."""
    slots = _slots(begin, end, window_s)
    by_slot = {_slot(minute.started_at, window_s): minute for minute in minutes}
    of = [by_slot[slot] for slot in slots if slot in by_slot]
    return Windows(
        evidence=sum(minute.counts for minute in of),
        quiet=sum(minute.quiet for minute in of),
        inconclusive=sum(minute.verdict == "inconclusive" and not minute.quiet for minute in of),
        terminated=sum(minute.verdict == "terminated" for minute in of),
        missing=len(slots) - len(of),
    )


def totals_of(minutes: Sequence[Minute], windows: Windows) -> Totals | None:
    """minutes: of the walk; None without one. windows: of the same time."""
    if not minutes:
        return None
    good = [minute for minute in minutes if minute.counts]
    compared, matched = (sum(getattr(minute, name) for minute in good) for name in ("expected", "matched"))
    requests = sum(minute.requests for minute in good if minute.error_rate_percent is not None)
    failed = sum(minute.requests * (minute.error_rate_percent or 0.0) / 100 for minute in good)
    return Totals(
        windows=windows,
        compared=compared,
        matched=matched,
        mismatched=sum(minute.mismatched for minute in good),
        lost=sum(minute.lost for minute in good),
        rejected=sum(minute.rejected for minute in good),
        outside=sum(minute.expected for minute in minutes if not minute.counts),
        match_percent=100 * matched / compared if compared else None,
        error_rate_percent=100 * failed / requests if requests else None,
        requests=requests,
        availability_percent=_spread((minute.availability_percent for minute in good), worst_is_least=True),
        transports={name: _of_transport(name, good) for name in TRANSPORTS},
    )


def gaps_of(minutes: Sequence[Minute], begin: datetime, end: datetime, window_s: float) -> list[Gap]:
    """Runs of windows that are neither evidence nor quiet, in order."""
    by_slot = {_slot(minute.started_at, window_s): minute for minute in minutes}
    runs: list[list[int]] = []
    slots = _slots(begin, end, window_s)
    for slot in slots:
        minute = by_slot.get(slot)
        if minute is not None and (minute.counts or minute.quiet):
            continue
        if runs and runs[-1][-1] == slot - 1:
            runs[-1].append(slot)
        else:
            runs.append([slot])
    return [_gap(run, by_slot, window_s, lasts=run[-1] == slots[-1]) for run in runs]


def buckets_of(
    minutes: Sequence[Minute], begin: datetime, end: datetime, window_s: float
) -> tuple[list[Bucket], float]:
    """The worst of each figure over equal stretches of time, and how long one is. A stretch without evidence has no figures."""
    bucket_s = window_s * max(1, math.ceil((end - begin).total_seconds() / window_s / MOST_BUCKETS))
    count = max(1, math.ceil((end - begin).total_seconds() / bucket_s))
    of: list[list[Minute]] = [[] for _ in range(count)]
    for minute in minutes:
        place = int((minute.started_at - begin).total_seconds() // bucket_s)
        if minute.counts and 0 <= place < count:
            of[place].append(minute)
    found = [
        Bucket(
            at=begin + timedelta(seconds=bucket_s * place),
            evidence=len(some),
            match_percent=min(_known(minute.match_percent for minute in some), default=None),
            websocket_p99_ms=max(_known(_latency(minute, "websocket") for minute in some), default=None),
            realtime_p99_ms=max(_known(_latency(minute, "realtime") for minute in some), default=None),
        )
        for place, some in enumerate(of)
    ]
    return found, bucket_s


def _of_transport(name: str, minutes: Sequence[Minute]) -> TransportTotals:
    figures = [minute.transports.get(name, Figures()) for minute in minutes]
    return TransportTotals(
        received=sum(one.received for one in figures),
        missing=sum(one.missing for one in figures),
        duplicates=sum(one.duplicates for one in figures),
        out_of_order=sum(one.out_of_order for one in figures),
        latency_p99_ms=_spread(one.latency_p99_ms for one in figures),
        delay_p99_ms=_spread(one.delay_p99_ms for one in figures),
    )


def _spread(values: Iterable[float | None], *, worst_is_least: bool = False) -> Spread | None:
    known = _known(values)
    if not known:
        return None
    worst = min(known) if worst_is_least else max(known)
    return Spread(worst=worst, median=median(known), windows=len(known))


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _latency(minute: Minute, transport: str) -> float | None:
    figures = minute.transports.get(transport)
    return figures.latency_p99_ms if figures is not None else None


def _slot(at: datetime, window_s: float) -> int:
    return round(at.timestamp() / window_s)


def _slots(begin: datetime, end: datetime, window_s: float) -> range:
    """Windows that begin at or after the begin, and have ended by the end."""
    return range(math.ceil(begin.timestamp() / window_s), math.floor(end.timestamp() / window_s))


def _gap(run: Sequence[int], by_slot: dict[int, Minute], window_s: float, *, lasts: bool) -> Gap:
    here = [by_slot[slot] for slot in run if slot in by_slot]
    began, ended = (datetime.fromtimestamp(slot * window_s, UTC) for slot in (run[0], run[-1] + 1))
    reason = next((minute.reason for minute in here if minute.reason), None)
    return Gap(began, None if lasts else ended, len(run), len(run) - len(here), reason)
