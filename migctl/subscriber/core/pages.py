"""Pages of the two tables, put together: what each seq is, and where the known part ends. Pure.

Tombstones are asked for before rows: a dead letter that is retried becomes a row first and loses its tombstone after, so in this
order one of the two is always seen. A row wins over a tombstone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from migctl.errors import Systemic
from migctl.events.arrived import Arrived
from migctl.events.jsontext import loads, split_array, split_object
from migctl.subscriber.core.merge import Item, Skip
from migctl.subscriber.core.release import Release, Via
from migctl.target.chain import Head

EVENT_COLUMNS = "id,seq,event_type,timestamp,source,data,committed_at"
TOMBSTONE_COLUMNS = "id,seq,event,committed_at"
HEAD_COLUMNS = "epoch,prev_epoch,lost_from,lost_to,started_at,table_tail,table_head,journal_head,updated_at"


def merged(rows: Sequence[Item], tombstones: Sequence[Item]) -> tuple[list[Item], bool]:
    """The items of two pages by seq, as far as both are known, and whether that is the end.

    Each page is in order and begins after the same seq. An empty page is the end of its table; a short one proves nothing, since a
    project may cap rows. So what is known ends at the lower of the two last seqs.
    """
    ends = [page[-1].seq for page in (rows, tombstones) if page]
    if not ends:
        return [], True
    known = min(ends)
    found: dict[int, Item] = {item.seq: item for item in tombstones if item.seq <= known}
    found.update((item.seq, item) for item in rows if item.seq <= known)
    return [found[seq] for seq in sorted(found)], False


def read_heads(body: bytes) -> list[Head]:
    """The heads that PostgREST answered. Raises Systemic where it is no such answer."""
    try:
        return msgspec.json.decode(body, type=list[Head])
    except msgspec.MsgspecError as error:
        raise _unreadable("monitoring_heads", str(error)) from None


def read_rows(body: bytes, epoch: str, arrived: Arrived, via: Via = "table") -> list[Item]:
    """The releases of a page of monitoring_events; `data` keeps the text that PostgreSQL gave it."""
    return [_row(members, epoch, arrived, via) for members in _members(body, "monitoring_events")]


def _row(members: Mapping[str, bytes], epoch: str, arrived: Arrived, via: Via) -> Release:
    try:
        return Release(
            id=loads(members["id"]),
            epoch=epoch,
            seq=int(members["seq"]),
            event_type=loads(members["event_type"]),
            timestamp=loads(members["timestamp"]),
            source=loads(members["source"]),
            data=members["data"],
            committed_at=loads(members["committed_at"]),
            via=via,
            received_at=arrived.at,
            received_mono_ns=arrived.mono_ns,
            transport="realtime",
        )
    except (KeyError, ValueError) as error:
        raise _unreadable("monitoring_events", repr(error)) from None


def read_tombstones(body: bytes, epoch: str, arrived: Arrived, via: Via = "table") -> list[Item]:
    """The items of a page of monitoring_tombstones: the text that jsonb would not take, or nothing to deliver."""
    return [_tombstone(members, epoch, arrived, via) for members in _members(body, "monitoring_tombstones")]


def _tombstone(members: Mapping[str, bytes], epoch: str, arrived: Arrived, via: Via) -> Item:
    try:
        seq = int(members["seq"])
        text: str | None = loads(members["event"])
        if text is None:
            return Skip(epoch, seq)
        event = split_object(text.encode())
        return Release(
            id=loads(members["id"]),
            epoch=epoch,
            seq=seq,
            event_type=loads(event["event_type"]),
            timestamp=loads(event["timestamp"]),
            source=loads(event["source"]),
            data=event["data"],
            committed_at=loads(members["committed_at"]),
            via=via,
            received_at=arrived.at,
            received_mono_ns=arrived.mono_ns,
            transport="realtime",
            clock=_optional(event, "clock"),
            source_id=_optional(event, "source_id"),
        )
    except (KeyError, ValueError) as error:
        raise _unreadable("monitoring_tombstones", repr(error)) from None


def _optional(members: Mapping[str, bytes], key: str) -> Any:
    raw = members.get(key)
    return None if raw is None else loads(raw)


def _members(body: bytes, table: str) -> list[dict[str, bytes]]:
    try:
        return [split_object(item) for item in split_array(body)]
    except ValueError as error:
        raise _unreadable(table, str(error)) from None


def _unreadable(table: str, why: str) -> Systemic:
    return Systemic(
        f"{table}: the answer is not what was asked for: {why}",
        do="check SUPABASE_URL, and that `migctl schema verify` finds nothing",
    )
