"""What a tap has heard and not stored: each state with each input, what is in a frame, and since when something may be missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from migctl.events import BadEvent
from migctl.ingest import parse_map
from migctl.ingest.frames import Frames, contents, events_of, lost_since, reader

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def frames(in_hand: int, waiting: int) -> Frames:
    """As many as that, of ten bytes each; the n-th came n seconds after noon."""
    one = Frames(100)
    for number in range(in_hand + waiting):
        one.add(b"%010d" % number, at(number))
    for _ in range(in_hand):
        one.next()
    return one


@pytest.mark.parametrize(
    ("in_hand", "waiting", "until"), [(0, 0, at(99)), (0, 2, at(0)), (2, 0, at(0)), (1, 2, at(0))]
)
def test_all_is_stored_that_was_heard_before_the_oldest_that_is_not(
    in_hand: int, waiting: int, until: datetime
) -> None:
    one = frames(in_hand, waiting)
    assert one.stored_until(at(99)) == until
    assert len(one) == in_hand + waiting


@pytest.mark.parametrize(("in_hand", "waiting", "taken"), [(0, 0, None), (0, 2, 0), (2, 0, None), (1, 2, 1)])
def test_the_next_is_the_first_that_waits_and_is_in_hand_then(
    in_hand: int, waiting: int, taken: int | None
) -> None:
    one = frames(in_hand, waiting)
    assert one.next() == (None if taken is None else (b"%010d" % taken, at(taken)))
    assert len(one) == in_hand + waiting, "it is not stored by being taken"
    assert one.bytes == 10 * (in_hand + waiting)


@pytest.mark.parametrize(
    ("in_hand", "waiting", "until"), [(0, 0, at(99)), (0, 2, at(0)), (2, 0, at(99)), (1, 2, at(1))]
)
def test_when_what_is_in_hand_is_stored_there_is_room_for_it_and_the_rest_waits(
    in_hand: int, waiting: int, until: datetime
) -> None:
    one = frames(in_hand, waiting)
    one.stored()
    assert (len(one), one.bytes, one.stored_until(at(99))) == (waiting, 10 * waiting, until)


def test_the_buffer_is_full_at_its_bound_and_drained_at_a_quarter_of_it() -> None:
    one = frames(0, 9)
    assert not one.is_full
    one.add(b"0123456789", at(9))
    assert one.is_full
    for _ in range(7):
        one.next()
    assert one.is_full, "what is in hand takes room"
    one.stored()
    assert (one.is_full, one.is_drained) == (False, False)
    one.next()
    one.stored()
    assert one.is_drained


@pytest.mark.parametrize(
    ("frame", "texts"),
    [
        (b'{"a":1.0}', [b'{"a":1.0}']),
        (b' [{"a":1.0}, 7]', [b'{"a":1.0}', b"7"]),
        (b"[]", []),
        (b"no JSON", [b"no JSON"]),
    ],
)
def test_an_array_is_its_items_and_anything_else_itself(frame: bytes, texts: list[bytes]) -> None:
    assert events_of(frame) == texts


def test_an_array_that_does_not_end_is_refused_as_a_whole() -> None:
    with pytest.raises(BadEvent, match="no JSON array"):
        events_of(b'[{"a":1}')


@pytest.mark.parametrize(
    ("heard_s", "unanswered_s", "since_s"),
    [
        (0, None, 100),  # it was closed, and all that was sent before had come
        (0, 21.0, 79),  # no pong: it may have been dead since the ping before
        (90, 21.0, 90),  # but a frame came after that
    ],
)
def test_something_may_be_missing_since_the_connection_was_alive_for_the_last_time(
    heard_s: float, unanswered_s: float | None, since_s: float
) -> None:
    assert lost_since(at(heard_s), at(100), unanswered_s=unanswered_s) == at(since_s)


def test_a_reader_finds_the_events_of_a_frame_and_none_in_what_a_source_ignores_or_rejects() -> None:
    events_in = reader(parse_map([], ignore=["stats"]))
    found = events_in(b'[{"type":"cpu","data":{"n":1}},{"type":"stats"},{"type":"ram","data":{}}]')
    assert [(event.event_type, event.data, event.clock) for event in found] == [
        ("cpu", b'{"n":1}', "arrival"),
        ("ram", b"{}", "arrival"),
    ]
    assert [events_in(frame) for frame in (b'{"type":"stats"}', b"pong", b"\xff", b"[", b"{}")] == [[]] * 5


def test_a_frame_is_a_type_with_its_data_or_the_data_alone() -> None:
    frame = b' {"type":"cpu","data":{"n": 1},"timestamp":"2026-01-31T12:00:00Z"}'
    mapper = parse_map(ignore=["noise"])
    assert contents(mapper, "envelope")(frame) == [("cpu", b'{"n": 1}')]
    assert contents(mapper, "data")(frame) == [(None, frame.strip())]
    for none in (b"hello", b"[1]"):
        assert contents(mapper, "envelope")(none) == contents(mapper, "data")(none) == []
