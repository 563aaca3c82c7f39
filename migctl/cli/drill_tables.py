"""Drills that were run, with what they measured: a table that fits into 80 columns, and what was missed beside or below it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from migctl.cli import output
from migctl.cli.drill_view import coloured

if TYPE_CHECKING:
    from migctl.drills.gameday import Summary
    from migctl.drills.result import Result

# Below it there is no room for words beside the figures.
_WIDE = 120


def print_table(drills: Sequence[Result | Summary], *, dated: bool) -> None:
    """dated: each with when it began, where they are not of one day. Times are in milliseconds."""
    from migctl.pages.template import figure

    wide = output.console().width >= _WIDE
    columns: list[tuple[str | tuple[str, str], Callable[[Result | Summary], object]]] = [
        *([(("WHEN, UTC", "whole"), _when)] if dated else []),
        ("DRILL", lambda one: one.drill),
        (("VERDICT", "whole"), lambda one: coloured(one.verdict)),
        (("LOST", "figure"), lambda one: figure(one.lost)),
        *([(("TWICE", "figure"), lambda one: figure(one.duplicates))] if wide or not dated else []),
        (("DETECT", "figure"), lambda one: figure(one.time_to_detect_ms)),
        (("BACK", "figure"), lambda one: figure(one.time_to_fallback_ms)),
        (("RECOVER", "figure"), lambda one: figure(one.time_to_recover_ms)),
        (("AVAIL%", "figure"), lambda one: percent(one.availability_percent)),
        *([("MISSED", missed_of)] if wide else []),
    ]
    rows = [[value(one) for _, value in columns] for one in drills]
    output.table([name for name, _ in columns], rows, tight=not wide)
    failed = [] if wide else [one for one in drills if missed_of(one)]
    if not wide:
        output.plain("")
    for one in failed:
        output.plain(f"{_when(one) + ' ' if dated else ''}{one.drill}: {missed_of(one)}")


def missed_of(one: Result | Summary) -> str:
    """What kept it from passing."""
    from migctl.drills.result import Result
    from migctl.drills.wording import missed

    return missed(one.reason, one.objectives if isinstance(one, Result) else one.missed)


def percent(value: float | None) -> str:
    """Two digits at most, and never more than it is: 99.996 is not 100."""
    return "-" if value is None else f"{math.floor(100 * value) / 100:g}"


def _when(one: Result | Summary) -> str:
    return f"{one.started_at:%Y-%m-%d %H:%M}"
