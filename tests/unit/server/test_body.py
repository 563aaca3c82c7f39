"""The body of POST /events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from migctl.events import Event, encode_entry
from migctl.ingest.http import MAX_EVENTS, BadBody, parse_events, read_events
from migctl.ingest.times import Times, compile_times
from tests.kit.entries import entry

ARRIVED = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
GOOD = b'{"event_type":"a","data":{"x": 1.50}}'


def parse(body: bytes, content_type: str = "", **options: Any) -> list[Event]:
    return parse_events(body, content_type, arrived=ARRIVED, default_source="10.0.0.9", **options)


def refused(body: bytes, content_type: str = "", **options: Any) -> BadBody:
    with pytest.raises(BadBody) as error:
        parse(body, content_type, **options)
    return error.value


@pytest.mark.parametrize(
    ("body", "content_type", "count"),
    [
        (GOOD, "application/json", 1),
        (b"\n " + GOOD + b" \r\n", "", 1),
        (b"\xef\xbb\xbf" + GOOD, "", 1),
        (json.dumps(json.loads(GOOD), indent=2).encode(), "", 1),
        (b"[" + GOOD + b", " + GOOD + b"]", "application/json; charset=utf-8", 2),
        (b"[]", "", 0),
        (GOOD + b"\n" + GOOD, "application/x-ndjson", 2),
        (GOOD + b"\r\n\r\n" + GOOD + b"\n", "", 2),
        (GOOD + b"\n" + GOOD, "application/x-www-form-urlencoded", 2),
    ],
)
def test_object_array_and_ndjson_are_told_apart(body: bytes, content_type: str, count: int) -> None:
    assert len(parse(body, content_type)) == count


def test_data_keeps_its_bytes_in_each_form() -> None:
    for body in (GOOD, b"[" + GOOD + b"]", GOOD + b"\n" + GOOD):
        assert {event.data for event in parse(body)} == {b'{"x": 1.50}'}


def test_absent_source_and_time_are_the_peer_and_the_arrival() -> None:
    [event] = parse(GOOD)
    assert (event.source, event.timestamp, event.clock) == ("10.0.0.9", ARRIVED, "arrival")


def test_every_bad_item_is_named_with_index_id_field_and_code() -> None:
    body = b'[{"id":"a","event_type":"t","data":[]},%b,{"event_type":"sys.x","data":{}},7]' % GOOD
    error = refused(body)
    assert error.status == 422
    assert [(e.index, e.id, e.field, e.code) for e in error.errors] == [
        (0, "a", "data", "type"),
        (2, None, "event_type", "reserved"),
        (3, None, None, "json"),
    ]


MORE = b'{"event_type":"a","data":{"x":1},"host":"h","n":5}'


def test_a_key_that_no_event_has_is_refused_by_name_or_kept() -> None:
    error = refused(b"[%b,%b]" % (GOOD, MORE))
    assert [(e.index, e.field, e.code) for e in error.errors] == [(1, "host", "unknown")]
    assert "'host', 'n'" in error.errors[0].reason
    assert parse(MORE, unknown="keep")[0].data == MORE
    assert parse(GOOD, unknown="keep")[0].data == b'{"x": 1.50}'


def test_lines_of_our_own_have_keys_of_their_own() -> None:
    (event,) = parse(encode_entry(entry(7)))
    assert event == entry(7, id=event.id).event


@pytest.mark.parametrize(
    "time", ["1769860800", "1769860800000", '"2026-01-31t12:00:00z"', '"2026-01-31 23:00:00"']
)
def test_times_are_read_as_a_source_s_are(time: str) -> None:
    body = b'{"event_type":"a","data":{},"timestamp":%b}' % time.encode()
    (event,) = parse(body, times=compile_times([], {}, zone="+11:00"))
    assert (event.timestamp, event.clock) == (ARRIVED, None)


@pytest.mark.parametrize("time", ["81234.56", '"soon"', "[]", "true"])
def test_a_time_that_can_t_be_read_fails_its_event_or_is_that_of_the_arrival(time: str) -> None:
    body = b'[{"event_type":"a","data":{},"timestamp":%b},%b]' % (time.encode(), GOOD)
    found = read_events(body, arrived=ARRIVED, default_source="h")
    assert [(e.index, e.field) for e in found.errors] == [(0, "timestamp")]
    assert (found.indexes, len(found.events)) == ([1], 1)
    if time not in ("[]", "true"):
        event, _ = parse(body, times=Times(unread="arrival"))
        assert (event.timestamp, event.clock) == (ARRIVED, "arrival")


def test_torn_ndjson_line_is_refused_with_its_index() -> None:
    error = refused(GOOD + b"\n" + GOOD[:20])
    assert [(e.index, e.code) for e in error.errors] == [(1, "json")]


@pytest.mark.parametrize(
    "body", [b"", b"  \n ", b"{", b"[1", b'"x"', b"null", b"hello", b"\xff\xfe", b"[" * 100_000]
)
def test_body_that_is_no_events_is_refused_as_a_whole(body: bytes) -> None:
    error = refused(body)
    assert (error.status, error.errors[0].index) == (422, None)


def test_too_many_events_are_413() -> None:
    assert refused(b"[" + b",".join([GOOD] * (MAX_EVENTS + 1)) + b"]").status == 413


def test_too_large_data_is_413_and_names_the_item() -> None:
    large = b'{"event_type":"a","data":{"x":"' + b"y" * (1 << 20) + b'"}}'
    error = refused(b"[" + GOOD + b"," + large + b"]")
    assert (error.status, error.errors[0].index, error.errors[0].field) == (413, 1, "data")


def test_idempotency_key_gives_the_same_ids_again_and_leaves_own_ids() -> None:
    own = b'{"id":"0190a000-0000-7000-8000-000000000001","event_type":"a","data":{}}'
    body = b"[" + GOOD + b"," + own + b"," + GOOD + b"]"
    first, second = parse(body, idempotency_key="k"), parse(body, idempotency_key="k")
    assert [event.id for event in first] == [event.id for event in second]
    assert len({event.id for event in first}) == 3
    assert first[1].id == "0190a000-0000-7000-8000-000000000001"
    assert parse(body, idempotency_key="other")[0].id != first[0].id


def test_empty_idempotency_key_is_refused() -> None:
    assert refused(GOOD, idempotency_key="").status == 422
