"""What the parts of delivery say: relay, breakers, connections, the two transports, dead letters, fallback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, field

from migctl.config.modes import LiveWay
from migctl.config.roles import ListensAs
from migctl.events.times import Moment
from migctl.resilience import BreakerStatus, ConnectionState

TransportName = Literal["websocket", "realtime"]
TransportState = Literal["connecting", "connected", "degraded", "closed"]
IndicatorWord = Literal["connected", "fallback", "catching up", "down"]

# What is reached over a network, or by subscribers. Heads are asked under the table's breaker.
Part = Literal["table", "heads", "broadcast", "gateway"]
BreakerPart = Literal["table", "broadcast"]

# Who feeds sockets that are passed through to an old service: as it is set, and as it is.
LegacyServe = Literal["auto", "both", "upstream", "journal"]
Feeder = Literal["upstream", "both", "journal"]


class BreakersStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Each breaker by the part that it protects; one that the mode does not have is left out."""

    table: BreakerStatus | None = None
    broadcast: BreakerStatus | None = None

    def parts(self) -> Sequence[tuple[BreakerPart, BreakerStatus]]:
        """Those that there are."""
        every: tuple[tuple[BreakerPart, BreakerStatus | None], ...] = (
            ("table", self.table),
            ("broadcast", self.broadcast),
        )
        return [(part, of) for part, of in every if of is not None]


class ConnectionStatus(Struct, frozen=True, kw_only=True):
    """How a part is reached. since: when it came into this state. do: what to do about the reason."""

    state: ConnectionState | TransportState
    since: Moment
    reason: str | None
    do: str | None


class RequestsStatus(ConnectionStatus, frozen=True, kw_only=True):
    """Of a part that requests are sent to. attempts: retries included. request_timeout_s: of the last request."""

    attempts: int
    retries: int
    request_timeout_s: float


class ConnectionsStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Each part that the mode has."""

    table: RequestsStatus | None = None
    heads: RequestsStatus | None = None
    broadcast: ConnectionStatus | None = None
    gateway: ConnectionStatus | None = None

    def parts(self) -> Sequence[tuple[Part, ConnectionStatus]]:
        """Those that there are."""
        every: tuple[tuple[Part, ConnectionStatus | None], ...] = (
            ("table", self.table),
            ("heads", self.heads),
            ("broadcast", self.broadcast),
            ("gateway", self.gateway),
        )
        return [(part, of) for part, of in every if of is not None]


class SetBackStatus(Struct, frozen=True, kw_only=True):
    """The target went back in time: what it had was not what was carried. at: the last of so many times.

    epoch, after: from there on it is carried again; again: so many events; lost: those that the journal has no more.
    """

    at: Moment
    times: int
    epoch: str
    after: int
    again: int
    lost: int


class ThrottleStatus(Struct, frozen=True, kw_only=True):
    """An operator holds the relay's writing. by: who, and since when."""

    reason: str
    by: str
    since: Moment


class RelayStatus(Struct, frozen=True, kw_only=True):
    """state, reason, do: the worse of table and heads. table_head: every seq up to it is a row or a tombstone.

    backlog: events that the table has not yet. repeats: rows that were there already. cuts: batches by what ended them.
    tombstones: by reason. set_back: the target was found to lack what was carried; None while it never was.
    throttled: None while it writes.
    """

    state: ConnectionState
    reason: str | None
    do: str | None
    epoch: str
    table_head: int
    journal_head: int
    backlog: int
    oldest_waits_s: float | None
    batches: int
    rows: int
    repeats: int
    retries: int
    cuts: dict[str, int]
    tombstones: dict[str, int]
    set_back: SetBackStatus | None = None
    throttled: ThrottleStatus | None = None


class DeadLettersStatus(Struct, frozen=True, kw_only=True):
    """waiting: nobody has retried or renewed them. by_code: all there ever were. held_since: the relay stays at a storm."""

    waiting: int
    by_code: dict[str, int]
    held_since: Moment | None
    accepted_until: Moment | None
    accepted_by: str | None


class TransportStatus(Struct, frozen=True, kw_only=True):
    """reason: why it is not connected."""

    state: TransportState
    reason: str | None


