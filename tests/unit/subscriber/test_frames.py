"""Frames of the v2 socket and hints of the channel, as the subscriber reads them: written by the side that sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from migctl.events.jsontext import dumps
from migctl.subscriber.core.release import Release
from migctl.subscriber.gateway.frames import read_frame, read_hello, read_redirect
from migctl.subscriber.realtime.hints import read_events, read_heartbeat, read_insert, read_text
from migctl.transports.realtime import hints
from migctl.transports.websocket import frames
from tests.kit.entries import EPOCH, entry
from tests.kit.releases import ARRIVED, WHEN


@pytest.mark.parametrize("data", [b'{"x": 1.50}', b'{"half": "\\ud800"}', b'{"huge": 1e400000}', b"{}"])
def test_frame_of_our_gateway_is_read_with_the_text_of_its_data(data: bytes) -> None:
    one = entry(7, data)
    found = read_frame(frames.event_text(one)).release(EPOCH, "resume", ARRIVED)
    assert (found.id, found.seq, found.event_type, found.data) == (one.event.id, 7, "cpu", data)
    assert (found.timestamp, found.source, found.via) == ("2026-01-31T12:00:00.000000Z", "host-1", "resume")


def test_event_type_with_a_lone_surrogate_is_still_an_event() -> None:
    text = b'{"type":"\\ud800","data":{},"timestamp":"t","id":"i","seq":1}'
    assert read_frame(text).seq == 1


def test_what_has_no_id_or_no_seq_is_no_event() -> None:
    frame = read_frame(b'{"type":"cpu","data":{},"timestamp":"t","id":"x"}')
    with pytest.raises(ValueError, match="cpu: expected an event"):
        frame.release("a", "resume", ARRIVED)


def test_legacy_greeting_is_no_hello() -> None:
    assert read_hello(b'{"type":"initial_stats","stats":{},"timestamp":"x"}') is None
    assert read_hello(b"not json") is None


@pytest.mark.parametrize(
    ("more", "spread_s"), [({}, None), ({"spread_s": 4}, 4.0), ({"spread_s": None}, None)]
)
def test_word_of_fallback_is_read(more: dict[str, Any], spread_s: float | None) -> None:
    data = {"from": "websocket", "to": "realtime", "reason": "well again", **more}
    redirect = read_redirect(read_frame(frames.control_text("sys.fallback", data, WHEN)))
    assert redirect is not None
    assert (redirect.to, redirect.reason, redirect.spread_s) == ("realtime", "well again", spread_s)


def test_hello_is_read() -> None:
    data = {"v": 2, "epoch": EPOCH, "head": 9, "tail": 2, "resume": "unrecoverable", "reason": "trimmed"}
    hello = read_hello(frames.control_text("sys.hello", data, WHEN))
    assert hello is not None
    assert (hello.head, hello.tail, hello.resume, hello.reason) == (9, 2, "unrecoverable", "trimmed")
    assert hello.at == WHEN
    timeless = read_hello(json.dumps({"type": "sys.hello", "data": data, "timestamp": "now"}).encode())
    assert timeless is not None
    assert (timeless.head, timeless.at) == (9, None)


@pytest.mark.parametrize(
    ("more", "heartbeat_s"), [({}, 5.0), ({"heartbeat_s": 0.5}, 0.5), ({"heartbeat_s": 30}, 30.0)]
)
def test_heartbeat_is_what_the_gateway_says_and_five_seconds_of_one_that_says_nothing(
    more: dict[str, float], heartbeat_s: float
) -> None:
    data = {"v": 2, "epoch": EPOCH, "head": 9, "tail": 2, "resume": "fresh", "reason": None, **more}
    hello = read_hello(frames.control_text("sys.hello", data, WHEN))
    assert hello is not None
    assert hello.heartbeat_s == heartbeat_s


def sent(*datas: bytes) -> dict[str, Any]:
    """A hint as the official client hands it over."""
    entries = [entry(seq, data) for seq, data in enumerate(datas, 1)]
    (hint,) = hints.hints(entries, table_head=0, max_bytes=4096)
    payload: dict[str, Any] = json.loads(hint.payload)
    return payload


def test_hint_of_our_broadcast_brings_its_events_and_names_those_without_text() -> None:
    hint = read_events(sent(b'{"a": 1.5}', b'{"half": "\\ud800"}', b'{"n": null}'), ARRIVED)
    assert hint is not None
    assert (hint.epoch, hint.head, hint.named) == (EPOCH, 3, [2])
    assert [(item.seq, item.data) for item in hint.items if isinstance(item, Release)] == [
        (1, b'{"a":1.5}'),
        (3, b'{"n":null}'),
    ]


def test_number_that_became_infinite_on_its_way_is_fetched_not_written_as_null() -> None:
    payload = sent(b'{"a": 1.5}')
    payload["events"][0]["data"] = {"a": float("inf")}
    hint = read_events(payload, ARRIVED)
    assert hint is not None
    assert (hint.items, hint.named) == ([], [1])


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"v": 2, "epoch": "a", "last": 1, "events": []},
        {"v": 1, "epoch": "a", "last": "1", "events": []},
        {"v": 1, "epoch": "a", "last": 1, "events": [3]},
        {"v": 1, "epoch": "a", "last": 1, "events": [{"seq": 1, "data": []}]},
    ],
)
def test_strange_hint_is_no_hint_and_never_an_exception(payload: dict[str, Any]) -> None:
    assert read_events(payload, ARRIVED) is None


TOPIC = "realtime:public.monitoring_events"


def phoenix(payload: bytes, *, event: str = "events", topic: str = TOPIC) -> str:
    """A broadcast as the frame of protocol 1.0.0."""
    broadcast = b'{"type":"broadcast","event":"%b","payload":%b}' % (event.encode(), payload)
    return f'{{"ref":null,"topic":"{topic}","event":"broadcast","payload":{broadcast.decode()}}}'


def test_hint_read_from_its_text_is_the_one_that_the_client_hands_over() -> None:
    payload = sent(b'{"a":1.5,"b":[{}]}', b'{"half": "\\ud800"}', b'{"n":null,"e":"\xc3\xa9"}')
    payload["events"][0] |= {"clock": "arrival", "source_id": "7", "id": payload["events"][0]["id"].upper()}
    payload["events"].append({"id": "x", "seq": 4, "data": None})
    found = read_text(phoenix(dumps(payload)), TOPIC, ARRIVED)
    assert found is not None
    assert len(found.items) == len(found.named) == 2
    assert found == read_events(payload, ARRIVED)


def test_data_of_a_hint_keeps_its_text() -> None:
    data = b'{"a": 1.50, "huge": 12345678901234567890123}'
    entries = hints.hints([entry(1, b'{"a":"HERE"}')], table_head=0, max_bytes=4096)
    payload = next(entries).payload.replace(b'{"a":"HERE"}', data)
    found = read_text(phoenix(payload), TOPIC, ARRIVED)
    assert found is not None
    assert [item.data for item in found.items if isinstance(item, Release)] == [data]


HEAD = '"v":1,"epoch":"a","last":1'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        phoenix(b"{}").replace('"event":"broadcast"', '"event":"phx_reply"'),
        phoenix(b"{}"),
        phoenix(b"{}", event="heartbeat"),
        phoenix(b'{%b,"events":[]}' % HEAD.encode(), topic="realtime:other"),
        phoenix(b'{"v":2,"epoch":"a","last":1,"events":[]}'),
        phoenix(b'{"v":1,"epoch":"a","last":"1","events":[]}'),
        phoenix(b'{%b,"events":[3]}' % HEAD.encode()),
        phoenix(b'{%b,"events":[{"id":"i","seq":1,"data":{}}]}' % HEAD.encode()),
        phoenix(
            b'{%b,"events":[{"id":"i","seq":1,"event_type":"t","timestamp":"t","data":[]}]}' % HEAD.encode()
        ),
        phoenix(b'{%b,"events":[{"id":"i","seq":1,"data":%b}]}' % (HEAD.encode(), b"[" * 100_000)),
        phoenix(b'{%b,"events":[]}' % HEAD.encode())[:-1],
        phoenix(b"{}").replace("{}", '{"half":"\ud800"}'),
    ],
)
def test_frame_that_is_not_as_we_send_it_is_left_to_the_client(text: str) -> None:
    assert read_text(text, TOPIC, ARRIVED) is None


def test_heartbeat_tells_the_journal_head() -> None:
    hint = read_heartbeat(json.loads(hints.heartbeat(epoch=EPOCH, journal_head=9, table_head=4)))
    assert hint is not None
    assert (hint.epoch, hint.head, hint.items) == (EPOCH, 9, [])


def test_insert_that_was_cut_for_its_size_is_named() -> None:
    record = {"id": "i", "epoch": EPOCH, "seq": 5, "event_type": "cpu"}
    hint = read_insert({"record": record, "errors": ["Error 413: Payload Too Large"]}, ARRIVED)
    assert hint is not None
    assert (hint.named, hint.head) == ([5], 5)


BENT = '{"v":0.1000000000000000055511151231}'


def changed(data: str, **more: object) -> str:
    """A frame as Realtime sends it where a row was inserted."""
    record = {
        "id": "AB",
        "epoch": EPOCH,
        "seq": 5,
        "event_type": "cpu",
        "timestamp": "2026-01-31T12:00:00+00:00",
        "source": "s",
    }
    change = {
        "type": "INSERT",
        "schema": "public",
        "table": "monitoring_events",
        "record": {**record, "data": 0},
        "errors": None,
    }
    frame = {
        "event": "postgres_changes",
        "payload": {"ids": [1], "data": {**change, **more}},
        "ref": None,
        "topic": TOPIC,
    }
    return json.dumps(frame).replace('"data": 0', f'"data": {data}')


def test_row_that_changed_keeps_its_numbers_exact() -> None:
    hint = read_text(changed(BENT), TOPIC, ARRIVED)
    assert hint is not None
    (item,) = hint.items
    assert isinstance(item, Release)
    assert (item.data, item.id, item.seq, item.via, hint.head) == (BENT.encode(), "ab", 5, "live", 5)


@pytest.mark.parametrize(
    "text",
    [
        changed(BENT, errors=["Error 413: Payload Too Large"]),
        changed("null"),
        changed("[]"),
        changed(BENT).replace(TOPIC, "realtime:another"),
        changed(BENT).replace(EPOCH, ""),
        changed(BENT).replace('"seq": 5', '"seq": null'),
    ],
)
def test_row_that_is_not_whole_is_left_to_the_client(text: str) -> None:
    assert read_text(text, TOPIC, ARRIVED) is None


@pytest.mark.parametrize(
    ("data", "is_whole"), [(BENT, False), ('{"v":[{"w":1.5}]}', False), ('{"v":[1,"0.1"]}', True)]
)
def test_row_as_the_client_parsed_it_is_only_named_where_a_number_may_have_been_rounded(
    data: str, is_whole: bool
) -> None:
    hint = read_insert(json.loads(changed(data))["payload"]["data"], ARRIVED)
    assert hint is not None
    assert (bool(hint.items), hint.named) == (is_whole, [] if is_whole else [5])


def test_adopted_row_without_position_is_not_ours() -> None:
    assert read_insert({"record": {"id": "i", "epoch": None, "seq": None}, "errors": None}, ARRIVED) is None
