"""Plots: the series of a report as lines in a frame of 1000 by 100, with ticks in percent of it. Pure; the page draws them.

A stretch without a figure is a hole in its line. Latencies are on a scale of powers of ten: a bound and an outage both show on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from migctl.pages.frame import HEIGHT, WIDTH, Line, Mark, Tick, nice, text
from migctl.rollout.signoff.document import Incident, SharePoint, Signoff

_TICKS = 8
_STEPS_S = (
    60,
    300,
    900,
    3600,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    345_600,
    604_800,
    1_209_600,
    2_419_200,
)

Point = tuple[float, float]


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """bound: where it lies, and what it is; None where no gate has one. empty: nothing is in it."""

    title: str
    unit: str
    lines: list[Line]
    across: list[Tick]
    up: list[Tick]
    bound: Tick | None = None
    marks: list[Mark] = []

    @property
    def empty(self) -> bool:
        return not any(line.path for line in self.lines)


def plots_of(of: Signoff) -> list[Plot]:
    """Share of users, latency of both transports, and match, over the same time. None before the first move."""
    if of.began_at is None:
        return []
    begin = of.began_at
    end = max(_end(of), begin + timedelta(seconds=1))
    return [_shares(of, begin, end), _latency(of, begin, end), _match(of, begin, end)]


def _end(of: Signoff) -> datetime:
    """A day after it is over at the latest there is nothing more to show."""
    if of.completed and of.completion is not None:
        return min(
            of.made_at, of.completion.since + (of.completion.since - (of.began_at or of.made_at)) * 0.02
        )
    return of.made_at


def _shares(of: Signoff, begin: datetime, end: datetime) -> Plot:
    points = of.series.shares
    path = "".join(_steps(points, begin, end))
    return Plot(
        title="Users on Realtime", unit="% of all, in force", lines=[Line("share", "share", path)], across=_across(begin, end),
        up=[Tick(100 - percent, f"{percent} %") for percent in (0, 25, 50, 75, 100)],
        marks=[_mark(one, begin, end) for one in of.incidents if one.kind in ("abort", "brake", "gate")],
    )  # fmt: skip


def _steps(points: Sequence[SharePoint], begin: datetime, end: datetime) -> Iterator[str]:
    """Level until the next change; nothing where nobody can say."""
    was_open = False
    for one, following in pairwise([*points, SharePoint(end, None)]):
        if one.percent is None:
            was_open = False
            continue
        y = text(HEIGHT * (1 - one.percent / 100))
        x, until = (text(WIDTH * _part(at, begin, end)) for at in (one.at, following.at))
        yield f"{'L' if was_open else 'M'}{x} {y}H{until}"
        was_open = True


def _latency(of: Signoff, begin: datetime, end: datetime) -> Plot:
    bound = of.series.bounds.get("max_latency_p99_ms")
    buckets = of.series.buckets
    figures = [
        one
        for bucket in buckets
        for one in (bucket.websocket_p99_ms, bucket.realtime_p99_ms)
        if one is not None
    ]
    every = [*figures, *([bound] if bound else [])] or [1.0]
    low = math.floor(math.log10(max(min(every), 0.1)))
    high = max(math.ceil(math.log10(max(*every, 1.0) * 1.05)), low + 1)

    def y(value: float) -> float:
        return HEIGHT * (1 - (math.log10(max(value, 10.0**low)) - low) / (high - low))

    lines = []
    for name, style in (("WebSocket", "websocket"), ("Realtime", "realtime")):
        values = [(bucket.at, getattr(bucket, f"{style}_p99_ms")) for bucket in buckets]
        lines.append(Line(name, style, _path(values, y, begin, end, of.series.bucket_s)))
    return Plot(
        title="Latency, p99", unit="ms, the worst window of each stretch", lines=lines, across=_across(begin, end),
        up=[Tick(y(10.0**power), f"{10.0**power:g}") for power in range(low, high + 1)],
        bound=Tick(y(bound), f"bound {bound:g} ms") if bound else None,
    )  # fmt: skip


def _match(of: Signoff, begin: datetime, end: datetime) -> Plot:
    bound = of.series.bounds.get("min_match_percent")
    values = [(bucket.at, bucket.match_percent) for bucket in of.series.buckets]
    known = [value for _, value in values if value is not None]
    least = min([*known, *([bound] if bound is not None else [])], default=99.0)
    span = min(100.0, nice(max(100 - least, 0.01) * 1.3))

    def y(value: float) -> float:
        return HEIGHT * (100 - value) / span

    return Plot(
        title="Match of the two transports", unit="% of events, the worst window of each stretch",
        lines=[Line("match", "match", _path(values, y, begin, end, of.series.bucket_s))], across=_across(begin, end),
        up=[Tick(25.0 * quarter, f"{100 - span * quarter / 4:.6g} %") for quarter in range(5)],
        bound=Tick(y(bound), f"bound {bound:g} %") if bound is not None else None,
    )  # fmt: skip


def _path(
    values: Sequence[tuple[datetime, float | None]],
    y: Callable[[float], float],
    begin: datetime,
    end: datetime,
    bucket_s: float,
) -> str:
    """A level stretch for each bucket, joined where the next has a figure too: one alone is still to be seen."""
    parts, was_open = [], False
    for at, value in values:
        if value is None:
            was_open = False
            continue
        until = at + timedelta(seconds=bucket_s)
        left, right = (text(WIDTH * _part(moment, begin, end)) for moment in (at, until))
        parts.append(f"{'L' if was_open else 'M'}{left} {text(min(max(y(value), 0.0), HEIGHT))}H{right}")
        was_open = True
    return "".join(parts)


def _mark(one: Incident, begin: datetime, end: datetime) -> Mark:
    at = 100 * _part(one.began, begin, end)
    width = 100 * _part(one.ended or end, begin, end) - at
    return Mark(
        at, width, f"{one.began:%Y-%m-%d %H:%M} UTC: {one.what}" + (f": {one.why}" if one.why else "")
    )


def _across(begin: datetime, end: datetime) -> list[Tick]:
    """At whole seconds, minutes, hours or days of UTC, so many that they can be told apart."""
    span_s = (end - begin).total_seconds()
    step_s = next((step for step in _STEPS_S if span_s / step <= _TICKS), _STEPS_S[-1])
    form = "%d %b" if step_s >= 86_400 else "%d %b %H:%M" if span_s > 86_400 else "%H:%M"
    if step_s < 60:
        form = "%H:%M:%S"
    first = math.ceil(begin.timestamp() / step_s)
    found = []
    for count in range(first, math.floor(end.timestamp() / step_s) + 1):
        at = datetime.fromtimestamp(count * step_s, begin.tzinfo)
        found.append(Tick(100 * _part(at, begin, end), at.strftime(form)))
    return found or [Tick(0.0, begin.strftime("%H:%M:%S"))]


def _part(at: datetime, begin: datetime, end: datetime) -> float:
    return min(max((at - begin) / (end - begin), 0.0), 1.0)
