"""Trouble: when an alert is raised, and when it is cleared: once each, not per window. Pure.

| a window | and no alert is out | and one is out |
|---|---|---|
| not seen whole (inconclusive) | raise | nothing |
| seen, beyond a bound | raise | nothing; where what is out was only not seen whole, this is its reason from now on |
| seen, within all bounds | nothing | clear |
| without events, or cut short by the witness's own end | nothing | nothing |
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from migctl.status import AlertStatus
from migctl.validate.witness.minute import Minute


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a window has to hold to be good. They alert; whether a rollout goes on is for its stage's gates."""

    min_match_percent: float = 99.9
    max_lost: int = 0
    min_availability_percent: float = 99.0


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What is told. status: raised or cleared; reason, since: of what raised it; window: the one that it is told after."""

    schema: Literal["migctl.alert/1"] = "migctl.alert/1"
    status: Literal["raised", "cleared"]
    reason: str
    since: datetime
    window: Minute


def fault_of(minute: Minute, bounds: Bounds) -> str | None:
    """What is wrong with a window, in words; None where nothing is."""
    if minute.verdict != "pass":
        return minute.reason or minute.verdict
    match, available = minute.match_percent, minute.availability_percent
    if match is None or available is None:
        return "no figure"
    if minute.lost > bounds.max_lost:
        return f"{minute.lost:,} events lost, and {bounds.max_lost:,} may be"
    if match < bounds.min_match_percent:
        return f"{match:.3f} % match, and {bounds.min_match_percent:g} % must"
    if available < bounds.min_availability_percent:
        return f"{available:.3f} % available, and {bounds.min_availability_percent:g} % must be"
    return None


class Trouble:
    """out: what was raised and is not cleared, by a process before."""

    def __init__(self, bounds: Bounds, out: AlertStatus | None = None) -> None:
        self.bounds = bounds
        self.out = out
        self._is_blind = False  # what is out was not seen whole
        self._raised_by = out.reason if out is not None else ""  # and is cleared by, for who pairs the two

    def after(self, minute: Minute) -> Alert | None:
        """What is to be told after this window."""
        if minute.verdict == "terminated" or minute.quiet:
            return None
        fault, out = fault_of(minute, self.bounds), self.out
        is_blind = minute.verdict != "pass"
        if fault is not None and out is None:
            self.out, self._is_blind = AlertStatus(reason=fault, since=minute.started_at), is_blind
            self._raised_by = fault
            return Alert(status="raised", reason=fault, since=minute.started_at, window=minute)
        if fault is not None and out is not None and self._is_blind and not is_blind:
            self.out, self._is_blind = AlertStatus(reason=fault, since=out.since), False
        if fault is None and out is not None:
            self.out = None
            return Alert(status="cleared", reason=self._raised_by, since=out.since, window=minute)
        return None
