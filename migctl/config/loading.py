"""Where settings come from: flag > environment > migctl.yaml > default. The only room that reads the environment.

Secrets are never read from YAML: see `secrets`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from migctl import redaction
from migctl.config.problems import Faulty
from migctl.config.secrets import trimmed
from migctl.config.settings import Settings
from migctl.config.validating import is_section, validate
from migctl.config.yamlfile import Document, Path_, Spellings
from migctl.errors import MigctlError, Refused, Usage

# A file of settings or of a stage is written by hand.
MOST_BYTES = 1 << 20

# Keys of migctl.yaml that have another name now. The old one is still read, and said.
_RENAMED: Spellings = {
    ("resilience", "breaker", "open_seconds"): "open_s",
    ("resilience", "breaker", "max_open_seconds"): "max_open_s",
    ("fallback", "hold_seconds"): "hold_s",
}

# Environment names of plain settings.
ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "MIGCTL_MODE": ("mode",),
    "MIGCTL_LISTEN": ("listen",),
    "MIGCTL_STATE_DIR": ("state_dir",),
    "MIGCTL_JOURNAL": ("journal", "path"),
    "MIGCTL_SCHEMA": ("supabase", "schema"),
    "MIGCTL_LOG_LEVEL": ("log_level",),
    "MIGCTL_WITNESS": ("witness",),
    "MIGCTL_ALERTS_WEBHOOK": ("alerts", "webhook"),
    "MIGCTL_FLAGS_TARGET": ("flags", "target"),
    "MIGCTL_FLAGS_FILE": ("flags", "file"),
    "MIGCTL_MESSAGES_PER_SECOND": ("realtime", "messages_per_second"),
    "SUPABASE_URL": ("supabase", "url"),
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings, and what each value is from: `--mode`, `MIGCTL_MODE`, `migctl.yaml:3`. file: None without one."""

    settings: Settings
    file: Path | None = None
    origins: Mapping[Path_, str] = field(default_factory=dict)

    def origin(self, path: Path_) -> str:
        """What this value is from."""
        above = (self.origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.origins)
        below = (origin for at, origin in self.origins.items() if at[: len(path)] == path)
        return next(above, None) or next(below, "default")


def load(
    *,
    file: Path | None = None,
    flags: Mapping[tuple[str, ...], object] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Settings from `file` (default: migctl.yaml, else configs/migctl.yaml, in `folder`), environment and flags.

    flags: key path to value; a value of None was not given. Raises Usage with file, line and key.
    """
    return resolved(file=file, flags=flags, environ=environ, folder=folder).settings


def resolved(
    *,
    file: Path | None = None,
    flags: Mapping[tuple[str, ...], object] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Resolved:
    """The same, with what each value is from."""
    env = os.environ if environ is None else environ
    path = file or found_file(folder or Path())
    document = read_document(path) if path is not None else None
    data: dict[str, Any] = dict(document.data) if document is not None else {}
    origins: dict[Path_, str] = {}
    for name, keys in ENVIRONMENT.items():
        value = trimmed(name, env.get(name, ""))
        if value:
            _put(data, keys, value, name)
            origins[keys] = name
    for keys, given in (flags or {}).items():
        if given is not None:
            _put(data, keys, given, ".".join(keys))
            origins[keys] = f"--{keys[-1].replace('_', '-')}"
    _know(data)
    settings = validate(Settings, data, document, origins)
    if document is not None:
        origins = {**{at: f"{document.name}:{document.line(at)}" for at in written(document.data)}, **origins}
    return Resolved(settings, path, origins)


def usable(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> tuple[Settings, MigctlError | None]:
    """The settings, and what is wrong with them: for who must go on whatever a file says, as going down must.

    What can't be used is left out, and as a whole a file of which nothing can be read, or that others can write.
    """
    env = os.environ if environ is None else environ
    try:
        return resolved(file=file, environ=env, folder=folder).settings, None
    except (Usage, Refused) as error:
        wrong: MigctlError = error
    data: dict[str, Any] = {}
    with contextlib.suppress(Usage, Refused):
        path = file or found_file(folder or Path())
        found = read_document(path).data if path is not None else {}
        data = {key: value for key, value in found.items() if isinstance(key, str)}
    for name, keys in ENVIRONMENT.items():
        if value := env.get(name, "").strip():
            if not isinstance(data.get(keys[0]), dict) and len(keys) > 1:
                data[keys[0]] = {}
            _put(data, keys, value, name)
    _know(data)
    while True:
        try:
            return validate(Settings, data), wrong
        except Faulty as error:
            if not any(_drop(data, one.key.split(".")) for one in error.problems):
                data.clear()


def _know(data: Mapping[str, Any]) -> None:
    """Make known what lets one in, before anything is said of these settings; of a webhook that is its whole path."""
    redaction.know_addresses(data)
    alerts = data.get("alerts")
    webhook = alerts.get("webhook") if isinstance(alerts, Mapping) else None
    if isinstance(webhook, str):
        redaction.know(webhook)
        redaction.know(webhook.partition("://")[2].partition("/")[2])


def _drop(data: dict[str, Any], path: Sequence[str]) -> bool:
    """Take out what stands there, or what stands in its way. False where nothing does."""
    for key in path[:-1]:
        inner = data.get(key)
        if not isinstance(inner, dict):
            return data.pop(key, None) is not None
        data[key] = inner = dict(inner)
        data = inner
    return data.pop(path[-1], None) is not None


def found_file(folder: Path) -> Path | None:
    """The file of settings that is read where none is named. One that can't be read is found all the same, and then told."""
    candidates = (folder / "migctl.yaml", folder / "configs" / "migctl.yaml")
    return next((one for one in candidates if os.path.lexists(one)), None)


def read_document(path: Path) -> Document:
    """A file of settings, with keys by the names that they have now. Raises Usage, and Refused for one that others can write."""
    document = Document.read(path, most_bytes=MOST_BYTES, ours=True)
    document.respell(_RENAMED)
    return document


def written(data: object, path: Path_ = ()) -> list[Path_]:
    """The paths of what a document of settings says a value for; a section with nothing below it says none."""
    if data is None or not path or is_section(Settings, path):
        inner = data.items() if isinstance(data, Mapping) else ()
        return [found for key, value in inner for found in written(value, (*path, str(key)))]
    return [path]


def _put(data: dict[str, Any], path: tuple[str, ...], value: object, name: str) -> None:
    for part in path[:-1]:
        inner = data.get(part) or {}
        if not isinstance(inner, dict):
            raise Usage(
                f"{part}: expected keys and values, so that {name} can set {'.'.join(path)}",
                do="mend migctl.yaml",
            )
        data[part] = inner = dict(inner)
        data = inner
    data[path[-1]] = value


def flag(key: str, environ: Mapping[str, str] | None = None) -> str | None:
    """`MIGCTL_FLAG_KEY`, the kill switch that wins over every store of flags. None where it is not set.

    What can't stand in a variable's name is `_` there: `new-menu.v2` is MIGCTL_FLAG_NEW_MENU_V2.
    """
    env = os.environ if environ is None else environ
    return env.get(f"MIGCTL_FLAG_{re.sub('[^A-Za-z0-9]', '_', key).upper()}") or None
