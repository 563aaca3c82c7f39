"""The one place that prints. Results go to stdout, everything else to stderr; JSON is one document.

Rich looks after NO_COLOR, pipes and narrow terminals.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def console() -> Console:
    """For results."""
    from rich.console import Console

    return Console(highlight=False)


def console_err() -> Console:
    """For progress, questions and remarks."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def error(what: str, do: str | None) -> None:
    """`error: WHAT`, and below it the way out."""
    from rich.text import Text

    err = console_err()
    line = Text()
    line.append("error: ", style="bold red")
    line.append(what)
    if do:
        line.append(f"\n  {do}")
    err.print(line, soft_wrap=True)


def note(text: str) -> None:
    """A remark on stderr."""
    from rich.text import Text

    console_err().print(Text(text, style="dim"), soft_wrap=True)


def document(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def line(value: Any) -> None:
    """One NDJSON line on stdout, for commands that stream."""
    sys.stdout.write(json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def plain(text: str) -> None:
    """Text on stdout as it is, at any width: for what is copied."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def show(*what: RenderableType) -> None:
    """Something rich can draw, on stdout."""
    console().print(*what)


def table(
    columns: Sequence[str | tuple[str, str]], rows: Iterable[Sequence[Any]], *, title: str | None = None
) -> None:
    """A table on stdout. A column is a name, or (name, "left" | "right"); no header where all names are empty."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    drawn.show_header = any(column if isinstance(column, str) else column[0] for column in columns)
    for column in columns:
        name, justify = column if isinstance(column, tuple) else (column, "left")
        drawn.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    show(drawn)
