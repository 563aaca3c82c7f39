"""`migctl validate watch`: the witness: both transports beside the journal, one window of evidence a minute."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, loudness, output, quantities
from migctl.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from migctl.validate.witness.minute import Minute
    from migctl.validate.witness.trouble import Bounds

SHOWN = 20
# ws, rt: p99 of what came live over WebSocket and Realtime, in ms.
COLUMNS = ("window", "verdict", "events", "match %", "lost", "ws ms", "rt ms", "avail %", "why")


def watch(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="The serve that is watched. Default: http://LISTEN of the settings.",
            show_default=False,
        ),
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option(
            "--windows", metavar="N", min=1, help="End after N windows. Default: never.", show_default=False
        ),
    ] = None,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit 1 where a window was not a pass.")
    ] = False,
    window_s: Annotated[
        float | None,
        typer.Option(
            "--window-s",
            metavar="TIME",
            parser=quantities.seconds(0.5),
            help="Length of a window. Default: 60s.",
            show_default=False,
        ),
    ] = None,
    grace_s: Annotated[
        float | None,
        typer.Option(
            "--grace-s",
            metavar="TIME",
            parser=quantities.seconds(1.5),
            help="So long after a window's end what comes is late, not missing. Default: 5s.",
            show_default=False,
        ),
    ] = None,
    min_match_percent: Annotated[
        float | None,
        typer.Option(
            "--min-match-percent",
            metavar="N",
            min=0.0,
            max=100.0,
            help="Percent of events that must match. Default: 99.9.",
            show_default=False,
        ),
    ] = None,
    max_lost: Annotated[
        int | None,
        typer.Option(
            "--max-lost",
            metavar="N",
            min=0,
            help="Events of a window that may reach no transport. Default: 0.",
            show_default=False,
        ),
    ] = None,
    no_write: Annotated[
        bool, typer.Option("--no-write", help="Show the windows, and write none to the evidence table.")
    ] = False,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option("--log-level", help="Default: warning.", show_default=False),
    ] = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
    kept: Annotated[bool, typer.Option("--kept", hidden=True)] = False,
) -> None:
    """Watch both transports of a running serve, and close one window of evidence a minute.

    The windows go to the evidence table of the target, which gates of a rollout read; while it is away they are kept in the
    state folder. serve runs this by itself (settings: witness). A window counts from its whole minute on, so the first one takes up
    to two. Where serve asks for a token, it is taken from MIGCTL_TOKEN. Ctrl-C is exit code 130, SIGTERM 0.

    \b
    migctl validate watch --windows 10 --exit-status
    """
    from migctl import telemetry
    from migctl.config import load

    telemetry.configure(level=loudness.level(log_level) or "warning", pretty=output.stderr_is_terminal())
    flags: dict[tuple[str, ...], object] = {
        ("evidence", "window_s"): window_s,
        ("evidence", "grace_s"): grace_s,
        ("evidence", "min_match_percent"): min_match_percent,
        ("evidence", "max_lost"): max_lost,
    }
    settings = load(file=config, flags=flags)

    interrupted = asyncio.Event()

    async def work() -> list[Minute]:
        from migctl.runtime.witness import bounds_of, witness_of

        stop = _stopped(kept, interrupted)
        closed_windows: list[Minute] = []
        bounds = bounds_of(settings)
        with Shown(bounds, output_format, quiet=kept) as show:

            def closed(minute: Minute) -> None:
                if windows is not None:
                    closed_windows.append(minute)
                show.add(minute)

            async with witness_of(
                settings, url, bounds=bounds, write=not no_write, notify=output.note, kept=kept
            ) as witness:
                witness.closed = closed
                await witness.run(stop, most=windows)
            show.end()
        return [minute for minute in closed_windows if show.fault(minute) is not None]

    bad = context.run_fast(work())
    if interrupted.is_set():
        output.note("interrupted")
        raise typer.Exit(Exit.INTERRUPTED)
    if exit_status and bad:
        raise typer.Exit(Exit.WANTING)


def _stopped(kept: bool, interrupted: asyncio.Event) -> asyncio.Event:
    """Set at SIGINT or SIGTERM, and where serve, which keeps us, is gone. interrupted: is set too, at SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        interrupted.set()
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    if kept:
        # serve holds the other end of our stdin, and the system closes it however serve ends.
        loop.add_reader(sys.stdin.fileno(), stop.set)
    return stop


class Shown:
    """A table that grows on a terminal, a line a window elsewhere; NDJSON with the summary last. quiet: nothing."""

    def __init__(self, bounds: Bounds, output_format: str, *, quiet: bool) -> None:
        from migctl.validate.witness.trouble import fault_of

        self._fault: Callable[[Minute, Bounds], str | None] = fault_of
        self._bounds = bounds
        self._json = output_format == "json"
        self._quiet = quiet
        self.minutes: list[Minute] = []
        self._counts: dict[str, int] = {}
        console = output.console()
        self._live = None
        if console.is_terminal and not self._json and not quiet:
            from rich.live import Live

            self._live = Live(self.table(), console=console, auto_refresh=False)

    def __enter__(self) -> Shown:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def fault(self, minute: Minute) -> str | None:
        return self._fault(minute, self._bounds)

    def verdict(self, minute: Minute) -> str:
        return "fail" if minute.verdict == "pass" and self.fault(minute) is not None else minute.verdict

    def add(self, minute: Minute) -> None:
        verdict = self.verdict(minute)
        self._counts[verdict] = self._counts.get(verdict, 0) + 1
        if self._quiet:
            return
        if self._json:
            import msgspec

            document = {"schema": "migctl.minute/1", **msgspec.to_builtins(minute)}
            output.line({**document, "verdict": verdict, "reason": self.fault(minute)})
            return
        self.minutes = [*self.minutes, minute][-SHOWN:]
        if self._live is not None:
            self._live.update(self.table(), refresh=True)
        else:
            cells = zip(COLUMNS, self._cells(minute), strict=True)
            output.plain("  ".join(f"{name} {cell}" for name, cell in cells if cell))

    def end(self) -> None:
        if self._json and not self._quiet:
            output.line(
                {"schema": "migctl.watch/1", "windows": sum(self._counts.values()), "verdicts": self._counts}
            )

    def table(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption_justify="left")
        rows = [self._cells(minute) for minute in self.minutes]
        for column, name in enumerate(COLUMNS[:-1]):
            width = max(len(name), *(len(row[column]) for row in rows), 0)
            is_word = name in ("window", "verdict")
            drawn.add_column(name, justify="left" if is_word else "right", no_wrap=True, min_width=width)
        # What does not fit stands below the table.
        drawn.add_column(COLUMNS[-1], no_wrap=True, overflow="ellipsis")
        for minute, row in zip(self.minutes, rows, strict=True):
            style = "" if self.verdict(minute) == "pass" else "yellow"
            drawn.add_row(*(Text(cell, style=style) for cell in row))
        if self.minutes and (fault := self.fault(self.minutes[-1])) is not None:
            drawn.caption = Text(fault)
        return drawn

    def _cells(self, minute: Minute) -> list[str]:
        def p99(name: str) -> str:
            figures = minute.transports.get(name)
            return _number(figures.latency_p99_ms if figures is not None else None, 0)

        return [
            f"{minute.started_at:%H:%M:%S}",
            self.verdict(minute),
            f"{minute.expected:,}",
            _number(minute.match_percent, 2),
            f"{minute.lost:,}",
            p99("websocket"),
            p99("realtime"),
            _number(minute.availability_percent, 2),
            self.fault(minute) or "",
        ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
