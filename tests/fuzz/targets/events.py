"""Events as producers post them, their JSON, and the whole way of one that was taken: whatever is accepted is read by everybody."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, datetime
from functools import partial
from typing import Any

from migctl.events import BadEvent, Entry, Event, decode_event, format_time, parse_time
from migctl.events.arrived import Arrived
from migctl.events.canonical import body_hash, canonical
from migctl.events.codec import MAX_DATA_DEPTH, decode_entry, encode_entry, encode_event
from migctl.events.equality import Equality, differences, equal, surely_same
from migctl.events.ids import canonical_id
from migctl.events.jsontext import check_count, depth_of, dumps, loads, split_array, split_object
from migctl.ingest.http import BadBody, parse_events
from migctl.printable import shown, shown_json
from migctl.server.access import bodies
from migctl.subscriber.core.release import Release, encode_release
from migctl.subscriber.gateway.frames import read_frame
from migctl.subscriber.realtime import hints as received
from migctl.transports.realtime import hints as sent
from migctl.transports.websocket import frames
from migctl.validate.lines import decode as decode_line
from tests.fuzz.mutating import mutated_bytes, mutated_json
from tests.fuzz.target import Target

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
EPOCH = "0190a000-0000-7000-8000-000000000001"
ARRIVED = Arrived(NOW, 1)
TYPES = (
    "", "application/json", "application/x-ndjson; charset=utf-8", "text/plain", "application/json-seq", ";;", "\0",
)  # fmt: skip
KEYS = (
    b"id", b"event_type", b"timestamp", b"source", b"data", b"clock", b"source_id", b"epoch", b"seq", b"committed_at",
    b"arrival", b"sys.x",
)  # fmt: skip

EVENT: dict[str, Any] = {
    "id": "0190a000-0000-7000-8000-00000000000a",
    "event_type": "cpu",
    "timestamp": "2026-01-31T12:00:00.123456Z",
    "source": "host-1",
    "data": {"used": 1.5, "cores": [1, 2, {"é": "\U0001f600"}], "none": None},
}
GOOD = tuple(
    json.dumps(one).encode()
    for one in (
        EVENT,
        {"event_type": "a", "data": {}},
        {
            "event_type": "a.b",
            "data": {"n": 12345678901234567890, "x": 1e-7},
            "id": "mine-1",
            "timestamp": None,
        },
        {**EVENT, "source_id": "theirs", "clock": "arrival"},
        {**EVENT, "data": {"text": "\ud800 half", "zero": "\0"}},
        {**EVENT, "data": {"deep": [[[[{"a": [[[]]]}]]]]}},
    )
)


def refused(reason: str) -> bool:
    """What is said of what is refused is short, and can be shown."""
    assert reason
    assert len(reason) < 2000, len(reason)
    shown(reason).encode()
    return False


def a_body(data: bytes) -> bool:
    """data: a byte that picks the content type, one that picks the key, and the body."""
    kind = TYPES[data[0] % len(TYPES)] if data else ""
    key = (None, None, "key", "", "\ud800")[data[1] % 5] if len(data) > 1 else None
    try:
        found = parse_events(
            data[2:], kind, arrived=NOW, default_source="producer", idempotency_key=key, key_scope="scope"
        )
    except BadBody as error:
        assert error.status in (413, 422)
        for one in error.errors:
            refused(one.reason)
            assert one.id is None or len(one.id) <= 512
        dumps([[one.index, one.id, one.field, one.code, one.reason] for one in error.errors])
        return False
    for event in found[:3]:
        whole_way(event)
    return True


CODINGS = ("gzip", "x-gzip", "deflate")


def a_packed_body(data: bytes) -> bool:
    """data: a byte that picks the packing, and the body."""
    if len(data) < 2:
        return False
    packing, body = CODINGS[data[0] % 3], data[1:]
    room = min(bodies.MOST_BYTES, max(bodies.SMALL_BYTES, bodies.MOST_RATIO * len(body)))
    try:
        found = bodies.inflated(body, packing, room, bodies.MOST_BYTES)
    except bodies.BadBody as error:
        assert error.status in (400, 413, 415)
        return refused(error.reason)
    assert len(found) <= room
    return a_body(b"\0\0" + found)


def an_event(data: bytes) -> bool:
    try:
        event = decode_event(data, arrived=NOW, default_source="producer")
    except BadEvent as error:
        return refused(f"{error.field} {error.code} {error.reason}")
    whole_way(event)
    return True


def whole_way(event: Event) -> None:
    """What was taken at the door goes through everything of ours that reads it afterwards."""
    again = decode_event(encode_event(event), arrived=NOW, default_source="", allow_control=True)
    assert again == event
    assert len(body_hash(event)) == 16
    assert equal(event.data, event.data) is Equality.SAME
    entry = Entry(event=event, epoch=EPOCH, seq=7, committed_at=NOW)
    line = encode_entry(entry)
    assert b"\n" not in line
    exported = decode_entry(line)
    assert exported.event.id == event.id
    assert canonical(exported.event.data) == canonical(event.data)
    assert decode_line(line).id == event.id

    text = frames.event_text(entry)
    release = read_frame(text).release(EPOCH, "live", ARRIVED)
    assert (release.id, release.seq, bytes(release.data)) == (event.id, 7, event.data)
    captured = encode_release(release)
    assert decode_line(captured).id == event.id
    for form in ("envelope", "data"):
        loads(frames.legacy_text(event, form))  # type: ignore[arg-type]
    shown_json(text.decode()).encode()

    for hint in sent.hints([entry], table_head=6, max_bytes=1 << 16):
        frame = (
            b'{"topic":"realtime:x","event":"broadcast","payload":{"event":"events","payload":%b},"ref":null}'
        )
        found = received.read_text((frame % hint.payload).decode(), "realtime:x", ARRIVED)
        assert found is not None
        assert found.head == 7
        if found.items:
            (item,) = found.items
            assert isinstance(item, Release)
            assert item.data == event.data
        else:
            assert found.named == [7]


def json_text(data: bytes) -> bool:
    """Readers of JSON agree on what is JSON, and whatever they take can be taken apart and written."""
    for read in (split_object, split_array, partial(check_count, most=3)):
        try:
            parts = read(data)
        except ValueError as error:
            refused(str(error))
            continue
        for part in (
            (parts.values() if isinstance(parts, dict) else parts or ())[:50]
            if isinstance(parts, list)
            else ()
        ):
            try:
                loads(part)
            except ValueError as error:
                refused(str(error))
    assert depth_of(data) >= 0
    try:
        value = loads(data)
    except ValueError as error:
        return refused(str(error))
    try:
        made = canonical(data)
    except ValueError as error:
        refused(str(error))
    else:
        assert canonical(made) == made
        if (
            depth_of(data) <= MAX_DATA_DEPTH
        ):  # beyond it what reads it depends on the stack, and nothing is taken
            assert equal(made, data) is not Equality.DIFFERENT
    surely_same(data, b"{}")
    for other in (data, b'{"used":1.5}', b"[]"):
        try:
            differences(data, other)
        except ValueError as error:
            refused(str(error))
    try:
        again = dumps(value)
    except (RecursionError, TypeError, ValueError, OverflowError):
        return True  # who writes what it has read says so: see `errors.in_words`
    loads(again)
    return True


def a_time(data: bytes) -> bool:
    text = data.decode("utf-8", "surrogateescape")
    try:
        moment = parse_time(text)
    except ValueError as error:
        return refused(str(error))
    assert moment.tzinfo is UTC
    assert parse_time(format_time(moment)) == moment
    return True


def an_id(data: bytes) -> bool:
    text = data.decode("utf-8", "surrogateescape")
    try:
        found, own = canonical_id(text)
    except ValueError as error:
        return refused(str(error))
    assert len(found) == 36
    assert own in (None, text)
    return True


TIMES = (
    b"2026-01-31T12:00:00.25Z", b"2026-01-31 12:00:00", b"2026-01-31T12:00:00,123456789+11:00", b"2026-01-31T12:00:00 UTC",
    b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:59.999999Z", b"2026-01-31T12:00:00-0130",
)  # fmt: skip
TARGETS = (
    Target(
        "ingest body",
        a_body,
        (
            *(b"\0\0" + one for one in GOOD),
            b"\1\2[" + b",".join(GOOD[:3]) + b"]",
            b"\2\0" + b"\n".join(GOOD[:3]),
            b"\4\0\x1e" + b"\n\x1e".join(GOOD[:3]),
        ),
        words=KEYS,
        mutate=mutated_bytes,
    ),
    Target(
        "packed body",
        a_packed_body,
        (
            b"\0" + gzip.compress(GOOD[0], mtime=0),
            b"\0" + gzip.compress(GOOD[0], mtime=0) + gzip.compress(b" ", mtime=0),
            b"\2" + zlib.compress(GOOD[0]),
            b"\2" + zlib.compress(GOOD[0], wbits=-15),
            b"\0" + gzip.compress(b"[" + b"{}," * 20_000, mtime=0),
            b"\0" + gzip.compress(bytes(900_000), mtime=0),
        )[:4],
        words=(
            gzip.compress(bytes(1 << 20), mtime=0),
            zlib.compress(bytes(1 << 20)),
            gzip.compress(b"[" * 50_000, mtime=0),
        ),
    ),
    Target("event", an_event, GOOD, words=KEYS, mutate=mutated_json),
    Target(
        "JSON text",
        json_text,
        (*GOOD, b"[1, 2.50, 1e3]", b'[{"a": 1}, {"a": 1.0}]', b'"x"', b"12"),
        mutate=mutated_json,
    ),
    Target("JSON bytes", json_text, (*GOOD, b"[1, 2.50, 1e3]", b"-0.0e-10"), words=KEYS),
    Target(
        "time",
        a_time,
        TIMES,
        words=(b"T", b":", b"+", b"00", b"60", b"24", b"99", b"\xd9\xa1", b"Z", b"GMT", b".", b"-"),
    ),
    Target(
        "id",
        an_id,
        (
            b"0190a000-0000-7000-8000-00000000000a",
            b"0190A000000070008000000000000000",
            b"mine/1",
            "é".encode(),
        ),
    ),
)
