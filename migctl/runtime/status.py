"""The status of one `serve`, from what each of its parts says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime

import msgspec

from migctl import __version__, clock
from migctl.config import Mode, Target
from migctl.journal import Journal
from migctl.runtime.feed import Feed
from migctl.runtime.parts import Parts
from migctl.runtime.rates import Counters
from migctl.status import (
    BreakersStatus,
    ConnectionsStatus,
    FallbackStatus,
    HttpStatus,
    JournalStatus,
    LogStatus,
    RatesStatus,
    Readiness,
    RelayStatus,
    ServeParts,
    ServeStatus,
    SupervisionStatus,
    TransportsStatus,
    WitnessStatus,
)
from migctl.status.health import health, readiness
from migctl.status.indicators import Indicators
from migctl.telemetry import lost_lines


def serve_status(
    parts: Parts,
    feed: Feed,
    http: HttpStatus,
    *,
    mode: Mode,
    target: Target | None,
    url: str,
    started_at: datetime,
    draining: bool,
    supervision: SupervisionStatus | None = None,
    witness: WitnessStatus | None = None,
    keeps_witness: bool = False,
    rates: RatesStatus | None = None,
    indicators: Indicators | None = None,
    page_lacks: str | None = None,
) -> ServeStatus:
    """What the parts say now, and what is wrong with it."""
    relay = parts.relay
    of = ServeParts(
        version=__version__,
        pid=os.getpid(),
        url=url,
        started_at=started_at,
        mode=mode,
        draining=draining,
        target=target.name if target is not None else None,
        target_embedded=target is not None and target.embedded,
        authenticated_by=_authenticated_by(parts),
        journal=_journal(parts.journal),
        transports=_transports(parts),
        relay=relay.status() if relay is not None else None,
        connections=parts.connections.status(),
        breakers=parts.connections.breakers(),
        dead_letters=relay.burying.status() if relay is not None else None,
        fallback=parts.fallback.status() if parts.fallback is not None else None,
        source=feed.source.status() if feed.source is not None else None,
        source_done=feed.source is not None and feed.ended,
        http=http,
        flags=parts.flags.status(),
        witness=witness,
        witness_silent_s=silent_s(witness, started_at, clock.now()) if keeps_witness else None,
        stage=parts.staged.status() if parts.staged is not None else None,
        log=LogStatus(lost_lines=lost_lines()),
        exposures=parts.exposures.status(),
        supervision=supervision,
        kept=parts.keeping.status(),
        rates=rates,
        dashboard=page_lacks,
    )
    of = msgspec.structs.replace(of, indicators=(indicators or Indicators()).of(of, clock.now()))
    return ServeStatus(**msgspec.structs.asdict(of), health=health(of))


def counters_of(parts: Parts) -> Counters:
    """What its parts have carried by now."""
    of, relay = parts.to_target, parts.relay
    return Counters(
        taken=parts.journal.head,
        to_table=relay.table_head if relay is not None else None,
        to_websocket=parts.gateway.status().frames_written if parts.gateway is not None else None,
        to_realtime=of.broadcast.status().events if of is not None else None,
    )


def silent_s(witness: WitnessStatus | None, started_at: datetime, now: datetime) -> float:
    """Since the witness said something. What one said that ran before this serve does not count against it."""
    last = started_at if witness is None else max(witness.at, started_at)
    return max(0.0, (now - last).total_seconds())


@dataclass(frozen=True, slots=True)
class _Carrying:
    draining: bool
    started_at: datetime
    transports: TransportsStatus
    breakers: BreakersStatus
    relay: RelayStatus | None
    fallback: FallbackStatus | None
    witness: WitnessStatus | None


def observe(
    indicators: Indicators,
    parts: Parts,
    *,
    started_at: datetime,
    draining: bool,
    witness: WitnessStatus | None,
) -> None:
    """Take note of each transport's word now, so that a change has its moment, asked for or not."""
    relay = parts.relay
    of = _Carrying(
        draining=draining,
        started_at=started_at,
        transports=_transports(parts),
        breakers=parts.connections.breakers(),
        relay=relay.status() if relay is not None else None,
        fallback=parts.fallback.status() if parts.fallback is not None else None,
        witness=witness,
    )
    indicators.of(of, clock.now())


@dataclass(frozen=True, slots=True)
class _Serving:
    draining: bool
    journal: Journal
    connections: ConnectionsStatus
    breakers: BreakersStatus


def serve_readiness(parts: Parts, *, draining: bool) -> Readiness:
    """Whether it takes events and delivers them. No other part is asked, and no file."""
    of = parts.connections
    return readiness(_Serving(draining, parts.journal, of.status(), of.breakers()))


def _authenticated_by(parts: Parts) -> str | None:
    authenticated = parts.to_target.authenticated if parts.to_target is not None else None
    return authenticated.name if authenticated is not None else None


def _transports(parts: Parts) -> TransportsStatus:
    to_target = parts.to_target
    return TransportsStatus(
        websocket=parts.gateway.status() if parts.gateway is not None else None,
        realtime=to_target.broadcast.status() if to_target is not None else None,
    )


def _journal(journal: Journal) -> JournalStatus:
    return JournalStatus(
        path=journal.location,
        epoch=journal.epoch,
        writer_id=journal.writer_id,
        head=journal.head,
        tail=journal.tail,
        size_bytes=journal.size_bytes,
        full=journal.full,
        full_in_hours=journal.full_in_hours,
        full_first=journal.full_first,
        stalled=journal.stalled,
        stalled_do=journal.stalled_do,
    )
