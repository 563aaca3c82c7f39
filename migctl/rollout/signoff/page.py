"""Page: the report as one HTML file: no script, nothing from elsewhere. Every text is escaped; it can hold no markup of its own."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from migctl.events.durations import lasting
from migctl.rollout.signoff.document import Signoff, Spread
from migctl.rollout.signoff.plots import plots_of

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
    # Also in attributes and titles: nothing that comes from a reason, a name or a stage's file is ever markup.
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "at": _at,
        "lasting": lasting,
        "figure": _figure,
        "spread": _spread,
        "left": _left,
    }
    return environment.from_string(files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8"))


def _at(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _left(action: str) -> str:
    return _LEFT.get(action, action)


def _figure(value: float | None, unit: str = "") -> str:
    """`1,234`, `99.98 %`; a dash where there is none: absence is no zero."""
    if value is None:
        return "-"
    text = (
        f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}" if value < 99 else f"{value:,.6g}"
    )
    return f"{text} {unit}".rstrip()


def _spread(of: Spread | None, unit: str) -> str:
    return "-" if of is None else f"{_figure(of.median, unit)}; worst {_figure(of.worst, unit)}"
