"""`migctl drill run`: one drill, from its file to its verdict."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output
from migctl.cli.drill_view import draw, print_result
from migctl.cli.live import Display

if TYPE_CHECKING:
    from migctl.drills.conducting import Order
    from migctl.drills.functions.soak import Changes
    from migctl.drills.running import Run
    from migctl.drills.sampling import Moment

DRAW_S = 0.25
EXIT_CODES = {"pass": 0, "terminated": context.EXIT_INTERRUPTED}


def run(
    drill: Annotated[str, typer.Argument(metavar="NAME|FILE", help="One of `migctl drill list`, or a file.")],
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            metavar="REMEDY",
            help="Switch a remedy off, to show that the drill can fail; `drill show NAME` lists them.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            metavar="N",
            min=1,
            help="Events a second, in place of the file's.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", metavar="DIR", help="A new folder for logs, captures and journal.", show_default=False
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            metavar="N",
            min=0.01,
            help="Of a drill that draws its faults, such as soak: how long.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(
            "--every",
            metavar="S",
            min=0.1,
            help="Of such a drill: seconds from one fault to the next.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="N",
            min=0,
            help="Of such a drill: draw the same faults again; it is printed.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="FAULT",
            help="Of such a drill: draw this fault; may be given several times. `drill show NAME` lists them.",
            show_default=False,
        ),
    ] = None,
    confirm: Annotated[
        str | None,
        typer.Option(
            "--confirm",
            metavar="NAME",
            help="The target's name, where it is not the embedded stack.",
            show_default=False,
        ),
    ] = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Run a drill on a stack of its own: `serve` with your settings, producers, subscribers, and one failure after the other.

    Exit 1 where an objective is missed or the system did not come back to a steady state. What it measured is kept in the state
    folder, with a page for people: `migctl drill history`.
    """
    from migctl.drills.conducting import conduct
    from migctl.drills.functions.soak import Changes
    from migctl.drills.history import page_path

    changes = Changes(minutes, every, seed, tuple(only or ()))
    with Display(quiet=output_format == "json") as display:
        order = _order(drill, without or [], keep, confirm, config, rate, changes)
        result = conduct(order, _Watch(display))
    if output_format == "json":
        output.document(result)
    else:
        print_result(result, page_path(order.state, result.id))
    code = EXIT_CODES.get(result.verdict, 1)
    if code:
        raise typer.Exit(code)


def _order(
    drill: str,
    without: list[str],
    keep: Path | None,
    confirm: str | None,
    config: Path | None,
    rate: float | None,
    changes: Changes,
) -> Order:
    from migctl.config.digest import delivery_digest
    from migctl.config.loading import resolved
    from migctl.drills import catalog
    from migctl.drills.conducting import Order
    from migctl.drills.functions.checking import read, with_changes
    from migctl.drills.remedies import check, overlays
    from migctl.drills.settings import drilled, refuse_foreign

    settings = resolved(file=config).settings
    path = catalog.path_of(drill)
    checked = with_changes(read(path).at(rate), path.stem, changes)
    refuse_foreign(settings, confirm)
    check(checked.drill, path.stem, without)
    return Order(
        name=path.stem,
        checked=checked,
        state=settings.state,
        settings=drilled(settings, checked.drill.configuration.settings, *overlays(without)),
        without=without,
        config=delivery_digest(settings),
        keep=keep,
        counts=not changes.are_other_faults,
    )


class _Watch:
    """Prints what happens, line by line, with the seconds since the load began."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._began = 0.0
        self._drawn = 0.0

    def moment(self, moment: Moment) -> None:
        if moment.kind == "phase" and moment.what == "load":
            self._began = moment.at
        seconds = moment.at - self._began if self._began else 0.0
        self._display.show(seconds, f"{moment.kind:<10} {moment.what}")

    def tick(self, run: Run) -> None:
        now = time.monotonic()
        if not self._display.is_live or not self._began or not run.samples or now < self._drawn + DRAW_S:
            return
        self._drawn = now
        self._display.draw(draw(time.time() - self._began, run.samples[-1], run.armed, run.heads()))
