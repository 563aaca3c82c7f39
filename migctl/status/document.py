"""The document of `/api/status`: ServeStatus, of one frozen struct for each part.

Who reads a status reads fields, so a field that is renamed is a type error where it is read. A field that is added gets a default,
so that the document of an older `serve` can be read too; keys that are not known here are passed over.

Times are aware UTC; keys carry their unit. None is "not known" or "there is none", never zero.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from migctl.config import Mode
from migctl.events.times import Moment
from migctl.status.delivery import (
    BreakersStatus,
    ConnectionsStatus,
    DeadLettersStatus,
    FallbackStatus,
    IndicatorStatus,
    Part,
    RelayStatus,
    TransportsStatus,
)
from migctl.status.experiments import ExposuresStatus, KeptStatus
from migctl.status.flags import FlagsStatus
from migctl.status.rates import RatesStatus
from migctl.status.sources import AnySource
from migctl.status.stage import StageStatus
from migctl.status.witness import WitnessStatus


class JournalStatus(Struct, frozen=True, kw_only=True):
    """size_bytes: of the file and its log. full: why there is no room; full_in_hours: at the present rate, None is never.
    full_first: what is full then: the journal, or the disk, which others fill too.

    stalled: what the last write could not get past, and may a moment later; stalled_do: what to do about that. No event is taken
    while it is full or stalled.
    """

    path: str
    epoch: str
    writer_id: str
    head: int
    tail: int
    size_bytes: int
    full: str | None
    full_in_hours: float | None
    full_first: Literal["journal", "disk"] | None = None
    stalled: str | None = None
    stalled_do: str | None = None


class LogStatus(Struct, frozen=True, kw_only=True):
    """lost_lines: lines of the log that could not be written, since the start."""

    lost_lines: int


class SupervisionStatus(Struct, frozen=True, kw_only=True):
    """Of `serve --supervised`. restarts: since its start; last_reason, last_at: of the last, None where there was none."""

    restarts: int
    last_reason: str | None = None
    last_at: Moment | None = None


class HttpStatus(Struct, frozen=True, kw_only=True):
    """Requests answered since the start, and what became of posted events. refused: by the guard, by code.

    watching: of the requests, those answered below 500 to who only watches: probes, scrapers, the witness, an open page.
    slow_bodies, crowded_bodies: that did not come in time, and that there was no room for. dropped_connections: by why: `head` (no
    whole request came in time), `address` (too many there had said nothing yet), `full` (there were too many in all).
    limited_addresses: from which too many wrong tokens came just now.
    """

    requests: int
    answered_5xx: int
    by_code: dict[int, int]
    refused: dict[str, int]
    accepted: int
    duplicates: int
    rejected: int
    watching: int = 0
    slow_bodies: int = 0
    crowded_bodies: int = 0
    dropped_connections: dict[str, int] = {}
    limited_addresses: int = 0


class Problem(Struct, frozen=True, kw_only=True):
    """What is wrong with one part, and the way out. since: None where nobody knows."""

    part: str
    state: str
    reason: str | None
    do: str
    since: Moment | None = None

    def sentence(self, lasts: str = "") -> str:
        """`part: state: reason`, for people. lasts: said after the state, such as " for 3 s"."""
        return f"{self.part}: {self.state}{lasts}" + (f": {self.reason}" if self.reason else "")


class Health(Struct, frozen=True, kw_only=True):
    """ok: each part said that it is well. problems: the most serious first."""

    status: Literal["ok", "degraded"]
    problems: list[Problem]


class ServeParts(Struct, frozen=True, kw_only=True):
    """All that the parts of one `serve` say. relay, dead_letters, fallback, source: None where the mode has none.

    authenticated_by: the setting that makes the tokens of subscribers; None where nothing does.
    flags, log: None of an older one. exposures: None where none are logged. kept: None where no experiment is sticky.
    supervision: None without `--supervised`.
    rates: None before it has served for two seconds.
    witness_silent_s: since the witness that this serve keeps said something; None where it keeps none.
    indicators: a word for each transport that the mode has. dashboard: what the page lacks, and what to do; None where nothing.
    """

    schema: Literal["migctl.status/1"] = "migctl.status/1"
    version: str
    pid: int
    url: str
    started_at: Moment
    mode: Mode
    draining: bool
    target: str | None
    target_embedded: bool
    authenticated_by: str | None = None
    journal: JournalStatus
    transports: TransportsStatus
    relay: RelayStatus | None
    connections: ConnectionsStatus
    breakers: BreakersStatus
    dead_letters: DeadLettersStatus | None
    fallback: FallbackStatus | None
    source: AnySource | None
    source_done: bool
    http: HttpStatus
    flags: FlagsStatus | None = None
    witness: WitnessStatus | None = None
    witness_silent_s: float | None = None
    stage: StageStatus | None = None
    log: LogStatus | None = None
    exposures: ExposuresStatus | None = None
    supervision: SupervisionStatus | None = None
    kept: KeptStatus | None = None
    rates: RatesStatus | None = None
    indicators: dict[str, IndicatorStatus] = {}
    dashboard: str | None = None


class ServeStatus(ServeParts, frozen=True, kw_only=True):
    """The whole document: the parts, and what is wrong with them."""

    health: Health


class Readiness(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The document of `/readyz`. degraded: parts that are not reached, while events are taken and delivered all the same."""

    status: Literal["ok", "degraded", "full", "stalled", "draining"]
    reason: str | None = None
    degraded: list[Part] | None = None

    @property
    def ready(self) -> bool:
        """Whether it answers 200."""
        return self.status in ("ok", "degraded")
