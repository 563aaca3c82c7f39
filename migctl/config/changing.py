"""Which settings may change while `serve` runs, and what each may be. Pure: the rules of a value are those of the settings file.

Every setting is either in CHANGEABLE or in FIXED, which says why a running `serve` can't take it over.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from migctl.config.settings import Settings
from migctl.config.staged import merge
from migctl.config.validating import field_at, is_section, keys_of, validate
from migctl.config.yamlfile import Path_, value_of
from migctl.errors import Usage
from migctl.printable import brief

NEXT_BATCH, NEXT_REQUEST, AT_ONCE = "from the next batch on", "from the next request on", "at once"
AT_THE_END, NEXT_FAILURE = "when serve ends", "from the next failure on"

_UNITS = {
    "_s": "s", "_hours": "h", "_bytes": "bytes", "_percent": "%", "_per_s": "1/s", "_per_second": "1/s", "_events": "events",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Changeable:
    """A setting that may change. name: as in YAML, parted by dots. applies: from when on a change counts."""

    name: str
    applies: str

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(self.name.split("."))

    @property
    def unit(self) -> str | None:
        """As the name's end says it; None for what is no measure."""
        ends = sorted((end for end in _UNITS if self.name.endswith(end)), key=len)
        return _UNITS[ends[-1]] if ends else None

    @property
    def expected(self) -> str:
        """What it may be, in words."""
        found = self._field.description
        assert found is not None
        return str(found)

    @property
    def bounds(self) -> dict[str, float]:
        """`at_least`, `above`, `at_most`, `below`: those that it has."""
        names = {"ge": "at_least", "gt": "above", "le": "at_most", "lt": "below"}
        return {
            word: getattr(one, name)
            for one in self._field.metadata
            for name, word in names.items()
            if hasattr(one, name)
        }

    @property
    def choices(self) -> list[str]:
        """The words that it may be; empty where it is none of some words."""
        return [one for one in get_args(self._field.annotation) if isinstance(one, str)]

    def of(self, settings: Settings) -> Any:
        """Its value, as JSON has it."""
        found: object = settings.model_dump(mode="json", by_alias=True)
        for part in self.path:
            assert isinstance(found, dict)
            found = found[part]
        return found

    @property
    def default(self) -> Any:
        return self.of(Settings())

    @property
    def is_shown(self) -> bool:
        """False for what may hold a secret."""
        return self._field.repr is not False

    @property
    def _field(self) -> Any:
        return field_at(Settings, self.path)


def _all(section: str, applies: str, *names: str) -> list[Changeable]:
    return [Changeable(f"{section}.{name}", applies) for name in names]


CHANGEABLE: tuple[Changeable, ...] = (
    Changeable("log_level", AT_ONCE),
    *_all("journal", "within a second", "retain_hours", "retain_min_events", "max_bytes", "min_free_bytes"),
    *_all("ingest", NEXT_REQUEST, "max_events_per_second"),
    *_all("http", NEXT_REQUEST, "max_wrong_tokens", "wrong_tokens_within_s"),
    *_all(
        "relay", NEXT_BATCH, "batching",
        *(f"{name}.{bound}" for name in ("high", "medium", "low") for bound in ("max_events", "max_wait_s")),
        "classes", "rates.high_above_per_s", "rates.medium_above_per_s", "rates.window_s", "rates.move_after_windows",
        "backlog_after_s", "backlog_max_events", "max_bytes",
    ),
    *_all("relay", AT_ONCE, "max_dead_letters_per_minute"),
    *_all("relay", "from the next announcement on", "heads_apart_s", "heads_behind_s"),
    *_all("relay", "from the next comparison on", "compare_every_s"),
    *_all("relay", AT_THE_END, "drain_s", "drain_away_s"),
    *_all("gateway", AT_ONCE, "max_queue_bytes"),
    *_all("legacy", AT_ONCE, "serve", "quiet_s"),
    *_all("legacy", "from the next socket on", "same_within_s"),
    *_all("gateway", "from the next run on", "stall_s"),
    *_all("gateway", "from the next goodbye on", "grace_s"),
    *_all("realtime", "from the next message on", "messages_per_second", "expected_subscribers", "max_hint_bytes"),
    *_all("realtime", "from the next token on", "token_ttl_s"),
    *_all("realtime", "from the next turn on", "joins_per_s"),
    *_all(
        "resilience.breaker", NEXT_REQUEST, "consecutive_failures", "window_s", "min_requests", "max_failure_percent", "open_s",
        "max_open_s",
    ),
    *_all("resilience.request_timeout", NEXT_REQUEST, "initial_s", "min_s", "max_s"),
    *_all("resilience.retry", NEXT_FAILURE, "first_delay_s", "max_delay_s"),
    *_all("resilience.systemic_retry", NEXT_FAILURE, "first_delay_s", "max_delay_s"),
    *_all("resilience.canary", "from the next canary on", "every_s", "silent_s"),
    *_all("evidence", "from the next window on", "min_match_percent", "max_lost", "min_availability_percent"),
    *_all("fallback", AT_ONCE, "hold_s", "max_lag_s", "min_away_s", "returns_per_s", "max_spread_s", "to_realtime"),
    *_all("flags", NEXT_REQUEST, "max_requests_per_second"),
)  # fmt: skip
_WHERE = "it is where this serve lives, and others know it by that"
_ROLES = "it decides of what parts a serve is made"
_ACCESS = "who may connect is decided by a start, as tokens are: nobody gets in by a word over a socket"
_SCHEMA = "it is for `migctl schema`, and serve makes no tables"
_SOURCE = "the source reads it when it is opened"
_SUPERVISED = "it is the supervisor's, which is a process of its own"
_SECRET = "it is, or may hold, a secret, and those come with a start"

