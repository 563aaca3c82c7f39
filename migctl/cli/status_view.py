"""How a status looks in a terminal of 80 columns and more: what each part does, how it is reached, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from migctl.events.durations import lasting
from migctl.events.sizes import size
from migctl.status import (
    AnySource,
    BreakersStatus,
    BreakerStatus,
    BroadcastStatus,
    ConnectionsStatus,
    DeadLettersStatus,
    FallbackStatus,
    FlagsStatus,
    GatewayStatus,
    JournalStatus,
    MappedStatus,
    MovesStatus,
    Part,
    PositionStatus,
    Problem,
    RelayStatus,
    RequestsStatus,
    ServeStatus,
    SupervisionStatus,
    TapStatus,
    UpstreamStatus,
)
from migctl.status.delivery import Feeder
from migctl.status.summary import Summary, summary

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, OverflowMethod, RenderableType
    from rich.table import Table
    from rich.text import Text

_STYLES = {"running": "green", "connected": "green", "connecting": "yellow", "retrying": "yellow"}

# Of the names, so that what stands in two tables stands in line.
WIDTH = 10


def view(of: ServeStatus, now: datetime) -> list[RenderableType]:
    """What it does, its state, and the time that is left; what is wrong; then each part."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(no_wrap=True, style="dim", min_width=WIDTH)
    grid.add_column(overflow="fold")
    for name, line in _lines(of, now):
        grid.add_row(name, Text(line))
    return [
        head(summary(of, now), of.health.status == "ok"),
        *problems(of.health.problems, now),
        grid,
        Fitting(lambda width: _connections(of.connections, of.breakers, now, width)),
    ]


class Fitting:
    """Drawn for the width that there is."""

    def __init__(self, draw: Callable[[int], RenderableType]) -> None:
        self._draw = draw

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield self._draw(options.max_width)


def head(of: Summary, well: bool, *, whole: bool = True) -> Table:
    """The three lines that stand apart: what it does, its state and why, what is left. whole: as long as they are."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table.grid(padding=(0, 2), pad_edge=False)
    drawn.add_column(no_wrap=True, style="dim", min_width=WIDTH)
    drawn.add_column(overflow="fold" if whole else "ellipsis")  # one that may not wrap is never made narrower
    style = {"state": "bold green" if well else "bold red"}
    for name, words in (("does", of.does), ("state", of.state), ("left", of.left)):
        overflow: OverflowMethod = "fold" if whole else "ellipsis"
        drawn.add_row(name, Text(words, style=style.get(name, ""), no_wrap=not whole, overflow=overflow))
    return drawn


def problems(found: Sequence[Problem], now: datetime) -> Iterator[RenderableType]:
    """Each with its way out below it."""
    from rich.padding import Padding
    from rich.text import Text

    for problem, after in zip(found, [*found[1:], None][: len(found)], strict=True):
        lasts = f" for {_ago(problem.since, now)}" if problem.since is not None else ""
        yield Padding(Text(problem.sentence(lasts)), (0, 0, 0, 2), expand=False)
        if after is None or after.do != problem.do:  # said once, below the last of those whom it helps
            yield Padding(Text(problem.do, style="dim"), (0, 0, 0, 4), expand=False)


def _connections(of: ConnectionsStatus, breakers: BreakersStatus, now: datetime, width: int) -> Table:
    """A line for each part that is reached over a network or by subscribers. width: below 72 the least that says what is wrong."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", show_edge=False)
    names = ["PART", "STATE", "FOR", "BREAKER", "TRIAL", "TIMEOUT", "RETRIES"]
    if width < 72:
        drawn.padding = (0, 0, 0, 0)
        names.remove("TIMEOUT")
    for name in names:
        drawn.add_column(name, no_wrap=True, justify="right" if name in ("TIMEOUT", "RETRIES") else "left")
    # Heads are asked under the table's breaker.
    guards: dict[Part, BreakerStatus | None] = {
        "table": breakers.table,
        "heads": breakers.table,
        "broadcast": breakers.broadcast,
    }
    for part, each in of.parts():
        breaker = guards.get(part)
        trial_s = breaker.next_trial_in_s if breaker is not None else None
        asked = each if isinstance(each, RequestsStatus) else None
        cells: dict[str, Text | str] = {
            "PART": part,
            "STATE": Text(each.state, style=_STYLES.get(each.state, "red")),
            "FOR": _ago(each.since, now),
            "BREAKER": _breaker(breaker),
            "TRIAL": "" if trial_s is None else f"in {trial_s:.1f} s",
            "TIMEOUT": f"{asked.request_timeout_s:.2g} s" if asked is not None else "",
            "RETRIES": f"{asked.retries:,}" if asked is not None else "",
        }
        drawn.add_row(*(cells[name] for name in names))
    return drawn


