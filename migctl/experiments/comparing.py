"""Comparing: the figures of the two transports, in blocks of the witness's minutes. Pure.

Both transports carry the same events in the same minutes, so a block gives one difference, Realtime less WebSocket, and what
troubles both is not in it. Minutes are like the minutes before them: taken one by one they would be too sure of themselves. So
blocks of them are compared; blocks that are still like the ones before are doubled while enough are left, and what likeness is
left is taken off their number.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import msgspec

from migctl.experiments.document import Experiment
from migctl.experiments.statistics import Interval, lag_one, paired
from migctl.validate.witness.minute import Figures, Minute

WEBSOCKET, REALTIME = "websocket", "realtime"
ERRORS = "error_rate_percent"
LATENCIES = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. means: of the blocks, by variant. interval: of Realtime less WebSocket; None where something is missing.

    missing: what, and how much of it.
    """

    figure: str
    blocks: int
    block_minutes: int
    means: dict[str, float]
    interval: Interval | None = None
    missing: str | None = None


def compared(minutes: Sequence[Minute], of: Experiment) -> list[Compared]:
    """Each figure; of minutes that are evidence."""
    counting = [minute for minute in minutes if minute.counts]
    return [_compared(name, counting, of) for name in (*LATENCIES, ERRORS)]


def _compared(name: str, minutes: Sequence[Minute], of: Experiment) -> Compared:
    length = of.block_minutes
    pairs = _blocks(minutes, name, length)
    while len(pairs) // 2 >= of.min_blocks and _is_like_the_last([r - w for w, r in pairs]):
        length *= 2
        pairs = _blocks(minutes, name, length)
    found = Compared(
        figure=name,
        blocks=len(pairs),
        block_minutes=length,
        means=(
            {WEBSOCKET: fmean(w for w, _ in pairs), REALTIME: fmean(r for _, r in pairs)} if pairs else {}
        ),
    )
    missing = _missing(name, pairs, length, of)
    if missing is not None:
        return msgspec.structs.replace(found, missing=missing)
    interval = paired([r - w for w, r in pairs], of.confidence_percent)
    return msgspec.structs.replace(found, interval=interval)


def _missing(name: str, pairs: Sequence[tuple[float, float]], length: int, of: Experiment) -> str | None:
    if len(pairs) < of.min_blocks:
        more = (of.min_blocks - len(pairs)) * length
        return f"{len(pairs)} of {of.min_blocks} blocks of {length} minutes; about {more} more minutes of evidence"
    faulty = sum(w > 0 or r > 0 for w, r in pairs)
    if name == ERRORS and faulty < of.min_errors:
        return f"{faulty} of {of.min_errors} blocks with a missing event"
    return None


def _is_like_the_last(differences: Sequence[float]) -> bool:
    return lag_one(differences) > 1 / math.sqrt(len(differences))


def _blocks(minutes: Sequence[Minute], name: str, length: int) -> list[tuple[float, float]]:
    """WebSocket and Realtime of each block, in order. One that has less than half of its minutes is none."""
    found: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for minute in minutes:
        pair = [_value(name, minute, minute.transports.get(which)) for which in (WEBSOCKET, REALTIME)]
        if pair[0] is not None and pair[1] is not None:
            found[int(minute.started_at.timestamp()) // 60 // length].append((pair[0], pair[1]))
    return [
        (fmean(w for w, _ in block), fmean(r for _, r in block))
        for _, block in sorted(found.items())
        if 2 * len(block) >= length
    ]


def _value(name: str, minute: Minute, of: Figures | None) -> float | None:
    if of is None:
        return None
    if name == ERRORS:
        return 100 * of.missing / minute.expected if minute.expected else None
    value = {
        "latency_p50_ms": of.latency_p50_ms,
        "latency_p95_ms": of.latency_p95_ms,
        "latency_p99_ms": of.latency_p99_ms,
    }[name]
    return value if of.latency_n else None
