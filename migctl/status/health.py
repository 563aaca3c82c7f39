"""Health: what is wrong with a `serve` and what to do about it, and whether it is ready. Pure: by the fields of its status.

Nothing wrong means that each part said it is well; a part that is there and is in no good state is never taken for healthy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from migctl.resilience import BreakerStatus
from migctl.status.delivery import BreakersStatus, ConnectionsStatus, ConnectionStatus, Part, UpstreamStatus
from migctl.status.document import Health, Problem, Readiness, ServeParts
from migctl.status.flags import FlagsStatus
from migctl.status.sources import AnySource, MappedStatus, TapStatus
from migctl.status.words import wait

# A batch takes less, and a Realtime reader that waits longer has already repaired its gap from elsewhere.
OLDEST_WAITS_S = 5.0
# It says something every 2 s, and takes a few to start.
WITNESS_SILENT_S = 15.0
WELL = ("running", "connected")

_TRIED_AGAIN = "nothing: it is tried again"
_DRAINING = "wait: it ends by itself, and the next start sends what is left"


class Taking(Protocol):
    """Whether a journal takes events: why it has no room, and what holds it up."""

    @property
    def full(self) -> str | None: ...

    @property
    def stalled(self) -> str | None: ...


class Serving(Protocol):
    """What readiness needs of a serve, and no more: it is asked often, and while much else is slow."""

    @property
    def draining(self) -> bool: ...

    @property
    def journal(self) -> Taking: ...

    @property
    def connections(self) -> ConnectionsStatus: ...

    @property
    def breakers(self) -> BreakersStatus: ...


def health(of: ServeParts) -> Health:
    """ok, or degraded and why."""
    found = problems(of)
    return Health(status="degraded" if found else "ok", problems=found)


def readiness(of: Serving) -> Readiness:
    """Ready is whoever takes events and delivers them in some way: Supabase away is degraded, no more."""
    if of.draining:
        return Readiness(status="draining")
    if of.journal.full is not None:
        return Readiness(status="full", reason=of.journal.full)
    if of.journal.stalled is not None:
        return Readiness(status="stalled", reason=of.journal.stalled)
    away = degraded(of.connections, of.breakers)
    return Readiness(status="degraded" if away else "ok", degraded=away)


def degraded(connections: ConnectionsStatus, breakers: BreakersStatus) -> list[Part]:
    """The parts that are not reached, or not asked for now."""
    away = [part for part, of in connections.parts() if of.state not in WELL]
    return [*away, *(part for part, of in breakers.parts() if of.state != "closed" and part not in away)]


def problems(of: ServeParts) -> list[Problem]:
    """The most serious first; none where all is well."""
    return list(_problems(of))


def _problems(of: ServeParts) -> Iterator[Problem]:
    if of.draining:
        yield Problem(
            part="serve", state="draining", reason=None,
            do=_DRAINING,
        )  # fmt: skip
    if of.journal.full is not None:
        yield Problem(
            part="journal", state="takes no events", reason=of.journal.full,
            do="raise journal.max_bytes or free its disk; what is in the table makes room by itself: `migctl journal status`",
        )  # fmt: skip
    if of.journal.stalled is not None:
        yield Problem(
            part="journal", state="stalled", reason=of.journal.stalled, do=of.journal.stalled_do or _TRIED_AGAIN,
        )  # fmt: skip
    breakers: dict[str, BreakerStatus] = dict(of.breakers.parts())
    for part, connection in of.connections.parts():
        breaker = breakers.get(part)
        if connection.state not in WELL or (breaker is not None and breaker.state != "closed"):
            yield _connection(part, connection, breaker)
    relay = of.relay
    if relay is not None and relay.throttled is not None:
        held = relay.throttled
        yield Problem(
            part="relay", state="throttled", reason=f"{held.reason} (by {held.by}); {wait(relay.backlog)} for the table",
            do="`migctl ctl no-throttle`, once the reason is gone", since=held.since,
        )  # fmt: skip
    elif relay is not None and relay.oldest_waits_s is not None and relay.oldest_waits_s > OLDEST_WAITS_S:
        yield Problem(
            part="relay", state="behind",
            reason=f"{wait(relay.backlog)} for the table, the oldest for {relay.oldest_waits_s:.0f} s",
            do="nothing while the backlog falls; else see what table and heads say, and the database's load",
        )  # fmt: skip
    gateway = of.transports.websocket
    if gateway is not None and gateway.upstream is not None:
        yield from _old_service(gateway.upstream)
    if of.source is not None and not of.source_done:
        yield from _source(of.source)
    if isinstance(of.source, MappedStatus):
        yield from _before_journal(of.source)
    if of.flags is not None:
        yield from _flags(of.flags)
    if of.witness_silent_s is not None and of.witness_silent_s > WITNESS_SILENT_S:
        yield Problem(
            part="witness", state="gone, and gates have no evidence", reason=f"silent for {of.witness_silent_s:.0f} s",
            do="see witness.log in the state folder; it is started again by itself where it ended",
        )  # fmt: skip
    if of.stage is not None and of.stage.reason is not None:
        yield Problem(
            part="stage", state="settings not taken over", reason=of.stage.reason,
            do=of.stage.do or "mend its file: `migctl config check`",
        )  # fmt: skip


def _old_service(of: UpstreamStatus) -> Iterator[Problem]:
    if of.dark_since is not None:
        yield Problem(
            part="old dashboards", state=f"dark: {of.unsent:,} event{'s' * (of.unsent != 1)} of the journal not sent to them",
            reason="the old service sends no event, and legacy.serve is upstream",
            do='`migctl ctl set legacy.serve both --reason "the producer has moved"`, and the same in migctl.yaml',
            since=of.dark_since,
        )  # fmt: skip
    if of.reason is not None:
        is_fed = of.feeding != "upstream"
        yield Problem(
            part="old service",
            state="away: its dashboards get the journal's events, and no replies" if is_fed else "sockets can't be passed through",
            reason=of.reason,
            do=f"see whether {of.url} answers; take legacy.upstream out once it is to stay away"
            if is_fed else f"see whether {of.url} answers, or change legacy.upstream",
        )  # fmt: skip


def _connection(part: Part, of: ConnectionStatus, breaker: BreakerStatus | None) -> Problem:
    """A connection that is well has a breaker that is not: then that says why, and since when."""
    if breaker is None or breaker.state == "closed":
        do = _DRAINING if of.reason == "draining" else of.do or _TRIED_AGAIN
        return Problem(part=part, state=of.state, reason=of.reason, do=do, since=of.since)
    return Problem(
        part=part,
        state=f"{of.state}, breaker {breaker.state.replace('_', '-')}",
        reason=of.reason or breaker.reason,
        do=of.do or breaker.do or _TRIED_AGAIN,
        since=breaker.since if of.state in WELL else of.since,
    )


def _flags(of: FlagsStatus) -> Iterator[Problem]:
    """A store that is away is one; that flags hold meanwhile is no reason not to say it."""
    for name, tier in of.tiers.items():
        is_record = name != "redis"
        if tier.state in ("retrying", "paused") or (is_record and of.blind):
            held = (
                "nobody is sent to Realtime before it was reached" if of.blind else "flags hold as they are"
            )
            yield Problem(
                part="flags", state=f"{name} {tier.state}" + (f", {held}" if is_record else ""), reason=tier.reason,
                do=tier.do or _TRIED_AGAIN, since=tier.since,
            )  # fmt: skip
    if of.unkept is not None:
        yield Problem(
            part="flags", state="not on disk, so no brake is confirmed", reason=of.unkept,
            do="make room, or make it writable; it is tried again",
        )  # fmt: skip
    if of.unreadable_n:
        yield Problem(
            part="flags", state="the newest flag set can't be read", reason=f"n {of.unreadable_n}; in use is {of.n}",
            do="see `migctl flags history`, and import a good one",
        )  # fmt: skip


def _source(of: AnySource) -> Iterator[Problem]:
    if of.waiting_for is not None:
        yield Problem(
            part="source", state="waits for the journal", reason=of.waiting_for,
            do="nothing else: it goes on by itself once the journal takes events",
        )  # fmt: skip
    elif of.state in ("waiting", "connecting", "closed"):
        lasting = of.outages.lasting if isinstance(of, TapStatus) else None
        yield Problem(
            part="source", state=of.state, reason=of.reason if isinstance(of, TapStatus) else None,
            do=f"see whether {of.source} answers; it is tried again by itself",
            since=lasting.began if lasting is not None else None,
        )  # fmt: skip


def _before_journal(of: MappedStatus) -> Iterator[Problem]:
    """What the producer sent and no reader gets as it was, however the rest is delivered; also of a source that has ended."""
    if of.rejected_lost:
        yield Problem(
            part="source", state=f"rejected {of.rejected_lost:,} that could not be kept",
            reason=f"{of.rejected_file} has no room, or can't be written",
            do="see the log for which; mend the mapping, and read the source again: `migctl rejected list`",
        )  # fmt: skip
    if of.rejected_waiting:
        nothing = of.rejected and not of.accepted and not of.duplicates
        yield Problem(
            part="source", state=f"{'rejects everything: ' if nothing else ''}{of.rejected_waiting:,} rejected",
            reason=f"they wait in {of.rejected_file}",
            do="`migctl rejected list`; mend the mapping, then `migctl rejected retry`",
        )  # fmt: skip
    if of.unmapped_messages and "fields" not in of.expected:
        named = sorted(of.unmapped, key=lambda path: -of.unmapped[path])
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        yield Problem(
            part="source", state=f"{of.unmapped_messages:,} events lack fields of their messages",
            reason=f"the mapping leaves out {', '.join(named[:5])}{more}; counted in {of.unmapped_file}",
            do="see `migctl map preview`, and mend source.map; or say that it is so: source.unmapped: drop",
        )  # fmt: skip
    if of.without_time and "times" not in of.expected:
        had = f"{of.times_replaced:,} had one that can't be read; " if of.times_replaced else ""
        yield Problem(
            part="source", state=f"{of.without_time:,} events have the time of their arrival",
            reason=f"{had}each says `clock: arrival`",
            do="see `migctl map preview`, and name where it stands: source.map.timestamp; or say that it is so: "
            "source.unread_times: arrival",
        )  # fmt: skip
    if isinstance(of, TapStatus) and of.outages.recent:
        yield Problem(
            part="source", state=f"{of.outages.recent:,} outage{'s' * (of.outages.recent != 1)} within the last hour",
            reason=f"what {of.source} sent then is lost, {of.outages.total_s:.1f} s in all",
            do=f"each stands in {of.outages.file}; what the source has of that time, publish with ids: POST /events",
        )  # fmt: skip
