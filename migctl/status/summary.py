"""What a `serve` does, in what state it is and why, and how much time is left: apart, each in one line. Pure.

One field never stands for another: a reason is never shown where a time is expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from migctl.events.durations import lasting
from migctl.status.document import ServeStatus

# Above this much it is said that a journal fills; a year is as good as never.
_NEVER_HOURS = 24 * 365.0


@dataclass(frozen=True, slots=True)
class Summary:
    """does, state (with its reason), left: each a line. changes: what a reader would call another state; figures are none of it."""

    does: str
    state: str
    left: str
    changes: tuple[str, ...]

    def line(self) -> str:
        """All in one line, for a pipe or a chat."""
        return f"{self.does}; State: {self.state}; Left: {self.left}"


def summary(of: ServeStatus, now: datetime) -> Summary:
    return Summary(_does(of), _state(of, now), "; ".join(_left(of)), tuple(_changes(of)))


def _does(of: ServeStatus) -> str:
    rates, relay, gateway = of.rates, of.relay, of.transports.websocket
    parts = [] if rates is None else [f"{_rate(rates.taken_per_s)} events/s"]
    if relay is not None:
        done, all_ = relay.journal_head - relay.backlog, relay.journal_head
        percent = "" if not all_ or done < 0 else f" {_share(done, all_)}"
        parts.append(f"Table: {max(0, done):,}/{all_:,}{percent}")
        parts.append(f"Backlog: {relay.backlog:,}")
    if gateway is not None:
        parts.append(f"Subscribers: {gateway.subscribers:,}")
    if of.mode == "dual" and of.flags is not None and of.flags.effective is not None:
        parts.append(f"On Realtime: {of.flags.effective.percent:g} %")
    return "; ".join([f"Serve: {of.mode}", *parts])


def _share(done: int, all_: int) -> str:
    """Never 100 % while one is missing."""
    share = 100.0 * done / all_
    return f"{min(share, 99.9) if done < all_ else share:.1f}%"


def _state(of: ServeStatus, now: datetime) -> str:
    relay = of.relay
    throttled = relay.throttled if relay is not None else None
    if of.draining:
        return "draining: it was told to end"
    if throttled is not None:
        others = len(of.health.problems) - 1
        more = f", and {others} more" if others > 0 else ""
        return f"throttled for {lasting((now - throttled.since).total_seconds())}: {throttled.reason} (by {throttled.by}){more}"
    if not of.health.problems:
        return "healthy"
    first, *rest = of.health.problems
    since = f" for {lasting((now - first.since).total_seconds())}" if first.since is not None else ""
    return f"{of.health.status}: {first.sentence(since)}" + (f", and {len(rest)} more" if rest else "")


def _left(of: ServeStatus) -> Iterator[str]:
    """What ends, and what fills up and when."""
    relay, rates = of.relay, of.rates
    # What is on its way at this moment is no backlog that grows or ends.
    if (
        relay is not None
        and rates is not None
        and rates.to_table_per_s is not None
        and relay.backlog > max(1.0, rates.taken_per_s)
    ):
        gain = rates.to_table_per_s - rates.taken_per_s
        if gain < -0.05:
            yield f"backlog grows by {_rate(-gain)}/s"
        elif gain > 0.05 and relay.backlog / gain >= 1:
            yield f"backlog gone in {lasting(relay.backlog / gain)}"
    hours = of.journal.full_in_hours
    if of.journal.full is not None:
        yield "journal full now"
    elif hours is not None and hours <= _NEVER_HOURS:
        yield f"{of.journal.full_first or 'journal'} full in {lasting(3600 * hours)} at this rate"
    else:
        yield "journal never full at this rate"


def _changes(of: ServeStatus) -> Iterator[str]:
    yield of.mode
    yield "draining" if of.draining else of.health.status
    for problem in of.health.problems:
        yield f"{problem.part}: {problem.state}"
    if of.relay is not None and of.relay.throttled is not None:
        yield f"throttled: {of.relay.throttled.reason}"
    if of.fallback is not None and of.fallback.active:
        yield "fallback"
    if of.flags is not None and of.flags.effective is not None:
        yield f"{of.flags.effective.percent:g} %"
    if of.stage is not None and of.stage.stage is not None:
        yield of.stage.stage
    if of.stage is not None and of.stage.rollout is not None:
        yield of.stage.rollout.phase


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 100 or per_s == int(per_s) else f"{per_s:,.1f}"
