"""JSON in and out for events. The text of `data` is kept byte for byte: it is cut out of the message, never re-encoded.

What the target can't hold (`\\u0000`, a lone surrogate, 1e400000) is still a valid event here: it is delivered, from the
tombstones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from migctl.events.ids import canonical_id, uuid7
from migctl.events.jsontext import (
    TooDeep,
    depth_of,
    loads,
    one_line,
    quote,
    split_object,
    type_word,
    type_word_of,
)
from migctl.events.model import Entry, Event
from migctl.events.times import format_time, parse_time, read_time

MAX_DATA_BYTES = 1 << 20
MAX_FIELD_CHARS = 512
# Every reader behind us bounds the depth that it takes, our own by the interpreter's stack: what is accepted must be far from that
# wherever it is read, or it would be delivered by nobody.
MAX_DATA_DEPTH = 512

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WHITE = b" \t\r\n"


class BadEvent(ValueError):
    """An event that can't be taken, with the field and the reason. `code` is stable and made for machines."""

    def __init__(self, field: str, code: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.code = code
        self.reason = reason


class _Fields(msgspec.Struct):
    id: msgspec.Raw | None = None
    event_type: msgspec.Raw | None = None
    timestamp: msgspec.Raw | None = None
    source: msgspec.Raw | None = None
    data: msgspec.Raw | None = None
    source_id: msgspec.Raw | None = None
    clock: msgspec.Raw | None = None


class _OnlyFields(_Fields, forbid_unknown_fields=True):
    pass


_fields = msgspec.json.Decoder(_Fields)
_only_fields = msgspec.json.Decoder(_OnlyFields)

# What our own lines have beside an event's fields: exports and captures.
LINE_KEYS = frozenset(("epoch", "seq", "committed_at", "transport", "via", "received_at", "received_mono_ns"))

# What becomes of members that no event has: passed over, refused, or kept, and then the whole object is the data.
Unknown = Literal["pass", "refuse", "keep"]


def too_deep(field: str = "data") -> BadEvent:
    """What is said of an event that is nested more deeply than anybody would read."""
    return BadEvent(field, "depth", f"is nested too deeply; data may have {MAX_DATA_DEPTH} levels")


def is_own_line(members: Container[str]) -> bool:
    """Whether this is a line of an export or a capture of ours."""
    return "epoch" in members and "seq" in members and ("committed_at" in members or "received_at" in members)


def decode_event(
    text: bytes,
    *,
    arrived: datetime,
    default_source: str,
    allow_control: bool = False,
    unknown: Unknown = "pass",
    read_time: Callable[[str], datetime | None] = read_time,
) -> Event:
    """One event from the JSON that a producer posts: `event_type` and `data` needed, `id`, `timestamp`, `source` optional.

    arrived: aware UTC; the timestamp of an event that has none, which then says `clock: arrival`.
    unknown: what becomes of members that no event has. read_time: of a text or a number; None is that of the arrival.
    Raises BadEvent with the field and the reason.
    """
    try:
        fields = (_fields if unknown == "pass" else _only_fields).decode(text)
        members: Mapping[str, bytes | None] = {
            name: None if raw is None else bytes(raw)
            for name, raw in (
                ("id", fields.id),
                ("event_type", fields.event_type),
                ("timestamp", fields.timestamp),
                ("source", fields.source),
                ("data", fields.data),
                ("source_id", fields.source_id),
                ("clock", fields.clock),
            )
        }
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        try:
            members = split_object(text)
        except UnicodeDecodeError as error:
            raise BadEvent("", "json", f"not UTF-8 at byte {error.start}") from None
        except TooDeep:
            raise too_deep("") from None
        except ValueError as error:
            raise BadEvent("", "json", str(error)) from None
    strange = [] if unknown == "pass" else _strange(members)
    if strange and unknown == "refuse":
        names = ", ".join(repr(name[:80]) for name in strange[:20])
        raise BadEvent(
            strange[0], "unknown", f"an event has no such key: {names}; put it into data, or leave it out"
        )
    return make_event(
        id=_text(members, "id"),
        event_type=_text(members, "event_type"),
        timestamp=_time(members, read_time),
        source=_text(members, "source"),
        data=text if strange else members.get("data"),
        arrived=arrived,
        default_source=default_source,
        source_id=_text(members, "source_id"),
        arrival_clock=_text(members, "clock") == "arrival",
        allow_control=allow_control,
    )


def _strange(members: Mapping[str, bytes | None]) -> list[str]:
    """Keys that no event has, and no line of ours."""
    known = (*_Fields.__struct_fields__, *(LINE_KEYS if is_own_line(members) else ()))
    return [name for name in members if name not in known]


def _time(members: Mapping[str, bytes | None], read: Callable[[str], datetime | None]) -> datetime | None:
    raw = members.get("timestamp")
    if raw is None or raw == b"null":
        return None
    text = raw.decode("ascii") if raw[0] in b"-0123456789" else _text(members, "timestamp")
    assert text is not None
    try:
        return read(text)
    except BadEvent:
        raise
    except ValueError as error:
        raise BadEvent("timestamp", "time", str(error)) from None


def _text(members: Mapping[str, bytes | None], field: str) -> str | None:
    raw = members.get(field)
    if raw is None or raw == b"null":
        return None
    if raw[:1] != b'"':
        raise BadEvent(field, "type", f"expected a string, got {type_word_of(raw)}")
    try:
        value = loads(raw)
    except ValueError as error:
        raise BadEvent(field, "json", str(error)) from None
    assert isinstance(value, str)
    return value


def make_event(
    *,
    id: str | None,
    event_type: str | None,
    timestamp: str | datetime | None,
    source: str | None,
    data: bytes | None,
    arrived: datetime,
    default_source: str,
    source_id: str | None = None,
    arrival_clock: bool = False,
    allow_control: bool = False,
) -> Event:
    """Build an event from its parts, checking each. Raises BadEvent.

    allow_control: take `sys.*` types too, for what migctl itself wrote.
    """
    checked_type = _check_text("event_type", event_type)
    if not allow_control and checked_type.startswith("sys."):
        raise BadEvent("event_type", "reserved", "types that begin with sys. are migctl's own")
    if id is None:
        event_id, own_id = uuid7(), None
    else:
        try:
            event_id, own_id = canonical_id(id)
        except ValueError as error:
            raise BadEvent("id", "value", str(error)) from None
        if own_id is not None:
            _check_text("id", id)
    clock = None
    if timestamp is None:
        moment, clock = arrived, "arrival"
    elif isinstance(timestamp, datetime):
        moment, clock = timestamp, "arrival" if arrival_clock else None
    else:
        try:
            moment = read_time(timestamp)
        except ValueError as error:
            raise BadEvent("timestamp", "time", str(error)) from None
        clock = "arrival" if arrival_clock else None
    return Event(
        id=event_id,
        event_type=checked_type,
        timestamp=moment,
        source=_check_text("source", default_source if source is None else source),
        data=check_data(data),
        clock=clock,
        source_id=own_id or (_check_text("source_id", source_id) if source_id else None),
    )


def _check_text(field: str, value: str | None) -> str:
    if value is None:
        raise BadEvent(field, "missing", "is missing")
    if not value:
        raise BadEvent(field, "empty", "is empty")
    if len(value) > MAX_FIELD_CHARS:
        raise BadEvent(field, "long", f"has {len(value)} characters; at most {MAX_FIELD_CHARS} are taken")
    if _CONTROL.search(value):
        raise BadEvent(field, "control", "holds a control character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadEvent(field, "surrogate", "holds a lone surrogate") from None
    return value


def check_data(data: bytes | None) -> bytes:
    """Return the text of `data` without white space around it, once it is seen to be a JSON object in UTF-8.

    Raises BadEvent("data", ...).
    """
    if data is None:
        raise BadEvent("data", "missing", "is missing")
    text = data.strip(_WHITE)
    if len(text) > MAX_DATA_BYTES:
        raise BadEvent("data", "large", f"has {len(text)} bytes; at most {MAX_DATA_BYTES} are taken")
    # At most so many brackets are at most so many levels, for nearly every event there is.
    if text.count(b"{") + text.count(b"[") > MAX_DATA_DEPTH and depth_of(text) > MAX_DATA_DEPTH:
        raise too_deep()
    try:
        # Parsed whole on purpose: a Raw is only skipped over, and what is stored must be JSON.
        value = loads(text)
        if not text.isascii():
            text.decode()
    except ValueError as error:
        raise BadEvent("data", "json", f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadEvent("data", "type", f"expected a JSON object, got {type_word(value)}")
    return text


def body_members(event: Event) -> bytes:
    """`"event_type":..,"timestamp":..,"source":..,"data":..` with what stands beside it: the inside of every form of an event."""
    more = b""
    if event.clock is not None:
        more += b',"clock":' + quote(event.clock)
    if event.source_id is not None:
        more += b',"source_id":' + quote(event.source_id)
    return b'"event_type":%b,"timestamp":"%b","source":%b,"data":%b%b' % (
        quote(event.event_type),
        format_time(event.timestamp).encode(),
        quote(event.source),
        event.data,
        more,
    )


def encode_event(event: Event) -> bytes:
    """The JSON that decode_event reads back as the same event."""
    return b'{"id":"%b",%b}' % (event.id.encode(), body_members(event))


def encode_entry(entry: Entry) -> bytes:
    """An export line, without its newline: `id, epoch, seq, event_type, timestamp, source, data, committed_at`.

    Line breaks between the tokens of `data` become spaces, so that a line stays one; within strings JSON allows none.
    """
    line = b'{"id":"%b","epoch":%b,"seq":%d,%b,"committed_at":"%b"}' % (
        entry.event.id.encode(),
        quote(entry.epoch),
        entry.seq,
        body_members(entry.event),
        format_time(entry.committed_at).encode(),
    )
    return one_line(line)


def decode_entry(text: bytes) -> Entry:
    """Read an export line. Raises BadEvent."""
    try:
        members = split_object(text)
        epoch, seq = loads(members["epoch"]), loads(members["seq"])
        committed_at = parse_time(loads(members["committed_at"]))
    except KeyError as error:
        raise BadEvent(str(error.args[0]), "missing", "is missing") from None
    except ValueError as error:
        raise BadEvent("", "json", str(error)) from None
    if not isinstance(epoch, str) or not isinstance(seq, int):
        raise BadEvent("seq", "type", "expected a string as epoch and an integer as seq")
    event = decode_event(text, arrived=committed_at, default_source="", allow_control=True)
    return Entry(event=event, epoch=epoch, seq=seq, committed_at=committed_at)
