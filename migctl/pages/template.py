"""Templates: those of a room, with what all pages share: `page.css`, and how figures and times are written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

SHARED = "page.css"
Filter = Callable[..., str]


def template_of(package: str, name: str, **filters: Filter) -> Template:
    """The template `name` of this package. filters: those of its own, by name."""

    def source(asked: str) -> str:
        return files(__package__ if asked == SHARED else package).joinpath(asked).read_text(encoding="utf-8")

    # Also in attributes and titles: nothing that comes from a reason, a name or a file is ever markup.
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=FunctionLoader(source),
    )
    environment.filters |= {"at": at, "figure": figure, **filters}
    return environment.get_template(name)


def at(moment: datetime | None) -> str:
    """UTC; a dash where there is none."""
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def figure(value: float | None, unit: str = "") -> str:
    """`1,234`, `99.98 %`; a dash where there is none: absence is no zero."""
    if value is None:
        return "-"
    text = (
        f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}" if value < 99 else f"{value:,.6g}"
    )
    return f"{text} {unit}".rstrip()
