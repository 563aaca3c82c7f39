"""Hints: what comes over Realtime, read into items. Pure, and never raises for what a stranger may send.

The official client hands over parsed values, so a number here has been a Python number. What no double holds is asked for by
reference; the sender names such events without their text, and a hint that slipped through is treated the same.

`read_text` reads the one frame that comes all the time, the broadcast `events`, from its text instead: for a twelfth of the time,
and `data` stays the text that came. What it does not understand is for the official client to read, or to drop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from migctl.events.arrived import Arrived
from migctl.events.jsontext import dumps
from migctl.subscriber.core.merge import Item
from migctl.subscriber.core.release import Release

VERSION = 1


class Hint(msgspec.Struct, frozen=True):
    """items: what came whole. named: seqs whose text is to be fetched. head: the highest seq this speaks of."""

    epoch: str
    head: int
    items: list[Item] = []
    named: list[int] = []


def read_events(payload: Mapping[str, Any], arrived: Arrived) -> Hint | None:
    """The broadcast `events`: None where it is of another version, or no such thing."""
    try:
        if payload["v"] != VERSION:
            return None
        epoch, last, events = payload["epoch"], payload["last"], payload["events"]
        if not isinstance(epoch, str) or not isinstance(last, int):
            return None
        items: list[Item] = []
        named: list[int] = []
        for event in events:
            item = _release(event, epoch, arrived)
            if item is None:
                named.append(int(event["seq"]))
            else:
                items.append(item)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return Hint(epoch, last, items, named)


class _Event(msgspec.Struct, gc=False):
    """Its `data` is empty where it was only named."""

    id: str
    seq: int
    event_type: str = ""
    timestamp: str = ""
    source: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    committed_at: str | None = None
    clock: str | None = None
    source_id: str | None = None


class _Events(msgspec.Struct):
    v: Literal[1]
    epoch: str
    last: int
    events: list[_Event]


class _Broadcast(msgspec.Struct):
    event: Literal["events"]
    payload: _Events


class _Frame(msgspec.Struct):
    event: Literal["broadcast"]
    topic: str
    payload: _Broadcast


_frame = msgspec.json.Decoder(_Frame)


def read_text(text: str, topic: str, arrived: Arrived) -> Hint | None:
    """The broadcast `events` on this topic, from the text of its frame; None where it is anything else, or not as we send it."""
    try:
        frame = _frame.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if frame.topic != topic:
        return None
    hint = frame.payload.payload
    epoch, at, mono_ns = hint.epoch, arrived.at, arrived.mono_ns
    items: list[Item] = []
    named: list[int] = []
    for event in hint.events:
        data = bytes(event.data)
        if data in (b"", b"null"):
            named.append(event.seq)
            continue
        if data[:1] != b"{" or not (event.event_type and event.timestamp):
            return None
        items.append(
            Release(
                id=event.id.lower(),
                epoch=epoch,
                seq=event.seq,
                event_type=event.event_type,
                timestamp=event.timestamp,
                source=event.source,
                data=data,
                committed_at=event.committed_at,
                via="live",
                received_at=at,
                received_mono_ns=mono_ns,
                transport="realtime",
                clock=event.clock,
                source_id=event.source_id,
            )
        )
    return Hint(epoch, hint.last, items, named)


def read_heartbeat(payload: Mapping[str, Any]) -> Hint | None:
    """The broadcast `heartbeat`: how far the journal is."""
    try:
        epoch, head = payload["epoch"], payload["journal_head"]
    except (KeyError, TypeError):
        return None
    if payload.get("v") != VERSION or not isinstance(epoch, str) or not isinstance(head, int):
        return None
    return Hint(epoch, head)


def read_insert(change: Mapping[str, Any], arrived: Arrived) -> Hint | None:
    """A postgres_changes INSERT into either table. A row that was cut for its size, and every tombstone, is only named."""
    try:
        record = change["record"]
        epoch, seq = record["epoch"], record["seq"]
    except (KeyError, TypeError):
        return None
    if not isinstance(epoch, str) or not isinstance(seq, int):  # a row from before there was a journal
        return None
    item = None
    if not change.get("errors"):
        try:
            item = _release(record, epoch, arrived)
        except (KeyError, TypeError, ValueError, AttributeError):
            item = None
    return Hint(epoch, seq, [], [seq]) if item is None else Hint(epoch, seq, [item])


def _release(event: Mapping[str, Any], epoch: str, arrived: Arrived) -> Release | None:
    """The release; None where the event was only named."""
    data = event.get("data")
    if data is None:
        return None
    text = data_text(data)
    if text is None:
        return None
    return Release(
        id=str(event["id"]).lower(),
        epoch=epoch,
        seq=int(event["seq"]),
        event_type=event["event_type"],
        timestamp=event["timestamp"],
        source=event["source"],
        data=text,
        committed_at=event.get("committed_at"),
        via="live",
        received_at=arrived.at,
        received_mono_ns=arrived.mono_ns,
        transport="realtime",
        clock=event.get("clock"),
        source_id=event.get("source_id"),
    )


def data_text(data: Any) -> bytes | None:
    """Compact JSON of an object; None where it holds a number that became infinite on its way."""
    if not isinstance(data, dict):
        raise TypeError("expected an object")
    text = dumps(data)
    if b"null" in text:  # the codec writes infinity as null, and so would hide it
        try:
            json.dumps(data, allow_nan=False)
        except ValueError:
            return None
    return text
