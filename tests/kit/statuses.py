"""Documents of `/api/status` as real processes gave them, and one in which every part has something to say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from migctl.clock import now
from migctl.journal import Journal
from migctl.resilience import BreakerState
from migctl.status import (
    BreakersStatus,
    BreakerStatus,
    ConnectionsStatus,
    HttpStatus,
    JournalStatus,
    ServeParts,
    ServeStatus,
    TransportsStatus,
    read,
)
from migctl.status.health import health
from migctl.transports.websocket import Gateway

FOLDER = Path(__file__).parent / "statuses"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def document(name: str) -> dict[str, Any]:
    """As it was answered."""
    found: dict[str, Any] = msgspec.json.decode((FOLDER / f"{name}.json").read_bytes())
    return found


def breaker(state: BreakerState, reason: str | None = None) -> BreakerStatus:
    return BreakerStatus(state=state, since=None, reason=reason, do=None, opened=0, next_trial_in_s=None)


def status(name: str = "everything") -> ServeStatus:
    return read((FOLDER / f"{name}.json").read_bytes())


def status_of(
    journal: Journal, gateway: Gateway | None, http: HttpStatus, *, draining: bool = False
) -> ServeStatus:
    """Of a listener over these alone, as `runtime` would assemble it."""
    of = ServeParts(
        version="test",
        pid=os.getpid(),
        url="http://127.0.0.1",
        started_at=now(),
        mode="websocket",
        draining=draining,
        target=None,
        target_embedded=False,
        journal=JournalStatus(
            path=journal.location,
            epoch=journal.epoch,
            writer_id=journal.writer_id,
            head=journal.head,
            tail=journal.tail,
            size_bytes=journal.size_bytes,
            full=journal.full or journal.stalled,
            full_in_hours=journal.full_in_hours,
        ),
        transports=TransportsStatus(websocket=gateway.status() if gateway is not None else None),
        relay=None,
        connections=ConnectionsStatus(),
        breakers=BreakersStatus(),
        dead_letters=None,
        fallback=None,
        source=None,
        source_done=False,
        http=http,
    )
    return ServeStatus(**msgspec.structs.asdict(of), health=health(of))
