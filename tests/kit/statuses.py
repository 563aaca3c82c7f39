"""Documents of `/api/status` as real processes gave them, and one in which every part has something to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from migctl.clock import now
from migctl.config import Settings
from migctl.experiments.document import Experiments
from migctl.experiments.exposures import Exposures
from migctl.experiments.keeping import Keeping
from migctl.flags.disk import ProcessesFile
from migctl.flags.holder import Holder
from migctl.flags.registration import Registration
from migctl.flags.service import FlagService
from migctl.journal import Journal
from migctl.resilience import BreakerState
from migctl.runtime.change_log import ChangeLog
from migctl.runtime.connections import Connections
from migctl.runtime.feed import Feed
from migctl.runtime.flags import TRANSPORT
from migctl.runtime.live_settings import LiveSettings
from migctl.runtime.parts import Parts
from migctl.runtime.status import serve_status
from migctl.status import BreakerStatus, HttpStatus, ServeStatus, read
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


def _no_flags() -> FlagService:
    """As in a `serve` without a target and without a flag file, that has not been started."""
    holder = Holder(TRANSPORT, "none", None)
    return FlagService(holder, Registration(None, "process", "test", ProcessesFile(FOLDER / "nowhere")))


def status_of(
    journal: Journal, gateway: Gateway | None, http: HttpStatus, *, draining: bool = False
) -> ServeStatus:
    """Of a listener over these alone."""
    exposures = Exposures(FOLDER / "nowhere", Experiments())
    keeping = Keeping(FOLDER / "nowhere", Experiments())
    return serve_status(
        Parts(
            journal,
            gateway,
            None,
            None,
            Connections(None, None, gateway),
            _no_flags(),
            exposures,
            keeping,
            LiveSettings(Settings(), ChangeLog(FOLDER / "nowhere")),
        ),
        Feed(None),
        http,
        mode="websocket",
        target=None,
        url="http://127.0.0.1",
        started_at=now(),
        draining=draining,
    )
