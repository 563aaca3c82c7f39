"""`migctl status`: what a running `serve` does, at a glance."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from migctl.cli import context, output

EXIT_DEGRADED = 1


def status(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Ask there, with the token of MIGCTL_TOKEN. Default: the serve of the state folder, by its control socket.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on, once a second, until Ctrl-C.")] = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Say what a running serve does: target, positions, backlog, transports, subscribers, source.

    Exit code 0 when all is well, 1 when something is degraded (the reasons are listed), 3 when no serve answers. With --watch and
    --output json a line each second.
    """
    from migctl.config import load, secret
    from migctl.server.control import status_at, status_of

    folder = load(file=config).state

    async def ask() -> dict[str, Any]:
        return await (status_of(folder) if url is None else status_at(url, secret("MIGCTL_TOKEN")))

    if watch:
        context.run(_watch(ask, output_format))
    found = context.run(ask())
    if output_format == "json":
        output.document(found)
    else:
        output.show(*view(found))
    if found["health"]["status"] != "ok":
        raise typer.Exit(EXIT_DEGRADED)


async def _watch(ask: Any, output_format: str) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from migctl.errors import MigctlError

    with Live(console=output.console(), auto_refresh=False, screen=False) as live:
        while True:
            try:
                found = await ask()
            except MigctlError as error:
                if output_format == "json":
                    output.line(
                        {
                            "schema": "migctl.status/1",
                            "health": {"status": "not running", "problems": [error.what]},
                        }
                    )
                else:
                    live.update(Text(str(error)), refresh=True)
            else:
                if output_format == "json":
                    output.line(found)
                else:
                    live.update(Group(*view(found)), refresh=True)
            await asyncio.sleep(1.0)


def view(found: dict[str, Any]) -> list[Any]:
    """What is shown, for a terminal of 80 columns and more."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, line in _lines(found):
        grid.add_row(name, Text(line))
    shown = [grid, _parts(found)] if found.get("connections") else [grid]
    health = found["health"]
    if health["status"] == "ok":
        return [*shown, Text("healthy", style="bold green")]
    wrong = Table.grid(padding=(0, 2), pad_edge=False)
    wrong.add_column(no_wrap=True)
    wrong.add_column(overflow="fold")
    do = _ways_out(found)
    for problem in health["problems"]:
        wrong.add_row("", Text(problem))
        way_out = do.pop(problem.partition(":")[0], None)
        if way_out and way_out not in do.values():  # said once, below the last of those whom it helps
            wrong.add_row("", Padding(Text(way_out, style="dim"), (0, 0, 0, 2)))
    return [*shown, Text("degraded", style="bold red"), wrong]


def _parts(found: dict[str, Any]) -> Any:
    """A line for each part that is reached over a network or by subscribers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name in ("PART", "STATE", "FOR", "BREAKER", "TRIAL", "TIMEOUT", "RETRIES"):
        drawn.add_column(name, no_wrap=True, justify="right" if name in ("TIMEOUT", "RETRIES") else "left")
    breakers = found.get("breakers") or {}
    # Heads are asked under the table's breaker.
    shared = {"heads": "table"}
    for part, of in found["connections"].items():
        breaker = breakers.get(shared.get(part, part))
        trial_s = breaker.get("next_trial_in_s") if breaker else None
        timeout_s, retries = of.get("request_timeout_s"), of.get("retries")
        drawn.add_row(
            part,
            Text(of["state"], style=_STYLES.get(of["state"], "red")),
            _ago(of.get("since")),
            _breaker(breaker),
            "" if trial_s is None else f"in {trial_s:.1f} s",
            "" if timeout_s is None else f"{timeout_s:.2g} s",
            "" if retries is None else f"{retries:,}",
        )
    return drawn


_STYLES = {"running": "green", "connected": "green", "connecting": "yellow", "retrying": "yellow"}


def _breaker(breaker: dict[str, Any] | None) -> Any:
    from rich.text import Text

    if breaker is None:
        return ""
    state = breaker["state"]
    return Text(state.replace("_", "-"), style="green" if state == "closed" else "red")


