"""Frame: a plot of 1000 by 100, with ticks and marks in percent of it. A page draws it, at whatever size it has."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

WIDTH, HEIGHT = 1000.0, 100.0


class Tick(msgspec.Struct, frozen=True):
    """at: percent of the frame, from the left or from the top."""

    at: float
    label: str


class Line(msgspec.Struct, frozen=True):
    """path: as SVG has it; empty where there is no figure at all."""

    name: str
    style: str
    path: str


class Mark(msgspec.Struct, frozen=True):
    """A time that is marked, from `at` on for `width` percent of the frame."""

    at: float
    width: float
    label: str


def nice(span: float, steps: Sequence[float] = (1, 2, 4, 8)) -> float:
    """The next of these steps times a power of ten that is no less. span: above 0. steps: from 1 on, below 10."""
    power = 10.0 ** math.floor(math.log10(span))
    return float(next(step * power for step in (*steps, 10) if step * power >= span))


def text(value: float) -> str:
    """A coordinate: two digits at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
