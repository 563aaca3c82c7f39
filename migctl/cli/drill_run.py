"""`migctl drill run`: one drill, from its file to its verdict; or, with `--all`, a game day."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output, quantities
from migctl.cli.drill_gameday import may_drill, run_all
from migctl.cli.drill_view import draw, leave_by, print_result
from migctl.cli.live import Display

if TYPE_CHECKING:
    from migctl.drills.running import Run
    from migctl.drills.sampling import Moment

DRAW_S = 0.25


def run(
    drill: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE", help="One of `migctl drill list`, or a file.", show_default=False
        ),
    ] = None,
    every_drill: Annotated[
        bool,
        typer.Option(
            "--all", help="A game day: each drill, one after another, but not one that draws its faults."
        ),
    ] = False,
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
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="ws://...",
            help="A live stream that the drill's serve taps, in place of made events; mapped as `source` of the settings.",
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
            help="Of a drill that draws its faults, such as soak, or that listens: how long.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(
            "--every",
            metavar="TIME",
            parser=quantities.seconds(0.1),
            help="Of such a drill: from one fault to the next.",
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
            metavar="NAME",
            help="Of such a drill: draw this fault; with --all: run this drill. May be given several times.",
            show_default=False,
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            "--skip",
            metavar="NAME",
            help="With --all: do not run this drill; may be given several times.",
            show_default=False,
        ),
    ] = None,
    confirm: Annotated[
        str | None,
        typer.Option(
            "--confirm",
            metavar="NAME",
            help="The address of the project, where SUPABASE_URL names one of your own: it is drilled.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Of a read-only drill: the serve to listen to. Default: http://LISTEN of the settings.",
            show_default=False,
        ),
    ] = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Run a drill on a stack of its own: `serve` with your settings, producers, subscribers, and one failure after the other.

    With SUPABASE_URL set to a project of your own it runs there, once its name is typed or given: nothing may live in it yet, and
    what the drill wrote is taken out again.

    Exit 1 where an objective is missed or the system did not come back to a steady state. What it measured is kept in the state
    folder, with a page for people: `migctl drill history`.

    \b
    migctl drill run failover
    migctl drill run --all --skip both-down
    """
    from migctl.config.loading import resolved
    from migctl.drills.conducting import conduct
    from migctl.drills.functions.soak import Changes
    from migctl.drills.history import page_path
    from migctl.drills.ordering import ordered
    from migctl.drills.world.project import project_of
    from migctl.errors import Usage

    changes = Changes(minutes, every, seed, tuple(only or ()))
    settings = resolved(file=config).settings
    project = project_of(settings)
    if not every_drill:
        if drill is None or skip:
            what = "--skip is said of a game day" if skip else "no drill is named"
            raise Usage(what, do="name one of `migctl drill list`, or run them all with --all")
        with Display(quiet=output_format == "json") as display:
            order = ordered(
                settings,
                drill,
                without=without or [],
                keep=keep,
                rate_per_s=rate,
                changes=changes,
                url=url,
                source=source,
                project=project,
            )
            if order.project is not None:  # one that only listens may do so anywhere
                may_drill(order.project, f"drill {order.name}", confirm)
            result = conduct(order, _Watch(display))
        if output_format == "json":
            output.document(result)
        else:
            print_result(result, page_path(order.state, result.id))
        leave_by(result.verdict)
        return
    if (
        drill is not None
        or without
        or url is not None
        or source is not None
        or not replace(changes, only=()).are_none
    ):
        what = "with --all no drill is named, none is made longer or shorter, and no remedy is switched off"
        raise Usage(what, do="choose drills with --only NAME and --skip NAME")
    run_all(settings, only or [], skip or [], rate, keep, output_format, project, confirm)


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