def _ways_out(found: dict[str, Any]) -> dict[str, str]:
    """What to do about each part that is not well."""
    ways: dict[str, str] = {}
    for of in (found.get("breakers") or {}, found.get("connections") or {}):
        ways.update({part: said["do"] for part, said in of.items() if said.get("do")})
    return ways


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    journal, relay, transports = found["journal"], found.get("relay"), found.get("transports") or {}
    lines = [
        (
            "serve",
            f"{found['mode']} on {found.get('url')}, pid {found['pid']}, up {_ago(found.get('started_at'))}",
        ),
        ("target", found.get("target") or "none: this mode has no Supabase"),
        (
            "journal",
            f"head {journal['head']:,}, tail {journal['tail']:,}, {_size(journal.get('size_bytes'))}{_full(journal)}",
        ),
        ("epoch", journal["epoch"]),
    ]
    if relay:
        backlog = f"table head {relay['table_head']:,}, backlog {relay['backlog']:,}"
        waits = f", the oldest waits {relay['oldest_waits_s']:.1f} s" if relay.get("oldest_waits_s") else ""
        lines.append(("relay", f"{relay['state']}; {backlog}{waits}, retries {relay['retries']:,}"))
        if relay.get("tombstones"):
            buried = ", ".join(f"{count:,} {reason}" for reason, count in relay["tombstones"].items())
            lines.append(("tombstones", buried))
    letters = found.get("dead_letters") or {}
    if letters.get("accepted_until"):
        lines.append(
            ("dead letters", f"accepted until {letters['accepted_until']} by {letters['accepted_by']}")
        )
    if letters.get("waiting"):
        way_out = "`migctl deadletter list`"
        if letters.get("held_since"):
            way_out += "; the relay is held: mend the cause, or `migctl deadletter accept --minutes 10`"
        lines.append(("dead letters", f"{letters['waiting']:,} wait: {way_out}"))
    for name, transport in transports.items():
        lines.append((name, f"{transport['state']}; {_carried(transport)}"))
    fallback = found.get("fallback")
    if fallback and fallback["times"]:
        lines.append(("fallback", _fallback(fallback)))
    source = found.get("source")
    if source:
        lines += _source(source, bool(found.get("source_done")))
    http = found["http"]
    lines.append(
        (
            "http",
            f"{http['requests']:,} requests, {http['answered_5xx']:,} answered 5xx, {http['accepted']:,} events taken",
        )
    )
    return lines


def _carried(transport: dict[str, Any]) -> str:
    if "subscribers" in transport:
        forms = (("v2", "subscribers_v2"), ("legacy", "subscribers_legacy"), ("piped", "subscribers_piped"))
        parts = ", ".join(f"{transport[key]:,} {form}" for form, key in forms if transport.get(key))
        several = f"{transport['subscribers']:,} subscribers" + (f" ({parts})" if parts else "")
        return f"{several}, {transport['standby']:,} standby, {transport['behind_events']:,} events behind"
    return f"{transport['hints']:,} hints, {transport['events']:,} events, {transport['events_dropped']:,} dropped"


def _fallback(fallback: dict[str, Any]) -> str:
    moved = _ago(fallback["since"])
    if fallback["active"]:
        return f"subscribers were sent to the WebSocket {moved} ago: {fallback['reason']}"
    return f"subscribers were sent back to Realtime {moved} ago; {fallback['times']:,} times away so far"


def _source(source: dict[str, Any], done: bool) -> list[tuple[str, str]]:
    state = "read to its end" if done else source["state"]
    counts = f"{source.get('accepted', 0):,} accepted, {source.get('rejected', 0):,} rejected"
    lines = [("source", f"{source['kind']} {source['source']}: {state}; {counts}")]
    outages = source.get("outages")
    if outages and outages["count"]:
        lasting = outages.get("lasting")
        since = f"; one lasts since {lasting['from']}: {lasting['reason']}" if lasting else ""
        lines.append(
            ("outages", f"{outages['count']:,}, {outages['total_s']:.1f} s without the stream{since}")
        )
    return lines


def _ago(moment: str | None) -> str:
    if moment is None:
        return "?"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h {seconds % 3600 // 60} min"


def _full(journal: dict[str, Any]) -> str:
    hours = journal.get("full_in_hours")
    if journal.get("full"):
        return ", full"
    return "" if hours is None else f", full in {hours:,.0f} h at this rate"


def _size(count: int | None) -> str:
    return "size unknown" if count is None else f"{count / 1e6:,.1f} MB"