class IndicatorStatus(Struct, frozen=True, kw_only=True):
    """A transport at a glance. since: of the word; reason: why it is not connected."""

    state: IndicatorWord
    since: Moment
    reason: str | None


class UpstreamStatus(Struct, frozen=True, kw_only=True):
    """The old service behind the gateway. reason: why the latest socket could not be passed through; None where it could.

    serve: as the settings have it; feeding: what that comes to now. fed_by: of the sockets that are passed through, how many are
    fed by whom. quiet_since: it sent no event since, though it may answer; None while it sends some. unsent: events that came to
    the journal otherwise since its last one, and are not sent to these sockets. dark_since: `serve` is upstream, and it is quiet
    while there are such; None where it is not so. doubles: what was not sent to a socket, since the other had sent the same.
    """

    url: str
    failures: int
    reason: str | None
    serve: LegacyServe = "upstream"
    feeding: Feeder = "upstream"
    fed_by: dict[Feeder, int] = {}
    quiet_since: Moment | None = None
    unsent: int = 0
    dark_since: Moment | None = None
    doubles: int = 0


class MovesStatus(Struct, frozen=True, kw_only=True):
    """Sockets that name their user: who is to have which transport, and who has it. A socket that is standby has Realtime.

    assigned, actual: how many by transport. moving: those that are not where their flag says, and not for a failure of Realtime;
    None while it is being found out whom a change concerns. waiting: of those, who wait for their turn to go up. told: words
    since the start, by where they sent.
    """

    assigned: dict[str, int]
    actual: dict[str, int]
    moving: int | None
    waiting: int
    notified: dict[str, int] = field(name="told")  # the keys of the JSON form stay as they are


class GatewayStatus(TransportStatus, frozen=True, kw_only=True):
    """subscribers: all but standby, which get no events. max_queued_bytes: the longest queue of one. closed_by_code: of all.

    moves: None of an older one.
    """

    subscribers: int
    subscribers_v2: int
    subscribers_legacy: int
    subscribers_piped: int
    standby: int
    catching_up: int
    max_queued_bytes: int
    closing_by_code: dict[int, int]
    closed_by_code: dict[int, int]
    delivered_seq: int
    behind_events: int
    frames_written: int
    upstream: UpstreamStatus | None
    moves: MovesStatus | None = None


class CanaryWayStatus(Struct, frozen=True, kw_only=True):
    """One way to subscribers. silent_for_s: since a canary came by it, None before the first."""

    name: LiveWay
    silent_for_s: float | None


class CanaryStatus(Struct, frozen=True, kw_only=True):
    """role: service_role where no token for `authenticated` can be made, and policies are not proven. last_ms: of the last seen.

    ways: those that a canary has to come by before it is seen; more than broadcast with `realtime.live: postgres_changes`.
    """

    state: Literal["listening", "connecting"]
    reason: str | None
    role: ListensAs
    sent: int
    observed: int = field(name="seen")
    last_ms: float | None
    ways: list[CanaryWayStatus]


class BroadcastStatus(TransportStatus, frozen=True, kw_only=True):
    """way: how messages go now, None while there is no way. events_dropped: superseded by the table, where readers fetch them."""

    way: Literal["channel", "http"] | None
    breaker: BreakerStatus
    canary: CanaryStatus
    hints: int
    events: int
    events_dropped: int
    heartbeats: int
    channels_opened: int
    sent_by_http: int
    http_failures: int
    rate_refusals: int
    paced_for_subscribers: int
    sent_to_seq: int


class TransportsStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Each transport that the mode has."""

    websocket: GatewayStatus | None = None
    realtime: BroadcastStatus | None = None

    def named(self) -> Sequence[tuple[TransportName, TransportStatus]]:
        """Those that there are."""
        every: tuple[tuple[TransportName, TransportStatus | None], ...] = (
            ("websocket", self.websocket),
            ("realtime", self.realtime),
        )
        return [(name, of) for name, of in every if of is not None]


class FallbackStatus(Struct, frozen=True, kw_only=True):
    """active: subscribers are told to leave Realtime. since: of the last move. times: how often they were told to leave."""

    active: bool
    reason: str | None
    since: Moment | None
    times: int
    heads_behind_s: float
