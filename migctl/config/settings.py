"""Settings: everything that migctl.yaml can say, section by section, with what each value may be. `loading` reads it."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from migctl.config.address import socket_host
from migctl.config.modes import LiveWay, Mode
from migctl.config.validating import WithElsewhere, WithUnits


class Section(WithElsewhere, WithUnits, BaseModel):
    """Keys and values. What is no number is none here either: nan, inf, and true for 1.

    A field that may hold a secret has `repr=False`, and is quoted nowhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nothing_below_a_key_is_no_mistake(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("*", mode="before")
    @classmethod
    def _a_word_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("expected no true or false")
        return value


S = TypeVar("S", bound=Section)


def _ordered(section: S, lower: str, upper: str) -> S:
    """The section; raises ValueError where the value of `lower` is above that of `upper`."""
    if getattr(section, lower) > getattr(section, upper):
        raise ValueError(f"expected {lower} of at most {upper}")
    return section


class SupabaseSection(Section):
    url: Annotated[
        str | None, Field(description="the project's address; without it the embedded stack is used")
    ] = None
    schema_: Annotated[
        str,
        Field(alias="schema", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="a schema name in lower case"),
    ] = "public"
    lock_timeout_s: Annotated[float, Field(ge=0.1, le=60, description="seconds, 0.1 to 60")] = 1.0
    lock_retry_s: Annotated[float, Field(ge=0, description="seconds")] = 60.0


class JournalSection(Section):
    path: Annotated[str | None, Field(description="the journal's file; default STATE_DIR/journal.db")] = None
    retain_hours: Annotated[float, Field(ge=0, description="hours")] = 24.0
    retain_min_events: Annotated[int, Field(ge=0, description="a number of events")] = 100_000
    max_bytes: Annotated[int, Field(ge=1 << 20, description="bytes, at least a MiB")] = 10 << 30
    min_free_bytes: Annotated[int, Field(ge=0, description="bytes")] = 256 << 20


class SourceSection(Section):
    """How a foreign stream becomes events (`--map`, `--ignore` and their YAML)."""

    map: Annotated[
        dict[str, str | list[str]],
        Field(description="field to path, or to a list of paths of which the first there counts"),
    ] = {}
    ignore: Annotated[list[str], Field(description="a list of event types that are no events")] = []
    unmapped: Annotated[
        Literal["keep", "refuse", "drop"],
        Field(description="keep, refuse or drop: a message of which fields would be left out"),
    ] = "keep"
    time_formats: Annotated[
        list[str],
        Field(
            description="a list of strptime formats, unix_seconds or unix_millis, tried after RFC 3339 and Unix time"
        ),
    ] = []
    zone: Annotated[
        str, Field(description="the zone of times that name none: an offset such as '+11:00', or a name")
    ] = "UTC"
    unread_times: Annotated[
        Literal["reject", "arrival"] | None,
        Field(
            description="reject or arrival: events whose time can't be read; unset: texts are rejected, odd numbers are arrival"
        ),
    ] = None
    zones: Annotated[dict[str, str], Field(description="abbreviation to offset, such as AEDT: '+11:00'")] = {}


class IngestSection(Section):
    unknown_keys: Annotated[
        Literal["refuse", "keep"],
        Field(description="refuse or keep: a posted event with keys that no event has"),
    ] = "refuse"
    max_events_per_second: Annotated[
        float | None, Field(gt=0, description="events a second that each token may post, above 0")
    ] = None


class HttpSection(Section):
    """What the listener gives those who say nothing, too slowly, or with a wrong token."""

    head_s: Annotated[float, Field(gt=0, description="seconds for the head of a request")] = 10.0
    body_s: Annotated[float, Field(gt=0, description="seconds for a body, and one more for each 16 KiB")] = (
        20.0
    )
    max_connections: Annotated[int | None, Field(ge=16, description="connections at a time, at least 16")] = (
        None
    )
    max_wrong_tokens: Annotated[
        int, Field(ge=1, description="wrong tokens of one address within wrong_tokens_within_s, at least 1")
    ] = 20
    wrong_tokens_within_s: Annotated[float, Field(gt=0, le=86400, description="seconds, up to a day")] = 60.0


class LegacySection(Section):
    frame: Annotated[Literal["envelope", "data"], Field(description="envelope or data")] = "envelope"
    open: Annotated[bool, Field(description="true or false: sockets without a token from anywhere")] = False
    networks: Annotated[
        list[IPv4Network | IPv6Network],
        Field(description="a list of networks such as 10.0.0.0/8, from which sockets need no token"),
    ] = []
    upstream: Annotated[
        str | None,
        Field(pattern=r"^wss?://[^/?#@]+", description="ws://HOST:PORT/PATH, the old service's own socket"),
    ] = None
    serve: Annotated[
        Literal["auto", "both", "upstream", "journal"], Field(description="auto, both, upstream or journal")
    ] = "auto"
    quiet_s: Annotated[float, Field(gt=0, description="seconds without an event")] = 10.0
    same_within_s: Annotated[float, Field(gt=0, le=60, description="seconds, at most 60")] = 5.0
    origins: Annotated[
        list[str],
        Field(description="a list of origins such as http://localhost:3000, whose pages may connect"),
    ] = []

    ping_every_s: Annotated[float, Field(gt=0, description="seconds")] = 10.0
    silence_s: Annotated[float, Field(gt=0, description="seconds without anything, after a ping")] = 10.0
    max_frame_bytes: Annotated[int, Field(ge=1 << 10, description="bytes, at least 1 KiB")] = 16 << 20

    @field_validator("upstream")
    @classmethod
    def _can_be_connected_to(cls, value: str | None) -> str | None:
        if value is not None and socket_host(value) is None:
            raise ValueError(
                "expected an address; what is no letter or digit in a user or password is written %XX"
            )
        return value


class GatewaySection(Section):
    heartbeat_s: Annotated[float, Field(gt=0, le=60, description="seconds, at most 60")] = 5.0
    max_queue_bytes: Annotated[int, Field(ge=64 << 10, description="bytes, at least 64 KiB")] = 8 << 20
    stall_s: Annotated[float, Field(gt=0, description="seconds")] = 10.0
    grace_s: Annotated[float, Field(gt=0, description="seconds")] = 5.0


class ClassBounds(Section):
    max_events: Annotated[int, Field(ge=1, le=500, description="events in a batch, 1 to 500")]
    max_wait_s: Annotated[float, Field(gt=0, description="seconds")]


class RatesSection(Section):
    """How an event type that no pattern names gets its class."""

    high_above_per_s: Annotated[float, Field(gt=0, description="events a second")] = 100.0
    medium_above_per_s: Annotated[
        float, Field(gt=0, description="events a second, at most high_above_per_s")
    ] = 5.0
    window_s: Annotated[float, Field(gt=0, description="seconds")] = 30.0
    move_after_windows: Annotated[int, Field(ge=1, description="windows in a row")] = 3

    @model_validator(mode="after")
    def _bounds(self) -> RatesSection:
        return _ordered(self, "medium_above_per_s", "high_above_per_s")


class BatchingSection(Section):
    batching: Annotated[Literal["none", "wait"], Field(description="none or wait")] = "none"
    high: ClassBounds = ClassBounds(max_events=100, max_wait_s=0.1)
    medium: ClassBounds = ClassBounds(max_events=50, max_wait_s=0.5)
    low: ClassBounds = ClassBounds(max_events=10, max_wait_s=2.0)
    classes: Annotated[
        dict[str, Literal["high", "medium", "low"]], Field(description="pattern of event_type to class")
    ] = {}
    rates: RatesSection = RatesSection()
    backlog_after_s: Annotated[float, Field(ge=0, description="seconds")] = 0.5
    backlog_max_events: Annotated[int, Field(ge=1, le=5000, description="rows in a request of backlog")] = 500
    max_bytes: Annotated[int, Field(ge=1 << 16, description="bytes of a request")] = 4 << 20
    max_dead_letters_per_minute: Annotated[int, Field(ge=0, description="dead letters a minute")] = 20
    heads_apart_s: Annotated[float, Field(gt=0, description="seconds")] = 0.1
    heads_behind_s: Annotated[float, Field(gt=0, description="seconds")] = 1.0
    compare_every_s: Annotated[float, Field(ge=0, description="seconds; 0: never")] = 10.0
    claim_s: Annotated[float, Field(gt=0, description="seconds")] = 3.0
    drain_s: Annotated[float, Field(gt=0, description="seconds")] = 10.0
    drain_away_s: Annotated[float, Field(ge=0, description="seconds")] = 1.0


class RealtimeSection(Section):
    live: Annotated[LiveWay, Field(description="broadcast or postgres_changes")] = "broadcast"
    messages_per_second: Annotated[
        float | None, Field(gt=0, description="the plan's limit, each delivery counted: 100, 500 or 2500")
    ] = None
    expected_subscribers: Annotated[int, Field(ge=0, description="how many receive each broadcast")] = 1
    joins_per_s: Annotated[
        float,
        Field(gt=0, description="subscribers a second that are sent to Realtime, below the plan's joins"),
    ] = 50.0
    token_command: Annotated[
        str | None,
        Field(
            min_length=1,
            repr=False,
            description="a command line that prints an access token of role authenticated",
        ),
    ] = None
    clients_bring_tokens: Annotated[
        bool,
        Field(description="true: /api/transport gives no token, because dashboards sign in by themselves"),
    ] = False
    token_timeout_s: Annotated[float, Field(gt=0, description="seconds that it may take")] = 10.0
    token_ttl_s: Annotated[float, Field(ge=1, description="seconds, at least 1")] = 3600.0
    max_hint_bytes: Annotated[
        int, Field(ge=1024, le=3_000_000, description="bytes of a broadcast message")
    ] = 200 * 1024


class BreakerSection(Section):
    consecutive_failures: Annotated[int, Field(ge=1, description="failures in a row")] = 5
    window_s: Annotated[float, Field(gt=0, description="seconds")] = 10.0
    min_requests: Annotated[int, Field(ge=1, description="requests in the window")] = 20
    max_failure_percent: Annotated[float, Field(gt=0, le=100, description="percent of them")] = 50.0
    open_s: Annotated[float, Field(gt=0, description="seconds")] = 1.0
    max_open_s: Annotated[float, Field(gt=0, description="seconds, at least open_s")] = 3.0

    @model_validator(mode="after")
    def _bounds(self) -> BreakerSection:
        return _ordered(self, "open_s", "max_open_s")


class RetrySection(Section):
    """Full jitter: a delay lies anywhere between 0 and its bound, which doubles from first to most."""

    first_delay_s: Annotated[float, Field(gt=0, description="seconds")] = 0.1
    max_delay_s: Annotated[float, Field(gt=0, description="seconds, at least first_delay_s")] = 2.0

    @model_validator(mode="after")
    def _bounds(self) -> RetrySection:
        return _ordered(self, "first_delay_s", "max_delay_s")


class TimeoutSection(Section):
    """How long a request may take: adapted to what requests did take."""

    initial_s: Annotated[float, Field(gt=0, description="seconds, until a request was measured")] = 1.0
    min_s: Annotated[float, Field(gt=0, description="seconds")] = 0.5
    max_s: Annotated[float, Field(gt=0, description="seconds, at least min_s")] = 15.0

    @model_validator(mode="after")
    def _bounds(self) -> TimeoutSection:
        return _ordered(_ordered(self, "min_s", "max_s"), "initial_s", "max_s")


class CanarySection(Section):
    every_s: Annotated[float, Field(gt=0, description="seconds")] = 0.5
    silent_s: Annotated[float, Field(gt=0, description="seconds, above every_s")] = 1.5

    @model_validator(mode="after")
    def _bounds(self) -> CanarySection:
        return _ordered(self, "every_s", "silent_s")


class ResilienceSection(Section):
    """What is done when Supabase fails."""

    breaker: BreakerSection = BreakerSection()
    retry: RetrySection = RetrySection()
    systemic_retry: RetrySection = RetrySection(first_delay_s=1.0, max_delay_s=10.0)
    request_timeout: TimeoutSection = TimeoutSection()
    canary: CanarySection = CanarySection()


class FallbackSection(Section):
    hold_s: Annotated[float, Field(ge=0, description="seconds")] = 10.0
    max_lag_s: Annotated[float, Field(gt=0, description="seconds that heads may be behind")] = 1.0
    min_away_s: Annotated[float, Field(ge=0, description="seconds")] = 1.0
    returns_per_s: Annotated[float, Field(gt=0, description="subscribers a second")] = 50.0
    max_spread_s: Annotated[float, Field(ge=0, description="seconds")] = 10.0
    to_realtime: Annotated[bool, Field(description="true or false")] = True


class FlagsSection(Section):
    """Where flags are kept."""

    target: Annotated[
        str | None,
        Field(min_length=1, description="what the record calls this project; default its address and schema"),
    ] = None
    file: Annotated[
        str | None,
        Field(min_length=1, description="a file of flags, which is the record where there is no target"),
    ] = None
    max_requests_per_second: Annotated[
        float, Field(gt=0, description="requests about flags a second that each token may make, above 0")
    ] = 5000.0


class EvidenceSection(Section):
    """What the witness measures, and what it alerts for."""

    window_s: Annotated[float, Field(ge=0.5, le=3600, description="seconds; gates expect 60")] = 60.0
    grace_s: Annotated[float, Field(ge=1.5, le=600, description="seconds after a window, at least 1.5")] = 5.0
    min_match_percent: Annotated[float, Field(ge=0, le=100, description="percent, 0 to 100")] = 99.9
    max_lost: Annotated[int, Field(ge=0, description="a number of events in a window")] = 0
    min_availability_percent: Annotated[float, Field(ge=0, le=100, description="percent, 0 to 100")] = 99.0


class SupervisionSection(Section):
    """When `serve --supervised` gives a worker up, and when itself."""

    silence_s: Annotated[float, Field(ge=0.2, description="seconds without a beat, at least 0.2")] = 10.0
    settled_s: Annotated[
        float, Field(gt=0, description="seconds of serving, after which a start was good")
    ] = 5.0
    first_delay_s: Annotated[float, Field(gt=0, description="seconds")] = 0.1
    max_delay_s: Annotated[float, Field(gt=0, description="seconds, at least first_delay_s")] = 5.0
    max_quick_deaths: Annotated[int, Field(ge=1, description="deaths in a row")] = 10

    @model_validator(mode="after")
    def _bounds(self) -> SupervisionSection:
        return _ordered(self, "first_delay_s", "max_delay_s")


class AlertsSection(Section):
    webhook: Annotated[
        str | None,
        Field(pattern=r"^https?://[^/]+", repr=False, description="http(s)://HOST/PATH that takes JSON"),
    ] = None


class Settings(Section):
    """Everything that migctl.yaml can say, after flags and environment have had their word."""

    mode: Annotated[Mode, Field(description="one of websocket, realtime, dual")] = "dual"
    listen: Annotated[str, Field(pattern=r"^.+:\d{1,5}$", description="HOST:PORT")] = "127.0.0.1:8080"
    trusted_proxies: Annotated[
        list[IPv4Network | IPv6Network],
        Field(description="a list of networks such as 127.0.0.1/32, whose X-Forwarded-For says who asks"),
    ] = []
    state_dir: Annotated[str, Field(description="a folder for journal, stack and logs")] = ".migctl"
    supabase: SupabaseSection = SupabaseSection()
    journal: JournalSection = JournalSection()
    source: SourceSection = SourceSection()
    ingest: IngestSection = IngestSection()
    http: HttpSection = HttpSection()
    legacy: LegacySection = LegacySection()
    gateway: GatewaySection = GatewaySection()
    relay: BatchingSection = BatchingSection()
    realtime: RealtimeSection = RealtimeSection()
    resilience: ResilienceSection = ResilienceSection()
    fallback: FallbackSection = FallbackSection()
    flags: FlagsSection = FlagsSection()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="debug, info, warning or error")
    ] = "info"
    witness: Annotated[bool, Field(description="on or off")] = True
    evidence: EvidenceSection = EvidenceSection()
    alerts: AlertsSection = AlertsSection()
    supervision: SupervisionSection = SupervisionSection()

    @property
    def state(self) -> Path:
        return Path(self.state_dir)

    @property
    def journal_path(self) -> Path:
        return Path(self.journal.path) if self.journal.path else self.state / "journal.db"

    @property
    def listen_host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        return int(self.listen.rpartition(":")[2])