def _breaker(of: BreakerStatus | None) -> Text | str:
    from rich.text import Text

    if of is None:
        return ""
    return Text(of.state.replace("_", "-"), style="green" if of.state == "closed" else "red")


def _supervision(of: SupervisionStatus, now: datetime) -> str:
    if of.last_at is None:
        return "no restart"
    return f"{of.restarts} restarts, the last {_ago(of.last_at, now)} ago: {of.last_reason}"


def _lines(of: ServeStatus, now: datetime) -> Iterator[tuple[str, str]]:
    yield "serve", f"{of.mode} on {of.url}, pid {of.pid}, up {_ago(of.started_at, now)}"
    if of.supervision is not None:
        yield "supervised", _supervision(of.supervision, now)
    tokens = f"; tokens of readers by {of.authenticated_by}" if of.authenticated_by is not None else ""
    yield "target", f"{of.target}{tokens}" if of.target else "none: this mode has no Supabase"
    yield from _journal(of.journal)
    if of.relay is not None:
        yield from _relay(of.relay)
    if of.dead_letters is not None:
        yield from _dead_letters(of.dead_letters)
    if of.transports.websocket is not None:
        yield "websocket", _gateway(of.transports.websocket)
        if of.transports.websocket.upstream is not None:
            yield "legacy", _legacy(of.transports.websocket.upstream)
        moves = of.transports.websocket.moves
        if moves is not None and moves.moving != 0:
            yield "moving", _moves(moves)
    if of.transports.realtime is not None:
        yield "realtime", _broadcast(of.transports.realtime)
    if of.fallback is not None and of.fallback.since is not None:
        yield "fallback", _fallback(of.fallback, of.fallback.since, now)
    if of.source is not None:
        yield from _source(of.source, done=of.source_done)
    if of.flags is not None:
        yield from _flags(of.flags)
    if of.stage is not None and of.stage.stage is not None:
        known = "" if of.stage.heard else " (as it was known last)"
        yield "stage", f"{of.stage.stage}{known}: {', '.join(of.stage.changed) or 'no settings of its own'}"
    if of.stage is not None and of.stage.rollout is not None:
        yield "rollout", _position(of.stage.rollout, now)
    http = of.http
    yield (
        "http",
        f"{http.requests:,} requests, {http.answered_5xx:,} answered 5xx, {http.accepted:,} events taken"
        + (f", {http.rejected:,} refused" if http.rejected else ""),
    )
    if of.exposures is not None and (of.exposures.unwritten or of.exposures.reason):
        why = f": {of.exposures.reason}" if of.exposures.reason else ""
        yield (
            "exposures",
            f"{of.exposures.today:,} today, {of.exposures.unwritten:,} could not be written{why}",
        )
    if of.kept is not None:
        trouble = f"; {of.kept.unkept:,} more had no room" if of.kept.unkept else ""
        trouble += f"; {of.kept.reason}" if of.kept.reason else ""
        yield "kept", f"{of.kept.kept:,} variants of {', '.join(of.kept.flags)}{trouble}"
    if of.log is not None and of.log.lost_lines:
        yield (
            "log",
            f"{of.log.lost_lines:,} line{'s' * (of.log.lost_lines != 1)} could not be written, and are lost",
        )
    if of.dashboard is not None:
        yield "dashboard", of.dashboard


def _journal(of: JournalStatus) -> Iterator[tuple[str, str]]:
    full = ", full" if of.full is not None else ""
    if of.stalled is not None:
        full += ", stalled"
    yield "journal", f"head {of.head:,}, tail {of.tail:,}, {size(of.size_bytes)}{full}"
    yield "epoch", of.epoch


def _relay(of: RelayStatus) -> Iterator[tuple[str, str]]:
    waits = f", the oldest waits {of.oldest_waits_s:.1f} s" if of.oldest_waits_s else ""
    backlog = f"table head {of.table_head:,}, backlog {of.backlog:,}{waits}"
    yield "relay", f"{of.state}; {backlog}"
    if of.set_back is not None:
        back = of.set_back
        lost = f"{back.lost:,} lost" if back.lost else "none lost"
        yield (
            "went back",
            f"the target, at {back.at:%H:%M:%S} UTC: {back.again:,} events carried again, {lost}",
        )
    if of.tombstones:
        yield "tombstones", ", ".join(f"{count:,} {reason}" for reason, count in of.tombstones.items())


def _dead_letters(of: DeadLettersStatus) -> Iterator[tuple[str, str]]:
    if of.accepted_until is not None:
        yield "dead letters", f"accepted until {of.accepted_until:%Y-%m-%d %H:%M:%S} UTC by {of.accepted_by}"
    if of.waiting:
        way_out = "`migctl deadletter list`"
        if of.held_since is not None:
            way_out += "; the relay is held: mend the cause, or `migctl deadletter accept --minutes 10`"
        yield "dead letters", f"{of.waiting:,} wait: {way_out}"


