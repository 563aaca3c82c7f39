"""Pacing: when each recorded event is due again. Pure.

An event is due when the recording's clock has come that far, divided by the speed. Only progress counts: an event whose time lies
before the latest one is due at once, and costs nothing later (198 steps back in a recording would otherwise make it many times
longer). No wait is longer than `max_wait_s`, in seconds of the replay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from migctl.errors import Usage

T = TypeVar("T")

Speed = float | Literal["max"]


def parse_speed(text: str) -> Speed:
    """`10`, `10x`, `0.5` or `max`. Raises Usage."""
    if text == "max":
        return "max"
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = math.nan
    if not (math.isfinite(speed) and speed > 0):
        raise Usage(
            f"--speed {text}: expected a number above 0, or max",
            do="--speed 10 is ten times as fast as recorded",
        )
    return speed


@dataclass(slots=True)
class Pacer:
    """Feed it the times in the order of the recording.

    speed: times as fast as recorded, or "max": everything is due at once. max_wait_s: None for no bound.
    """

    speed: Speed = 1.0
    max_wait_s: float | None = None
    _latest: datetime | None = None
    _due_s: float = 0.0

    def due_s(self, at: datetime | None) -> float:
        """Seconds after the start at which this event is due; never less than the one before.

        at: None for an event whose time is not known: it goes with the one before.
        """
        if at is None or self.speed == "max":
            return self._due_s
        if self._latest is None:
            self._latest = at
        elif at > self._latest:
            wait_s = (at - self._latest).total_seconds() / self.speed
            self._due_s += wait_s if self.max_wait_s is None else min(wait_s, self.max_wait_s)
            self._latest = at
        return self._due_s


def schedule(
    recorded: Iterable[T], at: Callable[[T], datetime | None], pacer: Pacer, *, max_group: int = 500
) -> Iterator[tuple[float, list[T]]]:
    """(due_s, events) in order: those that are due together are published together, at most `max_group` at a time.

    Reads no further ahead than one event.
    """
    group: list[T] = []
    group_due = 0.0
    for item in recorded:
        due = pacer.due_s(at(item))
        if group and (due > group_due or len(group) >= max_group):
            yield group_due, group
            group = []
        group_due = due
        group.append(item)
    if group:
        yield group_due, group
