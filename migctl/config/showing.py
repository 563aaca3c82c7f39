"""Showing: the settings as they hold, value by value, and what each is from; of secrets only whether they are set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from migctl.config.settings import Settings
from migctl.config.validating import field_at
from migctl.config.yamlfile import Path_
from migctl.redaction import HIDDEN, redacted

# Read from the environment, or from a file that NAME_FILE names, and from nowhere else.
SECRETS = (
    "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_ANON_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SIGNING_KEY",
    "SUPABASE_JWT_SECRET", "SUPABASE_USER_EMAIL", "SUPABASE_USER_PASSWORD", "MIGCTL_ACCESS_TOKEN", "DATABASE_URL", "REDIS_URL",
    "MIGCTL_TOKENS", "MIGCTL_TOKEN",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """One value. key: as in YAML, parted by dots. origin: an option, a variable, a file with its line, or `default`."""

    key: str
    value: object
    origin: str


def values(settings: Settings, origin: Callable[[Path_], str]) -> list[Value]:
    """All of them, in the order of the sections."""
    return [
        Value(".".join(map(str, path)), _shown(path, value), origin(path))
        for path, value in _leaves(settings)
    ]


def as_document(shown: list[Value]) -> dict[str, object]:
    """The same as a tree, as YAML would have it."""
    tree: dict[str, object] = {}
    for one in shown:
        inner = tree
        *above, last = one.key.split(".")
        for part in above:
            below = inner.setdefault(part, {})
            assert isinstance(below, dict)
            inner = below
        inner[last] = one.value
    return tree


def secrets_set(environ: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Secret to the variable that it is from; None where it is not set."""
    env = os.environ if environ is None else environ
    return {name: next((one for one in (name, f"{name}_FILE") if env.get(one)), None) for name in SECRETS}


def _leaves(section: BaseModel, path: Path_ = ()) -> Iterator[tuple[Path_, object]]:
    for name, field in type(section).model_fields.items():
        value, at = getattr(section, name), (*path, field.alias or name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, at)
        else:
            yield at, section.model_dump(mode="json", include={name})[name]


def _shown(path: Path_, value: object) -> object:
    field = field_at(Settings, path)
    if value is not None and field is not None and not field.repr:
        return HIDDEN
    return redacted(value)
