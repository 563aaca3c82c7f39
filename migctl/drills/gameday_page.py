"""Page of a game day: one HTML file, beside its document and beside the pages of its drills, to which it links."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from migctl.drills.gameday import GameDay, Summary
from migctl.drills.wording import missed
from migctl.events.durations import lasting
from migctl.pages.template import figure, template_of

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "gameday.html"
# Of each the worst is at the top of the page, with the drill that had it.
_SLOWEST = (
    ("slowest to detect", "time_to_detect_ms"),
    ("slowest to fall back", "time_to_fallback_ms"),
    ("slowest to recover", "time_to_recover_ms"),
    ("longest silence", "longest_silence_ms"),
)


def page_of(of: GameDay) -> str:
    """The whole file."""
    return _template().render(of=of, figures=figures_of(of))


def figures_of(day: GameDay) -> list[tuple[str, str, str]]:
    """Of the whole day: name, figure, and which drill that was."""
    found = [
        ("passed", f"{day.passed} of {day.asked}", ""),
        ("lost", *_sum(day, "lost")),
        ("twice", *_sum(day, "duplicates")),
    ]
    for name, measure in _SLOWEST:
        most = max(
            (one for one in day.drills if getattr(one, measure) is not None),
            key=lambda one: float(getattr(one, measure)),
            default=None,
        )
        found.append(
            (name, figure(getattr(most, measure, None), "ms"), most.drill if most is not None else "")
        )
    known = [
        (one.availability_percent, one.drill) for one in day.drills if one.availability_percent is not None
    ]
    least, drill = min(known, default=(None, ""))
    found.append(("lowest availability", figure(least, "%"), drill))
    return found


def _sum(day: GameDay, measure: str) -> tuple[str, str]:
    known = [value for one in day.drills if (value := getattr(one, measure)) is not None]
    return figure(sum(known) if known else None), f"in {len(known)} judged"


def _missed(one: Summary) -> str:
    return missed(one.reason, one.missed)


@cache
def _template() -> Template:
    return template_of(__package__, TEMPLATE, lasting=lasting, missed=_missed, quoted=quote)
