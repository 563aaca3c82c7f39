"""Probes of a read-only drill: which signs of life came over a transport while it listened. None where nothing tells."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from migctl.drills.document import Section
from migctl.drills.evidence import lines_of
from migctl.drills.functions.registry import observing
from migctl.drills.latency import p99
from migctl.drills.result import Signs, Skew
from migctl.drills.world.around import Around
from migctl.drills.world.observed import Observed
from migctl.drills.world.signs import Sign
from migctl.transports.protocol import TransportName


class OfTransport(Section):
    transport: Annotated[Literal["websocket", "realtime"], Field(description="websocket or realtime")]


@observing("signs-heard", OfTransport)
def signs_heard(on: Around, of: OfTransport) -> int | None:
    """How many canaries, heartbeats and events came over a transport; None where there was none."""
    return len(_signs(on, of)) or None


@observing("signs-apart-ms", OfTransport)
def signs_apart_ms(on: Around, of: OfTransport) -> int | None:
    """The longest time without a sign since the first one, in milliseconds; None where fewer than two came."""
    return apart_ms([one.at for one in _signs(on, of)], time.time())


@observing("signs-late-p99-ms", OfTransport)
def signs_late_p99_ms(on: Around, of: OfTransport) -> float | None:
    """p99 of the time from its sending to its arrival; None where none says its time, or clocks differ more."""
    return p99(sorted(one.took_ms for one in _signs(on, of) if one.took_ms is not None))


def apart_ms(at: Sequence[float], now: float) -> int | None:
    """at: unix seconds, in order. The time since the last one counts too. Pure."""
    if len(at) < 2:
        return None
    return round(1000 * max(later - earlier for earlier, later in pairwise([*at, now])))


def figures(on: Observed, until: float) -> tuple[list[Signs], Skew | None]:
    """What came over each transport of which something came, and how serve's clock goes. until: unix seconds, of the listening."""
    heard = list(lines_of(on.signs, Sign))
    transports: tuple[TransportName, ...] = ("websocket", "realtime")
    found = [
        Signs(
            transport=transport,
            heard=len(signs),
            canaries=sum(one.kind == "canary" for one in signs),
            heartbeats=sum(one.kind == "heartbeat" for one in signs),
            events=sum(one.kind == "event" for one in signs),
            longest_apart_ms=apart_ms([one.at for one in signs], until),
            late_p99_ms=p99(sorted(one.took_ms for one in signs if one.took_ms is not None)),
        )
        for transport in transports
        if (signs := [one for one in heard if one.transport == transport and one.kind != "clock"])
    ]
    return found, skew_of(heard)


def skew_of(signs: Sequence[Sign]) -> Skew | None:
    """By the answer that took the least time, since that says most. Pure."""
    answers = [
        (one.took_ms, one.ahead_ms) for one in signs if one.took_ms is not None and one.ahead_ms is not None
    ]
    if not answers:
        return None
    took_ms, ahead_ms = min(answers)
    return Skew(ahead_ms=round(ahead_ms, 1), within_ms=round(took_ms / 2, 1))


def _signs(on: Around, of: OfTransport) -> list[Sign]:
    if not isinstance(on, Observed):
        return []
    wanted = (one for one in lines_of(on.signs, Sign) if one.kind != "clock")
    return [one for one in wanted if one.transport == of.transport]
