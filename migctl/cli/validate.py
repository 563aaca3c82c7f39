"""`migctl validate`: compare what subscribers received with what the journal holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from migctl.cli import output, quantities, validate_watch
from migctl.cli.context import OutputOption
from migctl.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Compare captures with each other and with the journal.")


app.command("watch", short_help="Watch both transports, one window a minute.")(validate_watch.watch)


@app.callback()
def _group() -> None:
    pass


@app.command("report", short_help="Compare captures with the journal; a verdict.")
def report(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="Folder with websocket.ndjson, realtime.ndjson and, if they are there, dual, legacy and journal.ndjson.",
            show_default=False,
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal",
            metavar="F",
            help="The journal: an NDJSON export or its SQLite file.",
            show_default=False,
        ),
    ] = None,
    websocket: Annotated[
        Path | None,
        typer.Option("--websocket", metavar="F", help="Capture of the WebSocket side.", show_default=False),
    ] = None,
    realtime: Annotated[
        Path | None,
        typer.Option("--realtime", metavar="F", help="Capture of the Realtime side.", show_default=False),
    ] = None,
    dual: Annotated[
        Path | None,
        typer.Option(
            "--dual", metavar="F", help="Capture of the whole subscriber, with --journal.", show_default=False
        ),
    ] = None,
    legacy: Annotated[
        Path | None,
        typer.Option(
            "--legacy", metavar="F", help="Capture of the old socket, with --journal.", show_default=False
        ),
    ] = None,
    tombstones: Annotated[
        Path | None,
        typer.Option(
            "--tombstones",
            metavar="F",
            help="Rows of the tombstones table, NDJSON; duplicate_of ones are not expected.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        Literal["captures", "journal"],
        typer.Option(
            "--window", help="Expect what was committed while all captures ran, or all of the journal."
        ),
    ] = "captures",
    late_after: Annotated[
        float,
        typer.Option(
            "--late-after",
            metavar="TIME",
            parser=quantities.seconds(),
            help="So long after the commit is late.",
        ),
    ] = 5.0,
    min_match_percent: Annotated[
        float,
        typer.Option(
            "--min-match-percent", metavar="N", min=0.0, max=100.0, help="Gate: percent of events that match."
        ),
    ] = 99.9,
    max_lost: Annotated[
        int, typer.Option("--max-lost", metavar="N", min=0, help="Gate: events that reached no transport.")
    ] = 0,
    min_events: Annotated[
        int,
        typer.Option("--min-events", metavar="N", min=1, help="Gate: events that a verdict must rest on."),
    ] = 1,
    max_latency_p99_ms: Annotated[
        float | None,
        typer.Option(
            "--max-latency-p99-ms",
            metavar="N",
            min=0.0,
            help="Gate: p99 from commit to subscriber, of live events of the slowest transport. Default: none.",
            show_default=False,
        ),
    ] = None,
    max_delay_p99_ms: Annotated[
        float | None,
        typer.Option(
            "--max-delay-p99-ms",
            metavar="N",
            min=0.0,
            help="Gate: the same of all events, also those that were caught up on. Default: none.",
            show_default=False,
        ),
    ] = None,
    max_rejected: Annotated[
        int | None,
        typer.Option(
            "--max-rejected",
            metavar="N",
            min=0,
            help="Gate: what sources rejected before the journal. Default: none.",
            show_default=False,
        ),
    ] = None,
    max_legacy_missing: Annotated[
        int | None,
        typer.Option(
            "--max-legacy-missing",
            metavar="N",
            min=0,
            help="Gate: events that the old socket did not bring. Default: none.",
            show_default=False,
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option("--examples", metavar="N", min=0, help="Discrepancies of each kind to name.")
    ] = 5,
    discrepancies: Annotated[
        Path | None,
        typer.Option(
            "--discrepancies",
            metavar="F",
            help="Write all discrepancies to this file, NDJSON.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="F", help="Also write the report as JSON to this file.", show_default=False
        ),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of --output json, and compare nothing.")
    ] = False,
    output_format: OutputOption = "text",
) -> None:
    """Compare captures, with the journal as the truth where it is given, and give a verdict.

    Spelling is no difference: order of keys, duplicate keys, numbers and times. Exit 0 only for the verdict pass;
    fail, inconclusive and terminated exit 1, input that can't be read exits 2.

    \b
    migctl validate report capture --journal .migctl/journal.db
    migctl validate report capture --legacy old.ndjson --max-legacy-missing 0
    """
    from migctl.runtime.report import READER
    from migctl.validate import Bounds
    from migctl.validate import report as compare
    from migctl.validate.result import json_schema

    if schema:
        output.document(json_schema())
        return
    captures = {
        name: path
        for name, path in (
            ("websocket", websocket),
            ("realtime", realtime),
            ("dual", dual),
            ("legacy", legacy),
        )
        if path is not None
    }
    made = compare(
        folder,
        journal=journal,
        reader=READER,
        captures=captures,
        tombstones=tombstones,
        window=window,
        late_after_s=late_after,
        bounds=Bounds(
            min_match_percent,
            max_lost,
            min_events,
            max_latency_p99_ms,
            max_rejected,
            max_delay_p99_ms,
            max_legacy_missing,
        ),
        examples=examples,
        discrepancies=discrepancies,
    )
    if output_format == "json":
        output.document(made)
    else:
        from migctl.cli.report_view import show

        show(made)
    if out is not None:
        made.write(out)
    if not made.passed:
        raise typer.Exit(Exit.WANTING)
