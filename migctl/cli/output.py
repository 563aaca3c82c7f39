"""The one place that prints. Results go to stdout, everything else to stderr; JSON is one document.

Rich looks after NO_COLOR, pipes and narrow terminals. Remarks and errors hold no secret; results are what was asked for.
Whoever sent it, nothing that is printed is an order to the terminal but our own colours (`printable`), and no text is markup.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import select
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from migctl.printable import shown, shown_json
from migctl.redaction import redact
from migctl.telemetry import remark

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text


# Wider than anything that is drawn, and yet a width: some things fill it with blanks first.
_PIPE_WIDTH = 10_000
_quiet = False


@functools.cache
def _kind() -> type[Console]:
    """Made when it is first asked for: rich takes a while to be imported."""
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

    class Showing(Console):
        """Draws text, and no orders that stand in it."""

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(shown(segment.text), segment.style)

    return Showing


def _console(**options: Any) -> Console:
    # A bracket in a text is a bracket, and `:warning:` no picture.
    return _kind()(highlight=False, markup=False, emoji=False, **options)


def console() -> Console:
    """For results. In a pipe or a file nothing is wrapped, unless COLUMNS says how wide it is."""
    return _console(width=_width())


def _width() -> int | None:
    """None: that of the terminal, or of COLUMNS."""
    return None if sys.stdout.isatty() or os.environ.get("COLUMNS") else _PIPE_WIDTH


def console_err() -> Console:
    """For progress, questions and remarks."""
    return _console(stderr=True)


def error(what: str, do: str | None) -> None:
    """`error: WHAT`, and below it the way out."""
    from rich.text import Text

    line = Text()
    line.append("error: ", style="bold red")
    line.append(redact(what))
    if do:
        line.append(f"\n  {redact(do)}")
    _to_stderr(line)


def be_quiet(wanted: bool) -> None:
    """Whether there is no remark and no progress from now on."""
    global _quiet  # noqa: PLW0603 - a process has one stderr
    _quiet = wanted


def is_quiet() -> bool:
    return _quiet


def note(text: str) -> None:
    """A remark on stderr."""
    if _quiet:
        return
    from rich.text import Text

    _to_stderr(Text(redact(text), style="dim"))


def stderr_is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _to_stderr(text: Text) -> None:
    """A stderr that can't be written never ends a command; in one that logs it never holds it up either."""
    drawn = io.StringIO()
    _console(file=drawn, force_terminal=stderr_is_terminal()).print(text, soft_wrap=True, end="")
    remark(drawn.getvalue(), drawn=True)


def nobody_reads() -> bool:
    """Whether stdout is a pipe whose other end is closed."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
        return any(events & select.POLLERR for _, events in poll.poll(0))
    except (OSError, ValueError, AttributeError):
        return False


def drop_unwritten(stream: TextIO | None = None) -> None:
    """Drop what stderr, or this stream, could not take: the interpreter would try once more at its end, and make an exit code of
    that, 120.
    """
    stream = stream or sys.stderr
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _plain(value: object) -> object:
    """What JSON has no word for: a struct is an object, anything else its text."""
    import msgspec

    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else str(value)


def document(value: object) -> None:
    """One JSON document on stdout: of a struct, or of what JSON knows."""
    sys.stdout.write(shown_json(json.dumps(value, indent=2, ensure_ascii=False, default=_plain)) + "\n")
    sys.stdout.flush()


def line(value: object) -> None:
    """One NDJSON line on stdout, for commands that stream."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_plain)
    sys.stdout.write(shown_json(text) + "\n")
    sys.stdout.flush()


def plain(text: str) -> None:
    """Text on stdout as it is, at any width: for what is copied."""
    sys.stdout.write(shown(text) + "\n")
    sys.stdout.flush()


def show(*what: RenderableType) -> None:
    """Something rich can draw, on stdout. In a pipe or a file nothing is padded, or wrapped as `console` says."""
    if sys.stdout.isatty():
        console().print(*what)
        return
    drawn = io.StringIO()
    _console(file=drawn, width=_width()).print(*what)
    sys.stdout.write("".join(f"{line.rstrip(' ')}\n" for line in drawn.getvalue().splitlines()))
    sys.stdout.flush()


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
        # Written out before it is measured, or the columns would not stand one below the other.
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(shown(str(cell))) for cell in row))
    show(drawn)
