"""The one place that prints. Results go to stdout, everything else to stderr; JSON is one document.

Rich looks after NO_COLOR, pipes and narrow terminals. Remarks and errors hold no secret; results are what was asked for.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from migctl.redaction import redact
from migctl.telemetry import remark

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text


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

    line = Text()
    line.append("error: ", style="bold red")
    line.append(redact(what))
    if do:
        line.append(f"\n  {redact(do)}")
    _to_stderr(line)


def note(text: str) -> None:
    """A remark on stderr."""
    from rich.text import Text

    _to_stderr(Text(redact(text), style="dim"))


def stderr_is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _to_stderr(text: Text) -> None:
    """A stderr that can't be written never ends a command; in one that logs it never holds it up either."""
    from rich.console import Console

    drawn = io.StringIO()
    Console(file=drawn, force_terminal=stderr_is_terminal(), highlight=False).print(
        text, soft_wrap=True, end=""
    )
    remark(drawn.getvalue())


def drop_unwritten() -> None:
    """Drop what stderr could not take: the interpreter would try once more at its end, and make an exit code of that, 120."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stderr.fileno())
            os.close(nowhere)


def _plain(value: object) -> object:
    """What JSON has no word for: a struct is an object, anything else its text."""
    import msgspec

    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else str(value)


def document(value: object) -> None:
    """One JSON document on stdout: of a struct, or of what JSON knows."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")
    sys.stdout.flush()


def line(value: object) -> None:
    """One NDJSON line on stdout, for commands that stream."""
    sys.stdout.write(json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_plain) + "\n")
    sys.stdout.flush()


def plain(text: str) -> None:
    """Text on stdout as it is, at any width: for what is copied."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def show(*what: RenderableType) -> None:
    """Something rich can draw, on stdout."""
    console().print(*what)


def table(
    columns: Sequence[str | tuple[str, str]],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    tight: bool = False,
) -> None:
    """A table on stdout. A column: a name, or (name, KIND). No header where all names are empty.

    KIND: "left"; "right"; "whole": one line; "figure": right, one line. tight: one blank between columns, none at the edges.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    if tight:
        drawn.padding, drawn.show_edge = 0, False
    drawn.show_header = any(column if isinstance(column, str) else column[0] for column in columns)
    for column in columns:
        name, justify = column if isinstance(column, tuple) else (column, "left")
        drawn.add_column(
            name,
            justify="right" if justify in ("right", "figure") else "left",
            overflow="fold",
            no_wrap=justify in ("whole", "figure"),
        )
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    show(drawn)
