"""`migctl subscribers`: who reads from a running serve, and how far behind."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from migctl.cli import context, output
from migctl.events.durations import lasting
from migctl.events.sizes import size

if TYPE_CHECKING:
    from migctl.status.subscribers import SubscribersStatus, SubscriberStatus


def subscribers(
    url: context.UrlOption = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """List who reads from a running serve now: user, protocol, transport, since when, how far behind, address and token.

    BEHIND: events that it was not written yet, and for how long something has waited for it. QUEUED: written and not sent yet.
    Of a standby, which reads from Realtime, and of a socket that the old service serves, neither is known here. Who was here, and
    who is at other processes: `migctl clients`.

    \b
    migctl subscribers
    migctl subscribers --url https://events.example.com
    """
    from migctl.config import load, secret
    from migctl.serve_client.attached import subscribers_of

    found = context.run(subscribers_of(load(file=config).state, url, secret("MIGCTL_TOKEN")))
    if output_format == "json":
        output.document(found)
        return
    if found.subscribers:
        output.table(
            [
                ("USER", "left"), ("AS", "whole"), ("READS", "whole"), ("SINCE", "whole"), ("BEHIND", "figure"),
                ("QUEUED", "figure"), ("FROM", "left"), ("TOKEN", "left"),
            ],
            [_row(one, found.at) for one in found.subscribers],
            tight=True,
        )  # fmt: skip
    for line in _totals(found):
        output.show(line)


def _row(of: SubscriberStatus, now: datetime) -> list[object]:
    reads: str = of.reads
    if of.assigned not in (None, of.reads):
        reads += f" (assigned {of.assigned})"
    words = of.form + (" witness" if of.witness else "")
    if of.phase in ("catching up", "closing"):
        words += f", {of.phase}"
    return [
        of.user or "-", words, reads, lasting((now - of.since).total_seconds()), _behind(of), size(of.queued_bytes),
        of.peer, of.token or "-",
    ]  # fmt: skip


def _behind(of: SubscriberStatus) -> str:
    if of.behind_events is None and of.behind_s is None:
        return "-"
    events = "?" if of.behind_events is None else f"{of.behind_events:,}"
    return f"{events}, {of.behind_s:.1f} s" if of.behind_s else events


def _totals(found: SubscribersStatus) -> list[str]:
    of = found.total
    words = f"{of.websocket} on the WebSocket, {of.realtime} on Realtime, by their standby sockets"
    if of.misplaced:
        words += f"; {of.misplaced} not where they are assigned"
    if not of.behind:
        return [words, f"nobody is behind head {found.head:,}"]
    return [
        words,
        f"{of.behind} behind head {found.head:,}: at most {of.most_behind_events:,} events, and {of.most_behind_s:.1f} s; "
        f"{size(of.queued_bytes)} queued",
    ]