# By setting: why a running serve can't take it over.
FIXED: Mapping[str, str] = {
    "mode": _ROLES, "witness": _ROLES,
    "listen": _WHERE, "state_dir": _WHERE, "journal.path": _WHERE, "supabase.url": _WHERE, "supabase.schema": _WHERE,
    "supabase.lock_timeout_s": _SCHEMA, "supabase.lock_retry_s": _SCHEMA,
    "flags.target": _WHERE, "flags.file": _WHERE,
    **dict.fromkeys(
        (
            "source.map", "source.ignore", "source.unmapped", "source.time_formats", "source.zones", "source.zone",
            "source.unread_times",
        ),
        _SOURCE,
    ),
    "ingest.unknown_keys": "a producer would be answered one thing, and then another",
    "legacy.frame": "sockets that are open have half of their events in the one form",
    **dict.fromkeys(
        ("legacy.ping_every_s", "legacy.silence_s", "legacy.max_frame_bytes"),
        "a socket to the old service is kept as it was opened",
    ),
    "legacy.upstream": "sockets that are open are piped there, and would not know of another",
    **dict.fromkeys(("http.head_s", "http.body_s", "http.max_connections"), "the listener is made with it, once"),
    **dict.fromkeys(("legacy.open", "legacy.networks", "legacy.origins", "trusted_proxies"), _ACCESS),
    "gateway.heartbeat_s": "open sockets were sent it in sys.hello, and take another rhythm for silence",
    "relay.claim_s": "it is how long a start waits, and is over by then",
    "realtime.live": "subscribers were sent to where live events come from, and have joined there",
    "realtime.token_command": _SECRET,
    "realtime.clients_bring_tokens": "a start finds out who makes the tokens",
    "realtime.token_timeout_s": "it goes with realtime.token_command, which a start makes ready",
    "evidence.window_s": "windows of one rollout are of one length, which its gates count",
    "evidence.grace_s": "it is how windows are closed, and those that are open began with it",
    "alerts.webhook": _SECRET,
    **{
        f"supervision.{name}": _SUPERVISED
        for name in ("silence_s", "settled_s", "first_delay_s", "max_delay_s", "max_quick_deaths")
    },
}  # fmt: skip
_BY_NAME = {one.name: one for one in CHANGEABLE}


def changeable(name: str) -> Changeable:
    """The setting of this name. Raises Usage with what to do instead."""
    found = _BY_NAME.get(name)
    if found is not None:
        return found
    if name in FIXED:
        raise Usage(
            f"{name}: a running serve can't take it over: {FIXED[name]}",
            do="set it in migctl.yaml, and start serve again",
        )
    if field_at(Settings, tuple(name.split("."))) is not None:
        inner = [one for one in _BY_NAME if one.startswith(f"{name}.")]
        if inner:
            raise Usage(f"{name}: is a section", do=f"name one of its settings: {', '.join(inner)}")
    close = difflib.get_close_matches(name, _BY_NAME, 1)
    raise Usage(
        f"{name}: no such setting",
        do=f"did you mean {close[0]}?" if close else "`migctl ctl get` lists those that may change",
    )


def below(prefix: str) -> list[Changeable]:
    """The setting of this name, or those of this section. Raises Usage where there is none."""
    inner = [one for one in CHANGEABLE if one.name.startswith(f"{prefix}.")]
    return inner or [changeable(prefix)]


def named(prefix: str) -> set[str]:
    """Every setting of this name, or of this section, changeable or not. Raises Usage where there is none."""
    names = [*_BY_NAME, *FIXED]
    found = {one for one in names if one == prefix or one.startswith(f"{prefix}.")}
    return found or {changeable(prefix).name}


def leaves(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every setting there is, by its name; a table of patterns is one."""
    for key in keys_of(model):
        if is_section(model, (key,)):
            inner = field_at(model, (key,)).annotation
            assert isinstance(inner, type) and issubclass(inner, BaseModel)
            yield from leaves(inner, (*path, key))
        else:
            yield ".".join((*path, key))


def parsed(setting: Changeable, text: str) -> Any:
    """The value that a text stands for, as in the settings file; whether it may be that, `overlaid` says.

    Raises Usage for an empty one: nothing is ever cleared by leaving a word out.
    """
    if not text.strip():
        raise Usage(
            f"{setting.name}: an empty value",
            do=f"it is {setting.expected}; `migctl ctl unset {setting.name}` takes back what was set here",
        )
    try:
        return value_of(text)
    except ValueError as error:
        raise Usage(
            f"{setting.name}: {brief(text)} is no value: {error}", do=f"it is {setting.expected}"
        ) from None


def overlaid(settings: Settings, changes: Mapping[Changeable, Any], *, source: str = "ctl") -> Settings:
    """The settings with these values laid over them, checked as a file's are. Raises Faulty with the key and the way out."""
    if not changes:
        return settings
    tree: dict[str, Any] = {}
    for setting, value in changes.items():
        inner = tree
        *above, last = setting.path
        for part in above:
            inner = inner.setdefault(part, {})
        inner[last] = value
    merged = merge(settings.model_dump(by_alias=True), tree)
    origins: dict[Path_, str] = {one.path: source for one in changes}
    return validate(Settings, merged, None, origins)
