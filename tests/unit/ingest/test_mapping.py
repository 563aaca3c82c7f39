"""Mapping: what becomes of foreign JSON, field by field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import pytest
from msgspec.structs import replace

from migctl.config.settings import SourceSection
from migctl.errors import Usage
from migctl.events import BadEvent, Entry, Event, encode_entry
from migctl.events.ids import canonical_id
from migctl.ingest import Mapper, parse_map
from tests.kit.entries import event

ARRIVED = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def mapped(mapper: Mapper, text: bytes) -> Event:
    event = mapper.event(text, arrived=ARRIVED)
    assert event is not None
    return event


def test_a_wrapped_legacy_frame_needs_no_mapping() -> None:
    event = mapped(
        Mapper().named("old.example"),
        b'{"type":"session_metrics","data":{ "a" : 1.50 },"timestamp":"2025-10-23 15:11:01 UTC"}',
    )
    assert event.event_type == "session_metrics"
    assert event.data == b'{ "a" : 1.50 }'
    assert event.timestamp == datetime(2025, 10, 23, 15, 11, 1, tzinfo=UTC)
    assert event.source == "old.example"
    assert event.clock is None


def test_a_flat_legacy_frame_is_its_own_data_byte_for_byte() -> None:
    frame = b'{"type":"event", "direction":"send","error":null,"broadcast_time":"2025-10-23 15:11:01","data_size_bytes":12}'
    event = mapped(Mapper(), frame)
    assert (event.event_type, event.data) == ("event", frame)
    assert event.timestamp == datetime(2025, 10, 23, 15, 11, 1, tzinfo=UTC)


def test_an_adapter_frame_is_read_by_its_second_spelling_and_is_whole_for_what_else_it_has() -> None:
    frame = b'{"event_type":"x","timestamp":"2026-01-01T00:00:00Z","source":"s","data":{},"metadata":{},"sequence_id":4}'
    found = Mapper().read(frame, arrived=ARRIVED)
    assert found.event is not None
    assert (found.event.event_type, found.event.source, found.event.data) == ("x", "s", frame)
    assert (found.kept_whole, found.left_out) == ((".metadata", ".sequence_id"), ())


MORE = b'{"type":"x","n":5,"timestamp":"2026-01-01T00:00:00Z","data":{}}'


def test_no_field_vanishes_where_nobody_said_what_the_data_is() -> None:
    assert mapped(Mapper(), MORE).data == MORE
    assert mapped(parse_map(["event_type=.type"]), MORE).data == MORE
    with pytest.raises(BadEvent, match=r"leaves out \.n"):
        parse_map((), SourceSection(unmapped="refuse")).event(MORE, arrived=ARRIVED)
    dropped = parse_map((), SourceSection(unmapped="drop")).read(MORE, arrived=ARRIVED)
    assert dropped.event is not None
    assert (dropped.event.data, dropped.left_out, dropped.kept_whole) == (b"{}", (".n",), ())


def test_what_a_mapping_of_the_data_leaves_out_is_named_from_the_outside_in() -> None:
    frame = b'{"k":"x","a":1,"null":null,"in":{"at":"2026-01-01T00:00:00Z","body":{"b":2},"by":"me"}}'
    options = ["event_type=.k", "timestamp=.in.at", "data=.in.body"]
    found = parse_map(options).read(frame, arrived=ARRIVED)
    assert found.left_out == (".a", ".null", ".in.by")
    with pytest.raises(BadEvent, match=r"\.a, \.null, \.in\.by"):
        parse_map(options, SourceSection(unmapped="refuse")).event(frame, arrived=ARRIVED)
    assert parse_map(["event_type=.k", "data=."]).read(frame, arrived=ARRIVED).left_out == ()


def test_our_own_lines_lack_nothing_and_a_stranger_s_seq_is_his_own() -> None:
    entry = Entry(
        event=replace(event(), source_id="17", clock="arrival"), epoch="e", seq=4, committed_at=ARRIVED
    )
    found = Mapper().read(encode_entry(entry), arrived=ARRIVED)
    assert found.event == entry.event
    capture = (
        encode_entry(entry)[:-1]
        + b',"transport":"realtime","via":"live","received_at":"x","received_mono_ns":1}'
    )
    assert mapped(Mapper(), capture) == entry.event
    stranger = b'{"type":"x","seq":4,"data":{}}'
    assert mapped(Mapper(), stranger).data == stranger


def test_null_and_empty_where_a_field_may_stand_are_nothing_that_is_missed() -> None:
    frame = b'{"id":null,"type":"x","event_type":"","source":null,"timestamp":null,"data":{"a":1}}'
    assert mapped(Mapper(), frame).data == b'{"a":1}'


def test_our_own_line_keeps_id_clock_and_source_id() -> None:
    event = mapped(
        Mapper(),
        b'{"id":"0192f0c1-2222-7333-8444-000000000001","epoch":"e","seq":1,"event_type":"x","timestamp":"2026-01-01T00:00:00Z",'
        b'"source":"s","data":{},"clock":"arrival","source_id":"17"}',
    )
    assert event.id == "0192f0c1-2222-7333-8444-000000000001"
    assert (event.clock, event.source_id) == ("arrival", "17")


def test_the_first_path_that_is_there_wins_and_null_is_not_there() -> None:
    mapper = parse_map(["event_type=.a|.b.c|.d", "data=."])
    assert mapped(mapper, b'{"a":null,"b":{"c":"deep"},"d":"last"}').event_type == "deep"
    assert mapped(mapper, b'{"a":"","b":5,"d":"last"}').event_type == "last"
    assert mapped(mapper, b'{"a":"first","b":{"c":"deep"}}').event_type == "first"


def test_data_is_cut_out_of_a_nested_place_byte_for_byte() -> None:
    mapper = parse_map(["event_type=.t", 'data=.outer["the payload"].body'])
    frame = b'{"t":"x","outer":{"the payload" : {"n":0,"body": {"v": 1e2,\n"u":"\\u00e9\xc3\xa9"} } }}'
    assert mapped(mapper, frame).data == b'{"v": 1e2,\n"u":"\\u00e9\xc3\xa9"}'


@pytest.mark.parametrize("number", ["7", "1.50", "-0", "1e3", "123456789012345678901234567890"])
def test_a_number_as_event_type_becomes_its_text(number: str) -> None:
    event = mapped(parse_map(["event_type=.code", "data=."]), b'{"code":%b}' % number.encode())
    assert event.event_type == number


def test_an_id_that_is_no_uuid_becomes_one_and_is_kept_beside_it() -> None:
    mapper = parse_map(["id=.id", "event_type=.t", "data=."])
    for text in (b'{"id":"17245","t":"x"}', b'{"id":17245,"t":"x"}'):
        event = mapped(mapper, text)
        assert (event.id, event.source_id) == (canonical_id("17245")[0], "17245")


def test_an_id_is_not_taken_when_the_operator_maps_and_does_not_name_it() -> None:
    mapper = parse_map(["event_type=.t", "data=."])
    event = mapper.event(b'{"id":"host-1","t":"x"}', arrived=ARRIVED, make_id=lambda: "made-here")
    assert event is not None
    assert event.source_id == "made-here"


def test_an_event_without_time_gets_the_arrival_time_and_says_so() -> None:
    event = mapped(Mapper(), b'{"type":"x","data":{}}')
    assert (event.timestamp, event.clock) == (ARRIVED, "arrival")


@pytest.mark.parametrize(
    "text",
    [b"1767225600.25", b'"1767225600.25"', b"1767225600250", b"1767225600250000", b"1767225600250000000"],
)
def test_unix_time_is_read_in_the_unit_in_which_it_is_one(text: bytes) -> None:
    event = mapped(Mapper(), b'{"type":"x","data":{},"timestamp":%b}' % text)
    assert (event.timestamp, event.clock) == (datetime(2026, 1, 1, 0, 0, 0, 250000, tzinfo=UTC), None)


def test_a_monotonic_clock_is_no_wall_time_and_the_next_path_counts() -> None:
    frame = b'{"type":"x","data":{},"timestamp":81234.56,"broadcast_time":"2026-01-01 00:00:00"}'
    event = mapped(Mapper(), frame)
    assert (event.timestamp, event.data) == (datetime(2026, 1, 1, tzinfo=UTC), frame)


@pytest.mark.parametrize(
    ("time", "unread", "arrives"),
    [
        (b"81234.56", None, True), (b"81234.56", "arrival", True), (b"81234.56", "reject", False),
        (b'"soon"', None, False), (b'"soon"', "arrival", True), (b'"soon"', "reject", False),
    ],
)  # fmt: skip
def test_a_time_that_can_t_be_read_is_rejected_or_is_that_of_the_arrival_as_the_setting_says(
    time: bytes, unread: Literal["reject", "arrival"] | None, arrives: bool
) -> None:
    mapper = parse_map((), SourceSection(unread_times=unread))
    frame = b'{"type":"x","data":{"a":1},"timestamp":%b}' % time
    if not arrives:
        with pytest.raises(BadEvent, match="timestamp"):
            mapper.event(frame, arrived=ARRIVED)
        return
    found = mapper.read(frame, arrived=ARRIVED)
    assert found.event is not None and found.when is not None
    assert (found.event.timestamp, found.event.clock, found.event.data) == (ARRIVED, "arrival", b'{"a":1}')
    assert found.when.replaced and "arrival" in found.when.how
    without = mapper.read(b'{"type":"x","data":{}}', arrived=ARRIVED).when
    assert without is not None and not without.replaced


def test_an_ignored_type_is_no_event_even_when_the_rest_of_it_is_bad() -> None:
    mapper = parse_map((), SourceSection(ignore=["stats"]), ignore=["initial_stats,export_complete"])
    for name in ("stats", "initial_stats", "export_complete"):
        assert (
            mapper.event(b'{"type":"%b","timestamp":"never","data":7}' % name.encode(), arrived=ARRIVED)
            is None
        )


@pytest.mark.parametrize(
    ("frame", "field", "code"),
    [
        (b"garbage", "", "json"),
        (b"\xff\xfe\x00", "", "json"),
        (b"[1,2]", "", "json"),
        (b'"text"', "", "json"),
        (b"", "", "json"),
        (b'{"type":"x","data":{}', "", "json"),
        (b"{}", "event_type", "missing"),
        (b'{"type":{"a":1},"data":{}}', "event_type", "type"),
        (b'{"type":true,"data":{}}', "event_type", "type"),
        (b'{"type":"sys.hello","data":{}}', "event_type", "reserved"),
        (b'{"type":"x","data":[1]}', "data", "type"),
        (b'{"type":"x","data":"text"}', "data", "type"),
        (b'{"type":"x","data":{"a":"\xff"}}', "data", "json"),
        (b'{"type":"x","data":{},"timestamp":"soon"}', "timestamp", "time"),
        (b'{"type":"x","data":{},"timestamp":[]}', "timestamp", "type"),
        (b'{"type":"x","data":{},"source":{}}', "source", "type"),
        (b'{"type":"x","data":{},"id":true}', "id", "type"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_field_and_a_code(frame: bytes, field: str, code: str) -> None:
    with pytest.raises(BadEvent) as caught:
        Mapper().event(frame, arrived=ARRIVED)
    assert (caught.value.field, caught.value.code) == (field, code)
    assert caught.value.reason


def test_data_that_only_a_tombstone_can_carry_is_still_an_event() -> None:
    for data in (b'{"a":"\\u0000"}', b'{"a":"\\ud800"}', b'{"a":1e400000}'):
        assert mapped(Mapper(), b'{"type":"x","data":%b}' % data).data == data


def test_options_win_over_yaml_field_by_field() -> None:
    settings = SourceSection(map={"event_type": ".kind", "data": [".body", "."], "source": ".host"})
    event = mapped(parse_map(["event_type=.name"], settings), b'{"kind":"k","name":"n","host":"h"}')
    assert (event.event_type, event.source, event.data) == ("n", "h", b'{"kind":"k","name":"n","host":"h"}')


@pytest.mark.parametrize(
    ("option", "says", "way_out"),
    [
        ("event_type", "expected FIELD=PATH", "id, event_type"),
        ("type=.x", "no field 'type'", "did you mean event_type?"),
        ("colour=.x", "no field 'colour'", "id, event_type, timestamp, source, data"),
        ("event_type=type", "begins with a dot", "any key"),
        ("event_type=", "got nothing", "any key"),
        ("event_type=.a|", "got nothing", "any key"),
        ("event_type=.a.", "expected a key after the dot", "any key"),
        ("data=.items[0]", "arrays have no path", "any key"),
        ("data=.a['b']", 'quoted with "', "any key"),
        ('data=.["open', "does not end", "any key"),
        ("data=.a b", "unexpected 'b'", "any key"),
    ],
)
def test_a_bad_map_option_is_named_with_the_way_out(option: str, says: str, way_out: str) -> None:
    with pytest.raises(Usage) as caught:
        parse_map([option])
    assert caught.value.what.startswith("--map")
    assert says in caught.value.what
    assert way_out in caught.value.do


def test_a_field_that_is_mapped_twice_is_refused() -> None:
    with pytest.raises(Usage, match="mapped twice"):
        parse_map(["data=.a", "data=.b"])


def test_an_error_in_yaml_names_the_key() -> None:
    with pytest.raises(Usage, match=r"source\.map\.data"):
        parse_map((), SourceSection(map={"data": ["oops"]}))
    with pytest.raises(Usage, match=r"source\.map"):
        parse_map((), SourceSection(map={"type": ".type"}))


def test_an_empty_ignored_type_is_refused() -> None:
    with pytest.raises(Usage, match="empty type"):
        parse_map(ignore=["stats,,x"])


@pytest.mark.parametrize("field", ["type", "timestamp"])
def test_field_of_a_wrong_type_is_refused_whatever_bytes_are_in_it(field: str) -> None:
    """Nothing reads them: a tap goes on with the next frame."""
    frame = (
        b'{"type":"a","data":{},"timestamp":"2026-01-31T12:00:00Z","%b":{"x":"\xed\xa0\x80"}}'
        % field.encode()
    )
    with pytest.raises(BadEvent) as refused:
        parse_map().event(frame, arrived=ARRIVED)
    assert refused.value.code == "type"


def test_path_without_end_is_refused() -> None:
    with pytest.raises(Usage, match="more than 100 keys"):
        parse_map(["data=" + ".a" * 600])
