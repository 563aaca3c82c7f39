"""`migctl replay`: recorded events through both transports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, output, quantities
from migctl.cli.context import ConfigOption, OutputOption, YesOption
from migctl.cli.live import Display
from migctl.exits import Exit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from migctl.config import Settings, Target
    from migctl.replay.recording import Facts
    from migctl.replay.run import ReplayResult, ReplayScene


def replay(
    recording: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="NDJSON: a capture, an export, or anybody's events with --map."),
    ],
    speed: Annotated[
        str, typer.Option("--speed", metavar="N|max", help="Times as fast as recorded, or max.")
    ] = "1",
    max_wait: Annotated[
        float,
        typer.Option(
            "--max-wait",
            metavar="TIME",
            parser=quantities.seconds(),
            help="Longest pause between two events.",
        ),
    ] = 5.0,
    transport: Annotated[
        Literal["websocket", "realtime", "dual"], typer.Option("--transport", help="What to publish over.")
    ] = "dual",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Tell count, span, steps back, duplicates and time; publish nothing."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where captures and report are kept. Default: .migctl/replay-TIME.",
            show_default=False,
        ),
    ] = None,
    map_: context.MapOption = None,
    ignore: context.IgnoreOption = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out lines that are no events, and count them.")
    ] = False,
    on_target: Annotated[
        bool,
        typer.Option(
            "--on-target",
            help="Publish to the project of SUPABASE_URL rather than to a stack of its own; asks first.",
        ),
    ] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    output_format: OutputOption = "text",
) -> None:
    """Publish recorded events with their pacing, capture what each transport delivers, and compare.

    Runs on a stack of its own, which it stops again. Leaves the journal, the captures and report.json in --out;
    exit 0 only if nothing was lost and everything agreed.

    \b
    migctl replay old.ndjson --dry-run
    migctl replay old.ndjson --speed max
    """
    from migctl.clock import now
    from migctl.config import load
    from migctl.ingest import parse_map
    from migctl.replay.pacing import parse_speed
    from migctl.replay.recording import Recording, survey
    from migctl.replay.run import refuse_bad_lines
    from migctl.replay.run import replay as run_replay

    settings = load(file=config)
    mapper = parse_map(map_ or [], settings.source, ignore=[ignore] if ignore else [])
    factor = parse_speed(speed)
    read = Recording(recording, mapper=mapper)
    facts = survey(read, arrived=now(), speed=factor, max_wait_s=max_wait)
    if dry_run:
        _print_facts(facts, recording, speed, output_format)
        return
    if not skip_bad or not facts.reading.events:
        refuse_bad_lines(recording, facts)
    target = _confirmed(settings, yes) if on_target else None
    folder = out or Path(".migctl") / f"replay-{now():%Y%m%d-%H%M%S}"
    with Display(quiet=output_format == "json") as display:
        result = context.run(
            run_replay(
                read,
                facts,
                out=folder,
                mode=transport,
                speed=factor,
                max_wait_s=max_wait,
                target=target,
                journal=settings.journal_path if target is not None else None,
                schema=settings.supabase.schema_,
                config=config,
                watch=lambda scene: display.show(scene.since_start_s, scene.line, _draw(scene)),
            )
        )
    if output_format == "json":
        output.document(result.document)
    else:
        _print(result, facts)
    if not result.passed:
        raise typer.Exit(Exit.WANTING)


def _confirmed(settings: Settings, yes: bool) -> Target:
    from migctl.cli.prompt import confirm
    from migctl.config import from_environment
    from migctl.errors import Usage

    target = from_environment(settings)
    if target is None:
        raise Usage(
            "--on-target, and SUPABASE_URL is not set", do="export SUPABASE_URL=..., or leave --on-target out"
        )
    confirm(f"publish the recording to {target.name}?", yes=yes, target=target)
    return target


def _print_facts(facts: Facts, path: Path, speed: str, output_format: str) -> None:
    if output_format == "json":
        output.document({"schema": "migctl.recording/1", "recording": str(path), **facts.document()})
        return
    from migctl.events import format_time

    read = facts.reading
    rows = [
        ("events", f"{read.events:,}"),
        ("first", format_time(facts.first) if facts.first is not None else "-"),
        ("last", format_time(facts.last) if facts.last is not None else "-"),
        ("span", _span(facts.span_s)),
        ("steps back in time", f"{facts.steps_back:,} (largest {_span(facts.largest_step_back_s)})"),
        ("without a time", f"{facts.without_time:,}"),
        ("a time that can't be read", f"{read.times_replaced:,}"),
        ("fields left out", f"{read.unmapped.total():,} {', '.join(read.unmapped)[:200]}".strip()),
        ("duplicate ids", f"{facts.duplicate_ids:,}"),
        ("event types", f"{len(facts.by_event_type):,}"),
        ("ignored", f"{read.ignored + read.control:,}"),
        (
            "not an event",
            f"{read.rejected:,}" + (" and a torn last line" if read.torn_last_line else ""),
        ),
        (f"time at --speed {speed}", _span(facts.expected_s)),
    ]
    output.table(["", ("", "right")], rows, title=str(path))
    for line, reason in read.reasons[:5]:
        output.note(f"{path}:{line}: {reason}")


def _span(seconds: float) -> str:
    from datetime import timedelta

    if seconds < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))


def _draw(scene: ReplayScene) -> RenderableType | None:
    if not scene.published:
        return None
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 2))
    rows.add_column(width=24)
    rows.add_column(justify="right", width=9)
    rows.add_column(width=30)
    rows.add_row(
        "published", f"{scene.published:,}", ProgressBar(total=max(scene.total, 1), completed=scene.published)
    )
    for name, count in scene.progress.received.items():
        rows.add_row(
            f"received over {name}", f"{count:,}", ProgressBar(total=max(scene.total, 1), completed=count)
        )
    wanted = "as fast as it goes" if scene.wanted_per_s is None else f"{scene.wanted_per_s:,.1f}/s wanted"
    left = "" if scene.left_s is None else f", {scene.left_s:.0f} s left"
    return Group(Text(""), rows, Text(f"{scene.achieved_per_s:,.1f}/s achieved, {wanted}{left}", style="dim"))


def _print(result: ReplayResult, facts: Facts) -> None:
    from rich.text import Text

    from migctl.cli.report_view import before_journal

    of = result.document
    verdict = Text(of.verdict.upper(), style="bold green" if result.passed else "bold red")
    verdict.append(f"   lost {of.lost}   match {of.match_percent} %", style="bold")
    output.show(verdict)
    output.show(*(Text(*part) for part in before_journal(of.before_journal)))
    if facts.reading.rejected or facts.reading.torn_last_line:
        torn = " and a torn last line" if facts.reading.torn_last_line else ""
        output.note(f"left out: {facts.reading.rejected} lines that are no events{torn}")
    wanted = "" if of.wanted_per_s is None else f" (wanted {of.wanted_per_s:,.1f}/s)"
    output.show(f"{of.published:,} events in {of.seconds:.1f} s: {of.achieved_per_s:,.1f}/s{wanted}")
    output.show(f"captures, report and logs: {result.folder}")
    output.show(f"next: migctl validate report {result.folder} --window journal")
