"""Attached: what is said of one open socket: what it reads, since when, and how far behind it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from migctl.status.subscribers import SubscriberPhase, SubscribersStatus, SubscriberStatus, total_of
from migctl.transports.websocket.live import Live
from migctl.transports.websocket.session import Session


class Headed(Protocol):
    """A journal, as far as it matters here."""

    @property
    def epoch(self) -> str: ...
    @property
    def head(self) -> int: ...


def attached(
    sessions: Iterable[Session], live: Live, journal: Headed, *, at: float, moment: datetime
) -> SubscribersStatus:
    """at, moment: now, monotonic and by the clock. Who came first is first."""
    epoch, head = journal.epoch, journal.head
    found = [
        _subscriber(one, live, epoch, head, at, moment) for one in sorted(sessions, key=lambda one: one.since)
    ]
    return SubscribersStatus(at=moment, epoch=epoch, head=head, total=total_of(found), subscribers=found)


def _subscriber(
    session: Session, live: Live, epoch: str, head: int, at: float, moment: datetime
) -> SubscriberStatus:
    phase = _phase(session, live)
    fed = phase in ("live", "catching up", "closing") and not session.standby and session.form != "piped"
    position = live.position(session) if fed else None
    return SubscriberStatus(
        peer=session.peer,
        form=session.form,
        phase=phase,
        standby=session.standby,
        reads=session.transport,
        user=session.user,
        assigned=session.assigned,
        token=session.token,
        since=moment - timedelta(seconds=at - session.since),
        position=position,
        behind_events=_behind(position, epoch, head),
        behind_s=_behind_s(session, phase, at, moment) if fed else None,
        queued_bytes=session.queued_bytes,
        closing=session.close_code,
        witness=session.witness,
    )


def _phase(session: Session, live: Live) -> SubscriberPhase:
    if session.close_code is not None:
        return "closing"
    if session.standby:
        return "standby"
    if session.form == "piped":
        return "piped"
    return "live" if session in live else "catching up"


def _behind(position: str | None, epoch: str, head: int) -> int | None:
    """None where nothing was written to it in this epoch."""
    of, _, seq = (position or "").rpartition("/")
    return max(0, head - int(seq)) if of == epoch else None


def _behind_s(session: Session, phase: SubscriberPhase, at: float, moment: datetime) -> float | None:
    """While it catches up: how old the last is that was written to it; else how long its queue has not been empty."""
    if phase == "catching up":
        of = session.caught_up_to
        return None if of is None else round(max(0.0, (moment - of).total_seconds()), 3)
    waits = session.waits_since if session.queued_bytes else None
    return 0.0 if waits is None else round(max(0.0, at - waits), 3)
