"""Counts: what the HTTP side has done since it started, for status and metrics."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from migctl.server.producers import Producers
from migctl.status import HttpStatus
from migctl.status.watching import watches
from migctl.telemetry.metrics import Histogram

MOST_REJECTIONS = 1000
# One request is open for hours, as a socket is: how long it took says nothing.
STREAMS = frozenset({"/api/tail"})


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that was posted and refused. id: as its producer wrote it."""

    at: datetime
    id: str
    code: str
    reason: str


@dataclass(slots=True)
class Held:
    """Bodies that are read or worked on: their bytes, and the most that they may be together; how long one may take without a byte.

    late, crowded: how many were given up for their time, and how many there was no room for.
    """

    bytes: int = 0
    late: int = 0
    crowded: int = 0
    most_bytes: int = 128 << 20
    body_within_s: float = 20.0


@dataclass(slots=True)
class Counts:
    """Requests answered, and those answered 5xx: what the error rate is made of. A socket counts once it ends.

    watching: of the requests, those answered below 500 to who only watches, see `migctl.status.watching`.
    rejections: the newest of what was rejected and had an id. producers: who posted.
    by_answer: (method, route, status). refused: by the code of the refusal, over HTTP or as a socket closed with 4401.
    held: bodies at a time. dropped: connections, by why: see `access.gate`.
    seconds: by (method, route), sockets left out. append_seconds: from a request's events to their durability.
    """

    requests: int = 0
    watching: int = 0
    answered_5xx: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    by_answer: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[tuple[str, str], Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    append_seconds: Histogram = field(default_factory=Histogram)
    held: Held = field(default_factory=Held)
    dropped: Counter[str] = field(default_factory=Counter)
    producers: Producers = field(default_factory=Producers)
    rejections: deque[Rejection] = field(default_factory=lambda: deque(maxlen=MOST_REJECTIONS))

    def reject(self, items: Iterable[Rejection], count: int) -> None:
        self.rejected += count
        self.rejections.extend(items)

    def answered(
        self, method: str, route: str, status: int, took_s: float, *, client: str | None = None
    ) -> None:
        """client: the header by which a client of ours says that it only watches."""
        self.requests += 1
        self.watching += status < 500 and watches(route, client)
        self.answered_5xx += status >= 500
        self.by_answer[method, route, status] += 1
        if status != 101 and route not in STREAMS:
            self.seconds[method, route].observe(took_s)

    def status(self, *, limited_addresses: int = 0) -> HttpStatus:
        by_code: Counter[int] = Counter()
        for (_, _, code), count in self.by_answer.items():
            by_code[code] += count
        return HttpStatus(
            requests=self.requests,
            watching=self.watching,
            answered_5xx=self.answered_5xx,
            by_code=dict(sorted(by_code.items())),
            refused=dict(self.refused),
            accepted=self.accepted,
            duplicates=self.duplicates,
            rejected=self.rejected,
            slow_bodies=self.held.late,
            crowded_bodies=self.held.crowded,
            dropped_connections=dict(self.dropped),
            limited_addresses=limited_addresses,
        )
