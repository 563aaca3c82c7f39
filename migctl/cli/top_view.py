"""How `migctl top` looks, in 80 columns and 24 lines: rates, latencies, breakers, backlog, match, rollout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from migctl.cli.status_view import Fitting, head
from migctl.events.durations import lasting
from migctl.status import BreakerStatus, ConnectionStatus, ServeStatus, WindowStatus
from migctl.status.summary import summary

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from migctl.rollout.report import RolloutStatus

HISTORY = 48
_LEVELS = "▁▂▃▄▅▆▇█"
_WELL = ("running", "connected")


@dataclass(slots=True)
class Shown:
    """What is known now. status: None where serve does not answer: trouble says why. backlog: of the last seconds, oldest first.

    rollout: None where it is not known: rollout_trouble says why. said: what became of the last key.
    """

    status: ServeStatus | None = None
    trouble: str = "asking"
    rollout: RolloutStatus | None = None
    rollout_trouble: str = "asking the record"
    backlog: list[int] = field(default_factory=list)
    prompt: str = ""
    notice: str = ""


def view(of: Shown, now: datetime) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    if of.status is None:
        parts += [Text(f"migctl top  {now:%H:%M:%S} UTC", style="bold"), Text(of.trouble, style="bold red")]
    else:
        serve = of.status
        parts.append(Fitting(lambda width: _title(serve, now, width)))
        parts += [
            head(summary(serve, now), serve.health.status == "ok", whole=False),
            Fitting(lambda width: _ways(serve, now, width)),
            _grid(_figures(serve, of.backlog, now)),
        ]
    parts.append(_grid(_rollout(of)))
    parts.append(Text(of.notice or " ", style="yellow", no_wrap=True, overflow="ellipsis"))
    parts.append(Text(of.prompt, style="reverse"))
    return Group(*parts)


def _title(of: ServeStatus, now: datetime, width: int) -> Text:
    from rich.text import Text

    clock = f"{now:%H:%M:%S} UTC"
    room = min(width, 80) - len(clock) - 1
    title = f"migctl top  {of.mode} on {of.url}, up {_ago(of.started_at, now)}"
    title = title if len(title) <= room else f"{title[: max(0, room - 1)]}…"
    return Text(f"{title:<{max(0, room)}} {clock}", style="bold", no_wrap=True, overflow="crop")


def _ways(of: ServeStatus, now: datetime, width: int) -> Table:
    """A line for each way that an event goes. width: below 76 nothing is between the columns but a blank."""
    from rich import box
    from rich.table import Table

    between = 1 if width >= 76 else 0
    drawn = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", padding=(0, between), show_edge=False
    )
    names = ["WAY", "STATE", "FOR", "BREAKER", "EVENTS/S", "P99 MS", "RECEIVERS"]
    if width < 64:
        names.pop()  # a breaker that is half-open takes its room; subscribers stand in the first line too
    for name in names:
        right = name in ("EVENTS/S", "P99 MS", "RECEIVERS")
        drawn.add_column(name, no_wrap=True, justify="right" if right else "left")

    def add(*cells: Text | str) -> None:
        drawn.add_row(*cells[: len(names)])

    rates = of.rates
    window = of.witness.window if of.witness is not None else None
    full = of.journal.full is not None or of.journal.stalled is not None
    add(
        "journal", _styled("full" if of.journal.full else "stalled" if full else "running"), "", "",
        _per_s(rates.taken_per_s if rates is not None else None), "", "",
    )  # fmt: skip
    gateway, broadcast = of.transports.websocket, of.transports.realtime
    if of.relay is not None:
        throttled = of.relay.throttled
        add(
            "table", _styled("throttled" if throttled is not None else of.relay.state),
            _ago(throttled.since, now) if throttled is not None else _since(of.connections.table, now),
            _breaker(of.breakers.table), _per_s(rates.to_table_per_s if rates is not None else None), "", "",
        )  # fmt: skip
    if gateway is not None:
        add(
            "websocket", _styled(gateway.state), _since(of.connections.gateway, now), "",
            _per_s(rates.to_websocket_per_s if rates is not None else None), _p99(window, "websocket"),
            f"{gateway.subscribers:,}",
        )  # fmt: skip
    if broadcast is not None:
        add(
            "realtime", _styled(broadcast.state), _since(of.connections.broadcast, now), _breaker(of.breakers.broadcast),
            _per_s(rates.to_realtime_per_s if rates is not None else None), _p99(window, "realtime"),
            f"{gateway.standby:,}" if gateway is not None else "-",
        )  # fmt: skip
    return drawn


def _figures(of: ServeStatus, backlog: Sequence[int], now: datetime) -> Iterator[tuple[str, str]]:
    if of.relay is not None:
        waits = f", the oldest {of.relay.oldest_waits_s:.1f} s" if of.relay.oldest_waits_s else ""
        yield "backlog", f"{of.relay.backlog:,}{waits}  {spark(backlog)}"
    yield "match", _match(of, now)
    if of.transports.realtime is not None and of.transports.realtime.canary.last_ms is not None:
        yield "canary", f"{of.transports.realtime.canary.last_ms:.1f} ms over Realtime"
    if of.dead_letters is not None and of.dead_letters.waiting:
        yield "dead", f"{of.dead_letters.waiting:,} letters wait: `migctl deadletter list`"


def _match(of: ServeStatus, now: datetime) -> str:
    window = of.witness.window if of.witness is not None else None
    if window is None:
        return "no window of evidence yet"
    percent = (
        "no events" if window.match_percent is None else f"{window.match_percent:g} % of {window.expected:,}"
    )
    fault = f"; {window.fault}" if window.fault else ""
    return f"{percent} matched, {window.lost:,} lost, window of {_ago(window.started_at, now)} ago{fault}"


def _rollout(of: Shown) -> Iterator[tuple[str, str]]:
    found = of.rollout
    if found is None:
        yield "rollout", f"not known: {of.rollout_trouble}"
        return
    state = found.state
    by = f" by {state.paused_by}" if state.paused_by is not None else ""
    why = f": {state.reason}" if state.reason else ""
    yield (
        "rollout",
        f"{found.stage or 'none yet'}" + (f", {state.phase}{by}{why}" if state.phase is not None else ""),
    )
    share = "?" if found.percent is None else f"{found.percent:g} %"
    segments = ", ".join(
        f"{name} {share:g} %" for name, share in (found.effective.segments if found.effective else {}).items()
    )
    yield "share", f"{share} on Realtime" + (f"; {segments}" if segments else "")
    left = f", about {lasting(state.left_s)} left" if state.left_s is not None else ""
    yield "awaits", f"{state.awaits or 'nothing'}{left}"
    if found.gates:
        count = {
            verdict: sum(gate.verdict == verdict for gate in found.gates) for verdict in ("pass", "fail")
        }
        rest = len(found.gates) - sum(count.values())
        failing = ", ".join(gate.name for gate in found.gates if gate.verdict == "fail")
        yield (
            "gates",
            f"{count['pass']} pass, {count['fail']} fail, {rest} open" + (f": {failing}" if failing else ""),
        )
    for brake in found.brakes[:1]:
        yield "brake", f"at most {brake.max_percent:g} %, by {brake.by}: {brake.reason or 'no reason'}"


def _grid(rows: Iterator[tuple[str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from migctl.cli.status_view import WIDTH

    drawn = Table.grid(padding=(0, 2), pad_edge=False)
    drawn.add_column(no_wrap=True, style="dim", min_width=WIDTH)
    drawn.add_column(overflow="ellipsis")
    for name, words in rows:  # what to do must be readable to its end
        drawn.add_row(
            name, Text(words, no_wrap=name != "awaits", overflow="fold" if name == "awaits" else "ellipsis")
        )
    return drawn


def spark(counts: Sequence[int]) -> str:
    """How a count moved, oldest first, against the largest of it. All zero is a flat line."""
    most = max(counts, default=0)
    return "".join(_LEVELS[0 if not most else (len(_LEVELS) - 1) * one // most] for one in counts[-HISTORY:])


def _styled(state: str) -> Text:
    from rich.text import Text

    return Text(state, style="green" if state in _WELL else "red")


def _breaker(of: BreakerStatus | None) -> Text | str:
    from rich.text import Text

    if of is None:
        return ""
    return Text(of.state.replace("_", "-"), style="green" if of.state == "closed" else "red")


def _since(of: ConnectionStatus | None, now: datetime) -> str:
    return _ago(of.since, now) if of is not None else ""


def _per_s(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.1f}"


def _p99(window: WindowStatus | None, name: str) -> str:
    side = window.transports.get(name) if window is not None else None
    return "-" if side is None or side.latency_p99_ms is None else f"{side.latency_p99_ms:,.0f}"


def _ago(moment: datetime, now: datetime) -> str:
    return lasting((now - moment).total_seconds())
