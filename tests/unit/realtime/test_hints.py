"""Hints: bounds, references, and what the official client makes of them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from msgspec.structs import replace
from realtime.message import BroadcastMessage, ServerMessageAdapter

from migctl.transports.realtime import hints
from tests.kit.entries import EPOCH, entry

KIB = 1024


def _messages(*entries, max_bytes: int = 200 * KIB):
    return list(hints.hints(entries, table_head=3, max_bytes=max_bytes))


def test_events_stand_in_the_hint_with_the_text_of_their_data() -> None:
    (hint,) = _messages(entry(4, b'{"a": 1.10}'), entry(5))
    assert b'"data":{"a": 1.10}' in hint.payload
    said = json.loads(hint.payload)
    assert (said["v"], said["epoch"], said["first"], said["last"], said["table_head"]) == (1, EPOCH, 4, 5, 3)
    assert [event["seq"] for event in said["events"]] == [4, 5]
    assert set(said["events"][0]) == {
        "id", "seq", "event_type", "timestamp", "source", "data", "committed_at",
    }  # fmt: skip


def test_an_event_above_the_bound_goes_as_a_reference_between_its_neighbours() -> None:
    large = entry(2, b'{"a":"' + b"x" * (300 * KIB) + b'"}')
    (hint,) = _messages(entry(1), large, entry(3))
    events = json.loads(hint.payload)["events"]
    assert events[1] == {"id": large.event.id, "seq": 2}
    assert "data" in events[0] and "data" in events[2]


@pytest.mark.parametrize(
    "data",
    [
        rb'{"a":"\ud800"}',
        rb'{"\uDFFF":1}',
        rb'{"a":["\udc00\ud800"]}',
        b'{"a":1e400000}',
        b'{"a":9007199254740993}',
        b'{"a":0.1000000000000000055511151231257827}',
        b'{"a":123456789012345678}',
        b'{"a":' + b"[" * 180 + b"]" * 180 + b"}",
    ],
)
def test_what_clients_drop_or_bend_goes_as_a_reference(data: bytes) -> None:
    (hint,) = _messages(entry(1, data))
    assert set(json.loads(hint.payload)["events"][0]) == {"id", "seq"}


@pytest.mark.parametrize(
    "data",
    [
        rb'{"a":"\ud83d\ude00"}',
        rb'{"a":"\u0000"}',
        rb'{"a":"\\ud800"}',
        b'{"a":0.1,"b":-1.5e3,"c":1E2,"d":100000000000000000000,"e":0.10000000000000000}',
        b'{"a":"6f1c2e30-1e40-7000-8000-123456789012345678"}',
        b'{"a":"' + b"[" * 500 + b'"}',
        b'{"a":[' + b"{},".join([b""] * 500) + b"{}]}",
        '{"a":"\N{GRINNING FACE}"}'.encode(),
    ],
)
def test_what_clients_can_read_goes_whole(data: bytes) -> None:
    (hint,) = _messages(entry(1, data))
    assert b'"data":' + data in hint.payload


def test_official_client_reads_the_deepest_data_that_goes_whole() -> None:
    data = b'{"a":' + b"[" * 149 + b"]" * 149 + b"}"
    (hint,) = _messages(entry(1, data))
    assert data in hint.payload
    frame = (
        b'{"topic":"realtime:t","event":"broadcast","ref":null,"payload":{"event":"events","type":"broadcast","payload":'
        + hint.payload
        + b"}}"
    )
    assert isinstance(ServerMessageAdapter.validate_json(frame), BroadcastMessage)


def test_no_entries_make_no_hint() -> None:
    assert _messages() == []


def test_what_is_older_than_the_live_edge_is_superseded_by_the_table() -> None:
    entries = [entry(seq) for seq in range(1, 5)]
    now = entries[0].committed_at
    entries[:2] = [replace(each, committed_at=now - timedelta(seconds=2.1)) for each in entries[:2]]
    assert [each.seq for each in hints.live_edge(entries, now=now)] == [3, 4]
    assert list(hints.live_edge(entries, now=now + timedelta(seconds=2.1))) == []
    assert [each.seq for each in hints.live_edge(entries[2:], now=now + timedelta(seconds=2))] == [3, 4]


def test_clock_that_was_set_back_leaves_a_contiguous_run() -> None:
    entries = [entry(seq) for seq in range(1, 6)]
    now = entries[0].committed_at
    entries[2] = replace(entries[2], committed_at=now - timedelta(seconds=60))
    live = [each.seq for each in hints.live_edge(entries, now=now)]
    assert live == list(range(live[0], 6))


@pytest.mark.parametrize(
    "data",
    [b'{"a":"\\ud800","a":0}', b'{"a":{"b":["\\ud800"]},"a":1}', b'{"\\udfff":1,"x":{"a":0,"a":1e400}}'],
)
def test_what_a_client_would_drop_goes_as_a_reference_also_below_a_key_that_is_there_twice(
    data: bytes,
) -> None:
    """The last of the two counts, but what reads the frame stumbles over the first."""
    (hint,) = _messages(entry(1, data))
    (event,) = json.loads(hint.payload)["events"]
    assert "data" not in event
