"""What an event holds: drawn by seed, and one digest for all spellings of the same. Pure."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

_START = datetime(2026, 1, 1, tzinfo=UTC)
_TYPES = ("cache_metrics", "cpu", "agent.state", "queue/depth", "жалоба", "one more")
_TEXTS = ("", "ok", "äöü", "\U0001f600", '"\\/', "\u2028\u202e", "\x7f\x1b", "a" * 700)
_NUMBERS = (
    "0",
    "-1",
    "1.50",
    "12345678901234567890",
    "0.1000000000000000055511151231",
    "1e3",
    "-0.0",
    "3.14e-7",
)
# PostgreSQL holds none of these; the journal does, and so do WebSocket subscribers receive them.
_UNHOLDABLE = ('"nul \\u0000"', '"half \\ud83d"', "1e400000")
_UNHOLDABLE_ONE_IN = 250
_LARGE_ONE_IN = 400
_LARGE_CHARS = 300_000


@dataclass(frozen=True, slots=True)
class Made:
    """An event to send. marker: unlike any other's, within its data. text: its JSON. holdable: by a table."""

    marker: str
    id: str | None
    text: str
    source: str
    digest: str
    holdable: bool


def loads(text: str | bytes) -> Any:
    """JSON with every number exact."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def digest(event_type: str, timestamp: str | datetime, data: Any) -> str:
    """The same for all spellings of one event. data: as `loads` reads it."""
    time = datetime.fromisoformat(timestamp) if isinstance(timestamp, str) else timestamp
    whole = json.dumps([event_type, time.astimezone(UTC).isoformat(timespec="microseconds"), _plain(data)])
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def marker_of(data: Any) -> str:
    """Which event it is; empty where nobody here made it."""
    found = data.get("m") if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {"o": sorted([key, _plain(inner)] for key, inner in value.items())}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        sign, digits, exponent = value.as_tuple()
        text = "".join(map(str, digits)).lstrip("0")
        kept = text.rstrip("0")
        # An exponent is no number only for NaN and its kin, which JSON has not.
        return {"n": f"{'-' * sign}{kept}e{int(exponent) + len(text) - len(kept)}" if kept else ""}
    return value


def draw(rng: random.Random, marker: str, source: str, *, with_id: bool) -> Made:
    """An event of this marker."""
    holdable = rng.randrange(_UNHOLDABLE_ONE_IN) != 0
    inner = _value(rng, 3) if holdable else f"[{rng.choice(_UNHOLDABLE)}]"
    if rng.randrange(_LARGE_ONE_IN) == 0:
        inner = f'[{inner},"{"x" * _LARGE_CHARS}"]'
    data = f'{{"m":"{marker}","v":{inner}}}'
    event_type = rng.choice(_TYPES)
    timestamp = (_START + timedelta(microseconds=rng.randrange(10**13))).isoformat().replace("+00:00", "Z")
    id_ = str(uuid.UUID(int=rng.getrandbits(128), version=4)) if with_id else None
    members = [] if id_ is None else [f'"id":"{id_}"']
    members += [
        f'"event_type":{json.dumps(event_type, ensure_ascii=rng.random() < 0.5)}',
        f'"timestamp":"{timestamp}"',
        f'"source":"{source}"',
        f'"data":{data}',
    ]
    rng.shuffle(members)
    text = "{" + ",".join(members) + "}"
    return Made(marker, id_, text, source, digest(event_type, timestamp, loads(data)), holdable)


def _value(rng: random.Random, depth: int) -> str:
    """JSON text."""
    kind = rng.randrange(6 if depth else 4)
    if kind == 4:
        return "[" + ",".join(_value(rng, depth - 1) for _ in range(rng.randrange(4))) + "]"
    if kind == 5:
        return "{" + ",".join(f'"k{n}":{_value(rng, depth - 1)}' for n in range(rng.randrange(4))) + "}"
    if kind == 0:
        return rng.choice(_NUMBERS)
    if kind == 1:
        return rng.choice(("true", "false", "null"))
    return json.dumps(rng.choice(_TEXTS), ensure_ascii=rng.random() < 0.5)
