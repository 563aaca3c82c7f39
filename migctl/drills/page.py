"""Page: what a drill found as one HTML file, beside its document."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from migctl.drills import wording
from migctl.drills.judging import MUST_BE_ZERO
from migctl.drills.plots import clock, plot_of
from migctl.drills.result import Result
from migctl.pages.template import template_of

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "page.html"
# So many ids are on the page; the document has them all.
MOST_IDS = 20


def page_of(of: Result) -> str:
    """The whole file."""
    return _template().render(of=of, plot=plot_of(of), must_be_zero=MUST_BE_ZERO, most_ids=MOST_IDS)


@cache
def _template() -> Template:
    return template_of(
        __package__,
        TEMPLATE,
        measure=wording.measure_of,
        bound=wording.bound_of,
        measured=wording.value_of,
        seconds=_seconds,
        clock=clock,
        value=_value,
        words=lambda name: str(name).replace("_", " "),
    )


def _seconds(at_ms: int | None) -> str:
    """`3.0 s`, since the load began; before it is negative."""
    return "-" if at_ms is None else f"{at_ms / 1000:,.1f} s"


def _value(value: object) -> str:
    """As it stands in the drill's file."""
    return str(value).lower() if isinstance(value, bool) else "nothing" if value is None else str(value)
