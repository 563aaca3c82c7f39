"""Which settings may change while `serve` runs, and what each may be. Pure: the rules of a value are those of the settings file.

A setting that is not here is read by a start alone, or by a connection when it is made.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import yaml

from migctl.config.settings import Settings
from migctl.config.staged import merge
from migctl.config.validating import field_at, validate
from migctl.config.yamlfile import Path_
from migctl.errors import Usage

NEXT_BATCH, NEXT_REQUEST, AT_ONCE = "from the next batch on", "from the next request on", "at once"
AT_THE_END = "when serve ends"

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
    def _field(self) -> Any:
        return field_at(Settings, self.path)


def _all(section: str, applies: str, *names: str) -> list[Changeable]:
    return [Changeable(f"{section}.{name}", applies) for name in names]


CHANGEABLE: tuple[Changeable, ...] = (
    Changeable("log_level", AT_ONCE),
    *_all("journal", "within a second", "retain_hours", "retain_min_events", "max_bytes", "min_free_bytes"),
    *_all("ingest", NEXT_REQUEST, "max_events_per_second"),
    *_all(
        "relay", NEXT_BATCH, "batching",
        *(f"{name}.{bound}" for name in ("high", "medium", "low") for bound in ("max_events", "max_wait_s")),
        "classes", "rates.high_above_per_s", "rates.medium_above_per_s", "rates.window_s", "rates.move_after_windows",
        "backlog_after_s", "backlog_max_events", "max_bytes",
    ),
    *_all("relay", "from the next comparison on", "compare_every_s"),
    *_all("relay", AT_THE_END, "drain_s", "drain_away_s"),
    *_all("realtime", "from the next message on", "messages_per_second", "expected_subscribers"),
    *_all("realtime", "from the next turn on", "joins_per_s"),
    *_all(
        "resilience.breaker", NEXT_REQUEST, "consecutive_failures", "window_s", "min_requests", "max_failure_percent", "open_s",
        "max_open_s",
    ),
    *_all("resilience.request_timeout", NEXT_REQUEST, "initial_s", "min_s", "max_s"),
    *_all("fallback", AT_ONCE, "hold_s", "max_lag_s", "min_away_s", "returns_per_s", "max_spread_s", "to_realtime"),
    *_all("flags", NEXT_REQUEST, "max_requests_per_second"),
)  # fmt: skip
_BY_NAME = {one.name: one for one in CHANGEABLE}


def changeable(name: str) -> Changeable:
    """The setting of this name. Raises Usage with what to do instead."""
    found = _BY_NAME.get(name)
    if found is not None:
        return found
    if field_at(Settings, tuple(name.split("."))) is not None:
        inner = [one for one in _BY_NAME if one.startswith(f"{name}.")]
        if inner:
            raise Usage(f"{name}: is a section", do=f"name one of its settings: {', '.join(inner)}")
        raise Usage(
            f"{name}: a running serve can't take it over", do="set it in migctl.yaml, and start serve again"
        )
    close = difflib.get_close_matches(name, _BY_NAME, 1)
    raise Usage(
        f"{name}: no such setting",
        do=f"did you mean {close[0]}?" if close else "`migctl ctl get` lists those that may change",
    )


def below(prefix: str) -> list[Changeable]:
    """The setting of this name, or those of this section. Raises Usage where there is none."""
    inner = [one for one in CHANGEABLE if one.name.startswith(f"{prefix}.")]
    return inner or [changeable(prefix)]


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
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Usage(
            f"{setting.name}: {text!r} is no value: {' '.join(str(error).split())}", do=f"it is {setting.expected}"
        ) from None  # fmt: skip


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
