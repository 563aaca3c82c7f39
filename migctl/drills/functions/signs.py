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
from migctl.drills.world.around import Around
from migctl.drills.world.observed import Observed
from migctl.drills.world.signs import Sign


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


def _signs(on: Around, of: OfTransport) -> list[Sign]:
    if not isinstance(on, Observed):
        return []
    return [one for one in lines_of(on.signs, Sign) if one.transport == of.transport]
