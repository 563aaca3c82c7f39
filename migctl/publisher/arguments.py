"""Arguments that can't be meant, refused by their names before anything is opened."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import tzinfo
from os import PathLike
from typing import Any, cast

from migctl.errors import Poison, Usage
from migctl.publisher.drafts import NewEvent

_FIELDS = frozenset(NewEvent.__annotations__)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_TEXT: tuple[str, Callable[[Any], bool]] = ("a text", lambda value: isinstance(value, str) and bool(value))
_COUNT: tuple[str, Callable[[Any], bool]] = (
    "a whole number, at least 1",
    lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
)
_SECONDS: tuple[str, Callable[[Any], bool]] = (
    "seconds, above 0",
    lambda value: _is_number(value) and value > 0,
)
# What each argument has to be, beside None where that is its default.
_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "url": _TEXT,
    "token": _TEXT,
    "source": _TEXT,
    "journal": ("a path", lambda value: isinstance(value, str | PathLike) and bool(str(value))),
    "max_waiting_events": _COUNT,
    "max_waiting_bytes": _COUNT,
    "give_up_s": _SECONDS,
    "request_timeout_s": _SECONDS,
    "flush_s": ("seconds, 0 or more", lambda value: _is_number(value) and value >= 0),
    "zone": ("a tzinfo, such as zoneinfo.ZoneInfo('Europe/Berlin')", lambda value: isinstance(value, tzinfo)),
    "on_state": ("a function of one argument", callable),
}
_NEVER_NONE = frozenset(("max_waiting_events", "max_waiting_bytes", "request_timeout_s", "flush_s", "zone"))


def check(**arguments: object) -> None:
    """Of a Publisher. Raises Usage that names the argument."""
    for name, value in arguments.items():
        expected, is_good = _EXPECTED[name]
        if value is None and name not in _NEVER_NONE:
            continue
        if not is_good(value):
            shown = "a text" if name == "token" else repr(value)[:80]  # a token is nobody's business
            raise Usage(f"Publisher({name}=): expected {expected}, got {shown}", do=f"mend {name}")


def check_timeout(timeout_s: object) -> None:
    """Of `publish_threadsafe`. Raises Usage."""
    if timeout_s is not None and not (_is_number(timeout_s) and timeout_s >= 0):  # type: ignore[operator]
        raise Usage(
            f"timeout_s: expected seconds, 0 or more, or None, got {timeout_s!r:.80}", do="mend timeout_s"
        )


def fields_of(item: object, index: int) -> NewEvent:
    """One event of `publish_many`. Raises Poison that names the item and the key."""
    if not isinstance(item, Mapping):
        raise _bad(index, f"expected a mapping with event_type and data, got {type(item).__name__}")
    strange = sorted(str(key) for key in item.keys() - _FIELDS)
    if strange:
        raise _bad(index, f"no event has {', '.join(strange)[:80]}; it has {', '.join(sorted(_FIELDS))}")
    missing = [key for key in ("event_type", "data") if key not in item]
    if missing:
        raise _bad(index, f"{' and '.join(missing)} is not there")
    return cast(NewEvent, dict(item))


def _bad(index: int, why: str) -> Poison:
    return Poison(f"item {index} can't be published: {why}", do="mend it; nothing of this call was stored")
