"""Hints: what comes over Realtime, read into items. Pure, and never raises for what a stranger may send.

The official client hands over parsed values, so a number here has been a Python number. What no double holds is asked for by
reference; the sender names such events without their text, and a hint that slipped through is treated the same.

`read_text` reads the frames that come all the time, the broadcast `events` and rows that changed, from their text instead: for a
twelfth of the time, and `data` stays the text that came. What it does not understand is for the official client to read or drop.
Of a row nobody asked whether doubles hold its numbers: as a parsed value it is only named, where one of them may have been rounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from migctl.events.arrived import Arrived
from migctl.events.jsontext import dumps
from migctl.events.times import stored_text
from migctl.subscriber.core.merge import Item
from migctl.subscriber.core.release import Release

VERSION = 1
# Within so many the event of a frame is named, where it stands before what it carries.
_HEAD_CHARS = 200
# What comes of values that are not there, or not what they should be, or too deep.
_UNUSABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


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
        epoch, last, events = _word(payload["epoch"]), _whole(payload["last"]), payload["events"]
        items: list[Item] = []
        named: list[int] = []
        for event in events:
            item = _release(event, epoch, arrived)
            if item is None:
                named.append(_whole(event["seq"]))
            else:
                items.append(item)
    except _UNUSABLE:
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


class _Row(_Event):
    epoch: str = ""


class _Change(msgspec.Struct):
    record: _Row
    errors: None = None


class _Changed(msgspec.Struct):
    data: _Change


class _ChangedFrame(msgspec.Struct):
    event: Literal["postgres_changes"]
    topic: str
    payload: _Changed


_frame = msgspec.json.Decoder(_Frame)
_changed = msgspec.json.Decoder(_ChangedFrame)


def read_text(text: str, topic: str, arrived: Arrived) -> Hint | None:
    """The broadcast `events`, or a whole row, on this topic, from the text of its frame; None where it is anything else."""
    try:
        if '"postgres_changes"' in text[:_HEAD_CHARS]:
            return _read_changed(text, topic, arrived)
        frame = _frame.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if frame.topic != topic:
        return None
    hint = frame.payload.payload
    items: list[Item] = []
    named: list[int] = []
    for event in hint.events:
        data = bytes(event.data)
        if data in (b"", b"null"):
            named.append(event.seq)
            continue
        if data[:1] != b"{" or not (event.event_type and event.timestamp):
            return None
        items.append(_released(event, data, hint.epoch, arrived))
    return Hint(hint.epoch, hint.last, items, named)


def _read_changed(text: str, topic: str, arrived: Arrived) -> Hint | None:
    frame = _changed.decode(text)
    row = frame.payload.data.record
    data = bytes(row.data)
    if frame.topic != topic or not row.epoch or data[:1] != b"{" or not (row.event_type and row.timestamp):
        return None  # a tombstone, a canary, a row that was cut
    return Hint(row.epoch, row.seq, [_released(row, data, row.epoch, arrived)])


def _released(event: _Event, data: bytes, epoch: str, arrived: Arrived) -> Release:
    return Release(
        id=event.id.lower(),
        epoch=epoch,
        seq=event.seq,
        event_type=event.event_type,
        timestamp=event.timestamp,
        source=event.source,
        data=data,
        committed_at=event.committed_at,
        via="live",
        received_at=arrived.at,
        received_mono_ns=arrived.mono_ns,
        transport="realtime",
        clock=event.clock,
        source_id=event.source_id,
    )


def read_heartbeat(payload: Mapping[str, Any]) -> Hint | None:
    """The broadcast `heartbeat`: how far the journal is."""
    try:
        epoch, head = _word(payload["epoch"]), _whole(payload["journal_head"])
        return Hint(epoch, head) if payload["v"] == VERSION else None
    except _UNUSABLE:
        return None


def read_insert(change: Mapping[str, Any], arrived: Arrived) -> Hint | None:
    """A postgres_changes INSERT into either table. A row that was cut for its size, and every tombstone, is only named."""
    try:
        record = change["record"]
        epoch, seq = _word(record["epoch"]), _whole(record["seq"])
    except _UNUSABLE:  # also a row from before there was a journal
        return None
    item = None
    if not change.get("errors") and not _may_be_rounded(record.get("data")):
        try:
            item = _release({**record, **_times(record)}, epoch, arrived)
        except _UNUSABLE:
            item = None
    return Hint(epoch, seq, [], [seq]) if item is None else Hint(epoch, seq, [item])


def _times(record: Mapping[str, Any]) -> dict[str, str | None]:
    """Those of a row, in the spelling of all other ways. Raises ValueError for what no event can have: the row says more."""
    found = {name: _word_or_none(record.get(name)) for name in ("timestamp", "committed_at")}
    spelled = {name: None if text is None else stored_text(text) for name, text in found.items()}
    if any(text is not None and spelled[name] is None for name, text in found.items()):
        raise ValueError("a time that no event can have")
    return spelled


def _release(event: Mapping[str, Any], epoch: str, arrived: Arrived) -> Release | None:
    """The release; None where the event was only named."""
    data = event.get("data")
    if data is None:
        return None
    text = data_text(data)
    if text is None:
        return None
    return Release(
        id=_word(event["id"]).lower(),
        epoch=epoch,
        seq=_whole(event["seq"]),
        event_type=_word(event["event_type"]),
        timestamp=_word(event["timestamp"]),
        source=_word(event["source"]),
        data=text,
        committed_at=_word_or_none(event.get("committed_at")),
        via="live",
        received_at=arrived.at,
        received_mono_ns=arrived.mono_ns,
        transport="realtime",
        clock=_word_or_none(event.get("clock")),
        source_id=_word_or_none(event.get("source_id")),
    )


def _may_be_rounded(value: Any) -> bool:
    """Whether a number in it is a double, of which nobody knows what it was."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, float):
            return True
        left += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return False


def _word(value: object) -> str:
    """Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value


def _word_or_none(value: object) -> str | None:
    return None if value is None else _word(value)


def _whole(value: object) -> int:
    """Raises TypeError."""
    if type(value) is not int:
        raise TypeError("expected a whole number")
    return value


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
