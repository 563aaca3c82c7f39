"""Page: the report as one HTML file: no script, nothing from elsewhere. Every text is escaped; it can hold no markup of its own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from migctl.events.durations import lasting
from migctl.pages.template import figure, template_of
from migctl.rollout.signoff.document import Signoff, Spread
from migctl.rollout.signoff.plots import plots_of

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "page.html"
_LEFT = {
    "begin": "the next stage began", "without_drills": "the next stage began, without drills", "promote": "promoted",
    "promote-forced": "promoted by force", "done": "the last one", "resume": "resumed",
}  # fmt: skip


def page_of(of: Signoff) -> str:
    """The whole file."""
    return _template().render(of=of, plots=plots_of(of))


@cache
def _template() -> Template:
    return template_of(__package__, TEMPLATE, lasting=lasting, spread=_spread, left=_left)


def _left(action: str) -> str:
    return _LEFT.get(action, action)


def _spread(of: Spread | None, unit: str) -> str:
    return "-" if of is None else f"{figure(of.median, unit)}; worst {figure(of.worst, unit)}"
