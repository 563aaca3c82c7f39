"""`migctl map`: how foreign messages become events, before they do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output, quantities
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.ingest.preview import Previewed, Proposal

app = typer.Typer(help="How foreign messages become events, before they do.", no_args_is_help=True)

_SHOWN_CHARS = 300


@app.callback()
def _group() -> None:
    pass


@app.command(short_help="Some messages as they would become events; a map.")
def preview(
    source: Annotated[str, typer.Argument(metavar="FILE|-|ws://...", help="As of serve --source.")],
    map_: context.MapOption = None,
    ignore: context.IgnoreOption = None,
    count: Annotated[
        int, typer.Option("--count", metavar="N", min=1, max=1000, help="Messages to look at.")
    ] = 10,
    within: Annotated[
        float,
        typer.Option(
            "--within", metavar="TIME", parser=quantities.seconds(0.1), help="How long to wait for them."
        ),
    ] = 10.0,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Show the first messages as they would become events: what is kept, what is left out, how each time was read.

    Nothing is stored. Proposes a map where one would do better. Exit 1 where a message would be rejected.

    \b
    migctl map preview old.ndjson
    migctl map preview ws://127.0.0.1:8080/ws --count 20
    migctl map preview old.ndjson --map event_type=.kind --map data=.
    """
    from urllib.parse import urlsplit

    from migctl.clock import now
    from migctl.config import load
    from migctl.ingest import parse_map
    from migctl.ingest import preview as previewing
    from migctl.ingest.sample import sample

    settings = load(file=config)
    name = (
        (urlsplit(source).hostname or "")
        if "://" in source
        else Path(source).name
        if source != "-"
        else "stdin"
    )
    mapper = parse_map(map_ or [], settings.source, ignore=[ignore] if ignore else []).named(name)
    messages = context.run(sample(source, count, within_s=within))
    arrived = now()
    found = previewing.preview(messages, mapper, arrived=arrived)
    proposal = previewing.propose(messages, mapper, arrived=arrived)
    if output_format == "json":
        output.document(_document(found, proposal))
    else:
        _print(found, proposal)
    if any(one.found is None for one in found):
        raise typer.Exit(Exit.WANTING)


def _print(found: list[Previewed], proposal: Proposal | None) -> None:
    output.table(
        [("#", "right"), "TYPE", "TIME (UTC)", "TIME WAS READ AS", "DATA", "LEFT OUT"],
        [[number, *_cells(one)] for number, one in enumerate(found, 1)],
    )
    for number, one in enumerate(found, 1):
        if one.found is None:
            output.show(f"{number}: rejected: {one.reason}")
            output.plain(f"   {one.text[:_SHOWN_CHARS].decode('utf-8', 'backslashreplace')}")
    whole = sorted({key for one in found if one.found is not None for key in one.found.kept_whole})
    if whole:
        output.show(f"whole: the whole message is the data, for {', '.join(whole)} would be left out")
    events = sum(one.found is not None and one.found.event is not None for one in found)
    lacking = sum(one.found is not None and not one.is_whole for one in found)
    output.note(
        f"{len(found):,} messages: {events:,} events, {sum(one.found is None for one in found):,} rejected, "
        f"{lacking:,} that lack a time or fields"
    )
    if proposal is None:
        return
    output.show(
        f"proposal: {proposal.fits:,} of {len(found):,} would be events, {proposal.whole:,} of them whole"
    )
    output.plain("  " + " ".join(f"--map '{option}'" for option in proposal.options))
    output.plain("source:\n  map:")
    for option in proposal.options:
        name, _, path = option.partition("=")
        output.plain(f"    {name}: '{path}'")


def _cells(one: Previewed) -> list[str]:
    from migctl.events.sizes import size

    of = one.found
    if of is None:
        return ["rejected", "", "", "", ""]
    if of.event is None or of.when is None:
        return ["ignored", "", "", "", ""]
    data = size(len(of.event.data)) + (", whole" if of.kept_whole else "")
    at = f"{of.event.timestamp:%m-%d %H:%M:%S}" if of.when.moment is not None else "arrival"
    return [of.event.event_type, at, of.when.how, data, ", ".join(of.left_out)]


def _document(found: list[Previewed], proposal: Proposal | None) -> dict[str, object]:
    return {
        "schema": "migctl.map.preview/1",
        "messages": [_message(one) for one in found],
        "rejected": sum(one.found is None for one in found),
        "whole": sum(one.is_whole for one in found),
        "proposal": None
        if proposal is None
        else {
            "map": dict(option.split("=", 1) for option in proposal.options),
            "fits": proposal.fits,
            "whole": proposal.whole,
        },
    }


def _message(one: Previewed) -> dict[str, object]:
    from migctl.events import encode_event

    of = one.found
    event = of.event if of is not None else None
    when = of.when if of is not None else None
    return {
        "text": one.text.decode("utf-8", "backslashreplace"),
        "result": "rejected" if of is None else "ignored" if event is None else "event",
        "reason": one.reason,
        "event_text": None if event is None else encode_event(event).decode(),
        "time_read_as": None if when is None else when.how,
        "time_is_arrival": None if when is None else when.moment is None,
        "kept_whole_for": [] if of is None else list(of.kept_whole),
        "left_out": [] if of is None else list(of.left_out),
    }
