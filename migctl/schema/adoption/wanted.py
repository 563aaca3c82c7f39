"""What the events table is to be, and how far each type is from it. Pure.

A change of type is cheap where PostgreSQL only notes it (text without a bound, a time in UTC given its zone), and rewrites every
row where the value is stored otherwise.
"""

from __future__ import annotations

from typing import Literal

Change = Literal["none", "noted", "rewritten", "impossible"]

TIME = "timestamp with time zone"
WANTED = {
    "id": "uuid",
    "event_type": "text",
    "timestamp": TIME,
    "data": "jsonb",
    "source": "text",
    "created_at": TIME,
    "epoch": "text",
    "seq": "bigint",
    "committed_at": TIME,
}
# An event always has one; created_at is filled from its timestamp where it is missing.
REQUIRED = ("id", "event_type", "timestamp", "data", "source")
# Null in adopted rows, so whatever the table has under these names is not ours.
POSITION = ("epoch", "seq", "committed_at")

_TEXTS = ("text", "character varying", "character", "character(", "character varying(")
_REWRITTEN: dict[str, tuple[str, ...]] = {
    "uuid": _TEXTS,
    "jsonb": ("json", *_TEXTS),
    "text": ("character", "character("),
}
_NOTED: dict[str, tuple[str, ...]] = {
    "text": ("character varying", "character varying("),
    TIME: ("timestamp without time zone", "timestamp(", "timestamp with time zone"),
}


def change(column: str, found: str) -> Change:
    """What it takes to make `found`, as the server spells a type, the type of this column of ours."""
    wanted = WANTED[column]
    if found == wanted:
        return "none"
    if column in POSITION or found.endswith("[]"):
        return "impossible"
    for how, types in (("noted", _NOTED), ("rewritten", _REWRITTEN)):
        for one in types.get(wanted, ()):
            if found == one or (one.endswith("(") and found.startswith(one)):
                return "noted" if how == "noted" else "rewritten"
    return "impossible"
