"""`migctl sources`: who feeds a running serve."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from migctl.cli import context, output
from migctl.events.durations import lasting
from migctl.events.sizes import size

if TYPE_CHECKING:
    from migctl.status.feeding import FeedStatus


def sources(
    url: context.UrlOption = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """List who feeds a running serve: its source, and whoever posts events, by the name of the token.

    For each: since when, its last event, events taken a second over the last minute, taken, repeated and rejected in all, times
    without a socket, and since when and why it is away. Counts are since the start of serve.

    \b
    migctl sources
    migctl sources --url https://events.example.com
    """
    from migctl.config import load, secret
    from migctl.serve_client.attached import sources_of

    found = context.run(sources_of(load(file=config).state, url, secret("MIGCTL_TOKEN")))
    if output_format == "json":
        output.document(found)
        return
    if not found.sources:
        output.note("nothing has fed it since its start: it has no source, and nobody has posted")
        return
    output.table(
        [
            ("SOURCE", "left"), ("STATE", "whole"), ("SINCE", "whole"), ("LAST EVENT", "whole"), ("/S", "figure"),
            ("TAKEN", "figure"), ("REPEATED", "figure"), ("REJECTED", "figure"), ("OUTAGES", "figure"),
        ],
        [_row(one, found.at) for one in found.sources],
        tight=True,
    )  # fmt: skip
    for one in found.sources:
        if one.reason is not None:
            since = f" since {one.away_since:%H:%M:%S} UTC" if one.away_since is not None else ""
            output.note(f"{_name(one)} {'is away' if since else 'waits'}{since}: {one.reason}")
        if one.unread_bytes:
            output.note(f"{_name(one)}: {size(one.unread_bytes)} not in the journal yet")


def _row(of: FeedStatus, now: datetime) -> list[object]:
    def ago(at: datetime | None) -> str:
        return "-" if at is None else lasting((now - at).total_seconds())

    return [
        _name(of), of.state, ago(of.since), "never" if of.last_event_at is None else f"{ago(of.last_event_at)} ago",
        f"{of.per_s:g}", f"{of.accepted:,}", f"{of.duplicates:,}", f"{of.rejected:,}",
        "-" if of.outages is None else f"{of.outages:,}",
    ]  # fmt: skip


def _name(of: FeedStatus) -> str:
    if of.kind in ("stdin", "file", "tap", "host"):
        return f"{of.kind} {of.name}" if of.kind != "stdin" else of.kind
    who = of.name or "(no token)"
    return f"{of.kind} {who}" + (f" from {of.remote}" if of.remote else "")