def _gateway(of: GatewayStatus) -> str:
    forms = (
        ("v2", of.subscribers_v2),
        ("legacy", of.subscribers_legacy),
        ("piped", of.subscribers_piped),
    )
    parts = ", ".join(f"{count:,} {form}" for form, count in forms if count)
    several = f"{of.subscribers:,} subscriber{'s' * (of.subscribers != 1)}" + (f" ({parts})" if parts else "")
    return f"{of.state}; {several}, {of.standby:,} standby, {of.behind_events:,} events behind"


def _legacy(of: UpstreamStatus) -> str:
    names: tuple[tuple[Feeder, str], ...] = (
        ("upstream", "the old service"),
        ("both", "both"),
        ("journal", "the journal"),
    )
    fed = ", ".join(f"{of.fed_by[feeder]:,} by {name}" for feeder, name in names if of.fed_by.get(feeder))
    parts = [f"fed: {fed}" if fed else "no dashboard", f"legacy.serve {of.serve}"]
    if of.quiet_since is not None:
        parts.append(f"the old service is quiet since {of.quiet_since:%Y-%m-%d %H:%M:%S} UTC")
    if of.unsent:
        parts.append(f"{of.unsent:,} of the journal not sent to them")
    return "; ".join(parts)


def _moves(of: MovesStatus) -> str:
    asked = sum(of.assigned.values())
    if of.moving is None:
        return f"of {asked:,} subscribers it is being found out who has to go elsewhere"
    waiting = f", {of.waiting:,} of them wait for their turn" if of.waiting else ""
    return f"{of.moving:,} of {asked:,} subscribers are not yet where the flag says{waiting}"


def _broadcast(of: BroadcastStatus) -> str:
    return f"{of.state}; {of.hints:,} hints, {of.events:,} events, {of.events_dropped:,} superseded"


def _fallback(of: FallbackStatus, since: datetime, now: datetime) -> str:
    if of.active:
        return f"subscribers were sent to the WebSocket {_ago(since, now)} ago: {of.reason}"
    times = f"{of.times:,} time{'s' * (of.times != 1)}"
    return f"subscribers were sent back to Realtime {_ago(since, now)} ago; {times} away so far"


def _source(of: AnySource, *, done: bool) -> Iterator[tuple[str, str]]:
    state = "read to its end" if done else of.state
    without = (
        f", {of.without_time:,} without a time" if isinstance(of, MappedStatus) and of.without_time else ""
    )
    yield (
        "source",
        f"{of.kind} {of.source}: {state}; {of.accepted:,} accepted, {of.rejected:,} rejected{without}",
    )
    if isinstance(of, TapStatus) and of.outages.count:
        lasting = of.outages.lasting
        since = (
            f"; one lasts since {lasting.began:%Y-%m-%d %H:%M:%S} UTC: {lasting.reason}"
            if lasting is not None
            else ""
        )
        yield "outages", f"{of.outages.count:,}, {of.outages.total_s:.1f} s without the stream{since}"


def _flags(of: FlagsStatus) -> Iterator[tuple[str, str]]:
    share = (
        f"{of.effective.percent:g} % on Realtime"
        if of.effective is not None
        else "no share of the flag transport"
    )
    if of.written is not None and of.effective is not None and of.written != of.effective:
        share += f" ({of.written.percent:g} % is written)"
    if of.effective is not None:
        share += "".join(f", {name} {percent:g} %" for name, percent in of.effective.segments.items())
    if of.override is not None:
        share = f"everybody on {of.override}: MIGCTL_FLAG_TRANSPORT is set"
    elif of.blind:
        share = "blind: the record was not reached yet"
    ages = ", ".join(
        f"{name} {'not heard yet' if tier.age_s is None else f'{tier.age_s:.0f} s old'}"
        for name, tier in of.tiers.items()
    )
    yield "flags", f"{share}; n {of.n}" + (f"; {ages}" if ages else "")
    for brake in of.brakes:
        yield (
            "brake",
            f"{brake.split} at most {brake.max_percent:g} %, by {brake.by or 'nobody named'}: {brake.reason or 'no reason'}",
        )


def _position(of: PositionStatus, now: datetime) -> str:
    since = f" for {_ago(of.since, now)}" if of.since is not None else ""
    by = f" by {of.paused_by}" if of.paused_by is not None else ""
    return f"{of.stage}, {of.phase}{by}{since}" + (f": {of.reason}" if of.reason else "")


def _ago(moment: datetime, now: datetime) -> str:
    """How long it is ago."""
    return lasting((now - moment).total_seconds())


def go_on(hinder: Sequence[str]) -> Iterator[RenderableType]:
    """The one answer, and the reasons against it."""
    from rich.padding import Padding
    from rich.text import Text

    if not hinder:
        yield Text("safe to go on", style="bold green")
        return
    yield Text("not safe to go on", style="bold red")
    for one in hinder:
        yield Padding(Text(one), (0, 0, 0, 2), expand=False)
