"""Frames, byte by byte."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.streams import StreamReader

from migctl.events import Entry, Event
from migctl.transports.websocket import frames

NOW = datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC)
EVENT = Event(
    id="0190a000-0000-7000-8000-000000000001",
    event_type="cache_metrics",
    timestamp=datetime(2026, 1, 31, 12, 0, 0, 250000, tzinfo=UTC),
    source="cache-1",
    data=b'{ "hit": 1.50,\n "k":"\\ud800" }',
)


def entry(seq: int, event: Event = EVENT) -> Entry:
    return Entry(event=event, epoch="E", seq=seq, committed_at=NOW)


def parse(chunk: bytes) -> list[tuple[int, bytes]]:
    """What another implementation reads in these bytes."""
    reader = StreamReader()
    reader.feed_data(chunk)
    reader.feed_eof()
    found = []
    while True:
        at_end = reader.at_eof()
        try:
            while True:
                next(at_end)
        except StopIteration as stop:
            if stop.value:
                return found
        parsing = Frame.parse(reader.read_exact, mask=False)
        try:
            while True:
                next(parsing)
        except StopIteration as stop:
            assert stop.value.fin
            found.append((int(stop.value.opcode), bytes(stop.value.data)))


def test_legacy_envelope_has_the_three_old_keys_and_the_bytes_of_data() -> None:
    assert frames.legacy_text(EVENT, "envelope") == (
        b'{"type":"cache_metrics","data":{ "hit": 1.50,\n "k":"\\ud800" },"timestamp":"2026-01-31T12:00:00.250000Z"}'
    )


def test_legacy_data_frame_is_the_text_that_the_producer_sent() -> None:
    assert frames.legacy_text(EVENT, "data") is EVENT.data


def test_v2_frame_adds_id_seq_source_and_commit_time_after_the_legacy_keys() -> None:
    assert frames.event_text(entry(1235)) == (
        b'{"type":"cache_metrics","data":{ "hit": 1.50,\n "k":"\\ud800" },"timestamp":"2026-01-31T12:00:00.250000Z",'
        b'"id":"0190a000-0000-7000-8000-000000000001","seq":1235,"source":"cache-1",'
        b'"committed_at":"2026-01-31T12:00:01.000000Z"}'
    )


def test_v2_frame_tells_arrival_clock_and_source_id_only_where_there_are_any() -> None:
    foreign = Event(
        id=EVENT.id,
        event_type="push",
        timestamp=EVENT.timestamp,
        source="x",
        data=b"{}",
        clock="arrival",
        source_id='4"2',
    )
    told = json.loads(frames.event_text(entry(1, foreign)))
    assert (told["clock"], told["source_id"]) == ("arrival", '4"2')
    assert not {"clock", "source_id"} & set(json.loads(frames.event_text(entry(1))))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20])
def test_framing_is_read_back_by_another_implementation(size: int) -> None:
    payload = b"x" * size
    assert parse(frames.framed(payload)) == [(1, payload)]


def test_close_frame_carries_code_and_a_reason_that_fits_a_control_frame() -> None:
    [(opcode, body)] = parse(frames.close(4408, "slow" * 100))
    assert opcode == 8
    assert struct.unpack("!H", body[:2]) == (4408,)
    assert len(body) == 125


@given(st.integers(1, 40), st.integers(0, 50), st.sets(st.integers(1, 40)))
def test_run_after_a_position_is_exactly_what_is_above_it(count: int, after: int, control: set[int]) -> None:
    sys_event = Event(
        id=EVENT.id, event_type="sys.marker", timestamp=EVENT.timestamp, source="migctl", data=b"{}"
    )
    entries = [entry(seq, sys_event if seq in control else EVENT) for seq in range(5, 5 + count)]
    run = frames.Run(entries, "envelope")
    v2 = [json.loads(text.replace(b"\\ud800", b"")) for _, text in parse(run.v2(after))]
    assert [frame["seq"] for frame in v2] == [e.seq for e in entries if e.seq > after]
    legacy = parse(run.legacy(after))
    assert len(legacy) == len([e for e in entries if e.seq > after and not e.event.is_control])


@given(st.lists(st.integers(2, 300), min_size=1, max_size=50), st.integers(1, 1000))
def test_runs_are_a_partition_bounded_in_bytes(sizes: list[int], bound: int) -> None:
    entries = [
        entry(
            seq,
            Event(
                id=EVENT.id,
                event_type="t",
                timestamp=EVENT.timestamp,
                source="s",
                data=b"{" + b" " * (size - 2) + b"}",
            ),
        )
        for seq, size in enumerate(sizes, 1)
    ]
    made = list(frames.runs(entries, "envelope", max_bytes=bound))
    assert [run.first for run in made] == [1, *[run.last + 1 for run in made[:-1]]]
    assert made[-1].last == len(sizes)
    for run in made:
        assert run.first == run.last or sum(sizes[run.first - 1 : run.last]) <= bound
