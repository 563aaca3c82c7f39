"""`migctl demo`: the whole job in one command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, output, quantities
from migctl.cli.context import OutputOption
from migctl.cli.live import Display
from migctl.exits import Exit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from migctl.demo import DemoResult, Scene


# What happens to Supabase stands out.
_STYLES = {"outage": "bold red", "back": "bold green"}


def demo(
    seconds: Annotated[
        float,
        typer.Option("--seconds", metavar="TIME", parser=quantities.seconds(4), help="How long to publish."),
    ] = 20.0,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", min=1, help="Events/s, all types together. Default: about 150.", show_default=False
        ),
    ] = None,
    mode: Annotated[
        Literal["websocket", "realtime", "dual"], typer.Option("--mode", "-m", help="What to publish over.")
    ] = "dual",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where captures and report are kept. Default: .migctl/demo-TIME.",
            show_default=False,
        ),
    ] = None,
    keys: Annotated[
        Literal["old", "new"],
        typer.Option(
            "--keys",
            help="Which keys the stack has: old are JWTs; new are sb_ keys, as projects are made today.",
        ),
    ] = "old",
    output_format: OutputOption = "text",
) -> None:
    """See the whole job in under a minute: publish this host's metrics over both transports, and prove that they agree.

    Starts a stack of its own, applies the schema, publishes in dual mode, subscribes on both transports with the official clients,
    kills the stand-in for Supabase midway, and compares what arrived. Then stops everything; exit 0 only if nothing was lost.

    \b
    migctl demo
    migctl demo --seconds 60 --rate 500
    """
    from migctl.clock import now
    from migctl.config import load
    from migctl.demo import demo as run_demo

    folder = out or Path(".migctl") / f"demo-{now():%Y%m%d-%H%M%S}"
    with Display(quiet=output_format == "json") as display:
        result = context.run(
            run_demo(
                out=folder,
                seconds=seconds,
                rate=rate,
                mode=mode,
                keys=keys,
                schema=load().supabase.schema_,
                watch=lambda scene: display.show(
                    scene.since_start_s, scene.line, _draw(scene), style=_STYLES.get(scene.phase, "")
                ),
            )
        )
    if output_format == "json":
        output.document(result.document)
    else:
        _print(result, mode)
    if not result.passed:
        raise typer.Exit(Exit.WANTING)


def _draw(scene: Scene) -> RenderableType | None:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    if scene.phase == "done":
        return None
    working = Spinner("dots", style="cyan")  # drawn by a thread: it turns while a part starts or stops
    if scene.phase == "prepare":
        return working
    rows = Table.grid(padding=(0, 2))
    rows.add_column(width=24)
    rows.add_column(justify="right", width=8)
    rows.add_column(width=30)
    progress = scene.progress
    total = max(progress.published, 1)
    rows.add_row(
        "published, durable",
        f"{progress.published:,}",
        ProgressBar(total=scene.seconds, completed=scene.elapsed_s),
    )
    counts: list[tuple[str, int]] = []
    if progress.table is not None:
        counts.append(("in the Supabase table", progress.table))
    counts += [(f"received over {name}", count) for name, count in progress.received.items()]
    for label, count in counts:
        behind = total - count
        style = "yellow" if behind > total * 0.02 else "green"
        bar = ProgressBar(total=total, completed=count, complete_style=style, finished_style="green")
        rows.add_row(label, f"{count:,}", bar)
    if scene.phase in ("settle", "compare"):
        return Group(Text(""), rows, working)
    return Group(Text(""), rows)


def _print(result: DemoResult, mode: str) -> None:
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    of = result.document
    table = Table.grid(padding=(0, 3))
    table.add_column(style="bold")
    for _ in of.transports:
        table.add_column(justify="right")
    table.add_row("", *(Text(name, style="bold") for name in of.transports))
    sides = of.transports.values()
    table.add_row("received", *(f"{side.received:,} of {of.published:,}" for side in sides))
    latencies = [side.latency_ms for side in sides]
    delays = [side.delay_ms for side in sides]
    table.add_row("p50 live", *(_ms(each.p50 if each is not None else None) for each in latencies))
    table.add_row("p99 live", *(_ms(each.p99 if each is not None else None) for each in latencies))
    table.add_row("p99 of all", *(_ms(each.p99 if each is not None else None) for each in delays))
    table.add_row("longest", *(_ms(each.max if each is not None else None) for each in delays))
    verdict = Text(of.verdict.upper(), style="bold green" if result.passed else "bold red")
    verdict.append(
        f"   lost {of.lost}   duplicates {of.duplicates}   match {_percent(of.match_percent)}",
        style="bold",
    )
    shown: RenderableType = table
    slowest = max((each.max for each in delays if each is not None and each.max is not None), default=None)
    if result.away_s and slowest is not None:
        late = Text(
            f"Supabase was away for {result.away_s:.0f} s. What was published meanwhile came\n"
            f"late over Realtime, {_ms(slowest)} at most; it is not in the figures of live.",
            style="dim",
        )
        shown = Group(table, Text(""), late)
    output.show(Panel(shown, title=verdict, title_align="left", expand=False, padding=(1, 2)))
    migctl = os.environ.get("_MIGCTL_AS", "migctl")
    lines = [
        f"captures, report and logs: {result.folder}",
        "",
        "next:",
        f"  {migctl} validate report {result.folder} --window journal",
        f"  {migctl} stack up",
        f"  {migctl} schema apply",
        f"  {migctl} serve --mode {mode} --source host",
    ]
    output.show(Text("\n".join(lines)))


def _ms(value: float | None) -> str:
    if value is None:
        return "no samples"
    return f"{value:.1f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g} %"
