"""decode(encode(x)) == x, for everything that the ingest takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.events import BadEvent, Entry, Event, decode_event, encode_entry, encode_event, make_event
from migctl.events.codec import decode_entry
from migctl.events.times import format_time, from_micros, micros_of, parse_time
from tests.kit.documents import objects, respelled

ARRIVED = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
moments = st.datetimes(timezones=st.just(UTC))


@st.composite
def events(draw: st.DrawFn) -> Event:
    data = draw(respelled(draw(objects)))
    return make_event(
        id=draw(st.one_of(st.none(), st.uuids().map(str), names)),
        event_type=draw(names.filter(lambda name: not name.startswith("sys."))),
        timestamp=draw(st.one_of(st.none(), moments)),
        source=draw(st.one_of(st.none(), names)),
        data=draw(st.sampled_from([b"", b" ", b"\r\n"])) + data.encode(),
        arrived=ARRIVED,
        default_source="host",
    )


@given(events())
def test_an_event_comes_back_as_it_went(event: Event) -> None:
    assert decode_event(encode_event(event), arrived=ARRIVED, default_source="other") == event


@given(events(), names, st.integers(1, 2**62), moments)
def test_an_entry_is_one_line_and_comes_back(event: Event, epoch: str, seq: int, committed: datetime) -> None:
    entry = Entry(event=event, epoch=epoch, seq=seq, committed_at=committed)
    line = encode_entry(entry)
    assert b"\n" not in line
    assert b"\r" not in line
    again = decode_entry(line)
    assert (again.epoch, again.seq, again.committed_at) == (epoch, seq, committed)
    if b"\n" not in event.data and b"\r" not in event.data:
        assert again == entry


@given(moments)
def test_a_time_comes_back_from_its_text_and_its_microseconds(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment
    assert from_micros(micros_of(moment)) == moment


@given(moments, st.integers(-14 * 60, 14 * 60), st.sampled_from("T "))
def test_an_offset_names_the_same_instant(moment: datetime, minutes: int, between: str) -> None:
    from datetime import timedelta, timezone

    try:
        local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:
        return
    assert parse_time(local.isoformat(sep=between)) == moment


@pytest.mark.parametrize("text", ["9" * 5000, "1e400000", '"\\ud800"', '"\\u0000"', "1e99999999999999999999"])
def test_what_jsonb_refuses_is_still_taken_as_it_came(text: str) -> None:
    data = f'{{"a": {text}}}'.encode()
    event = decode_event(b'{"event_type":"t","data":%b}' % data, arrived=ARRIVED, default_source="h")
    assert event.data == data
    assert decode_event(encode_event(event), arrived=ARRIVED, default_source="h") == event


@pytest.mark.parametrize(
    "data",
    [
        '{"a":1}'.encode("utf-16-le"),
        '{"a":1}'.encode("utf-32-be"),
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":NaN}',
        b'{"a":01}',
        b"[1]",
        b"{} {}",
        b"",
    ],
)
def test_data_that_is_no_json_object_in_utf8_is_refused(data: bytes) -> None:
    with pytest.raises(BadEvent) as caught:
        make_event(
            id=None,
            event_type="t",
            timestamp=None,
            source="s",
            data=data,
            arrived=ARRIVED,
            default_source="h",
        )
    assert caught.value.field == "data"


@given(st.binary(max_size=60), st.sampled_from([b"%b", b'{"event_type":"t","data":%b}']))
def test_any_bytes_are_an_event_or_a_reason(junk: bytes, frame: bytes) -> None:
    result: Any = None
    try:
        result = decode_event(frame % junk, arrived=ARRIVED, default_source="h")
    except BadEvent as refused:
        result = refused.reason
    assert result
