"""Schema: what tables, columns, functions and channels of the target are called, here and in no other room, and what columns hold.

sql/ makes them and `migctl.schema` checks them; a test holds the three together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

EVENTS = "monitoring_events"
TOMBSTONES = "monitoring_tombstones"
HEADS = "monitoring_heads"
# The record of flags, which is reached by functions; whoever deletes from it names its tables.
FLAGS = "monitoring_flags"
BRAKES = "monitoring_brakes"
PROCESSES = "monitoring_processes"
ROLLOUTS = "monitoring_rollouts"
AUDIT = "monitoring_audit"

# Functions, by their path in the REST API.
MOVE_HEAD = "rpc/monitoring_move_head"
BEGIN_AT = "rpc/monitoring_begin_at"
SET_BACK = "rpc/monitoring_set_back"
RETRY = "rpc/monitoring_retry"

# What the relay writes, in this order.
ROW = ("id", "event_type", "timestamp", "data", "source", "epoch", "seq", "committed_at")
# A row that has no position: the canary.
ROW_ALONE = ("id", "event_type", "timestamp", "data", "source")
TOMBSTONE = ("epoch", "seq", "id", "reason", "event", "committed_at")

# What is asked for; each is a struct of `answers`, or `chain.Head`, with the same names.
STORED = ("id", "event_type", "timestamp", "data", "source", "epoch", "seq")
PAGE_ROW = ("id", "seq", "event_type", "timestamp", "source", "data", "committed_at")
PAGE_TOMBSTONE = ("id", "seq", "event", "committed_at")
BURIED = ("event", "committed_at")
PLACE = ("id", "epoch", "seq", "created_at")
PLACE_BURIED = (*PLACE, "reason")
HEAD = (
    "epoch", "prev_epoch", "lost_from", "lost_to", "writer_id", "fence", "started_at", "table_tail", "table_head",
    "journal_head", "updated_at",
)  # fmt: skip

# What the database's bigint holds; an answer with more would end in a cursor, or in SQLite.
MOST_SEQ = (1 << 63) - 1
# An epoch is a UUID of ours; whoever makes a row by hand has room for a name. It goes into addresses.
MOST_EPOCH_CHARS = 200

Seq = Annotated[int, Meta(ge=0, le=MOST_SEQ)]
Epoch = Annotated[str, Meta(min_length=1, max_length=MOST_EPOCH_CHARS)]
ID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
# RFC 3339, which is all that readers are promised. PostgreSQL knows more: infinity, BC, years of five digits, seconds in an offset.
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
Id = Annotated[str, Meta(pattern=rf"\A{ID}\Z")]
TimeText = Annotated[str, Meta(pattern=rf"\A{TIME}\Z")]

# How the database names (epoch, seq) where it is taken: in the details of the error, or by the constraint in its message.
TAKEN_POSITION = ("(epoch, seq)", "epoch_seq")

_FORMS = {"id": b'"%b"', "timestamp": b'"%b"', "committed_at": b'"%b"', "seq": b"%d"}


def columns(names: Sequence[str]) -> str:
    """As PostgREST's `select` and `columns` want them."""
    return ",".join(names)


def template(names: Sequence[str], prefix: str = "") -> bytes:
    """A JSON object with a place for each value: JSON text, but for ids and times (without their quotes) and seq (a number)."""
    members = (b'"%b%b":%b' % (prefix.encode(), name.encode(), _FORMS.get(name, b"%b")) for name in names)
    return b"{%b}" % b",".join(members)


def channel(schema: str) -> str:
    """What the broadcasts of a schema's events go over: it is called after the table."""
    return f"{schema}.{EVENTS}"


def canary_channel(schema: str) -> str:
    """The one beside it, for messages that only prove that broadcasts arrive."""
    return f"{channel(schema)}.canary"


def schema_of(name: str | None) -> str:
    """The schema of a channel, as an assignment names it; public where it names none of ours."""
    schema, _, table = (name or "").removeprefix("realtime:").rpartition(".")
    return schema if schema and table == EVENTS else "public"
