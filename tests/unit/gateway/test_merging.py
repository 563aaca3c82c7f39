"""What a socket gets of an old service and of the journal: each event once, whichever says it first, and whoever goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from migctl.events import Event
from migctl.events.ids import uuid7
from migctl.transports.websocket.merging import Content, Merging, Unpaired, content_of

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
A, B = Content(b"a", None), Content(b"b", None)


def made(
    data: bytes = b'{"n":1}', at: datetime = AT, clock: str | None = None, type_: str = "cpu"
) -> Content:
    return content_of(Event(uuid7(), type_, at, "here", data, clock))


def test_same_content_is_known_by_type_and_data_however_it_is_spelled() -> None:
    assert made(b'{"n": 1.0, "a":2}') == made(b'{"a":2,"n":1}')
    assert made().digest != made(type_="ram").digest
    assert made().digest != made(b'{"n":2}').digest


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (made(), True),
        (made(at=AT + timedelta(seconds=1)), False),
        (made(at=AT + timedelta(9), clock="arrival"), True),
    ],
)
def test_two_times_of_producers_that_differ_are_two_events_and_a_missing_one_goes_with_any(
    other: Content, same: bool
) -> None:
    unpaired = Unpaired(5.0)
    unpaired.add(made(), 0.0)
    assert unpaired.take(other, 1.0) is same
    assert not unpaired.take(other, 1.0)


def test_each_is_taken_once_and_forgotten_after_the_window_or_beyond_the_bound() -> None:
    unpaired = Unpaired(5.0, most=3)
    for _ in range(2):
        unpaired.add(A, 0.0)
    assert [unpaired.take(A, 5.0) for _ in range(3)] == [True, True, False]
    unpaired.add(A, 6.0)
    assert not unpaired.take(A, 11.1)
    for n in range(4):
        unpaired.add(Content(b"%d" % n, None), 12.0)
    assert [unpaired.take(Content(b"%d" % n, None), 12.0) for n in range(4)] == [False, True, True, True]


def test_what_both_say_is_sent_once_whoever_is_first_and_what_one_says_twice_is_sent_twice() -> None:
    merging = Merging(5.0)
    assert merging.frame(A, "both", 0.0)
    assert merging.frame(A, "both", 0.0)
    assert [merging.published(A, "both", 0.1) for _ in range(3)] == ["double", "double", "sent"]
    assert not merging.frame(A, "both", 0.2)
    assert merging.published(B, "both", 0.3) == "sent"
    assert not merging.frame(B, "both", 0.4)
    assert merging.frame(B, "both", 0.5)


def test_what_the_journal_does_not_feed_is_lacking_and_no_double_later() -> None:
    merging = Merging(5.0)
    assert merging.published(A, "upstream", 0.0) == "lacking"
    assert merging.frame(A, "upstream", 0.1)
    assert merging.published(A, "upstream", 0.2) == "double"


@pytest.mark.parametrize("tap_first", [False, True])
def test_tapped_event_is_left_to_its_frame_while_the_old_service_is_here(tap_first: bool) -> None:
    merging = Merging(5.0)
    if tap_first:
        assert not merging.tapped(A, b"f", "both", 0.0, is_up=True)
        assert merging.frame(A, "both", 0.1)
    else:
        assert merging.frame(A, "both", 0.0)
        assert not merging.tapped(A, b"f", "both", 0.1, is_up=True)
    assert merging.settled(0.2) == []
    assert merging.published(A, "both", 0.3) == "double"


def test_what_the_old_service_owes_when_it_goes_is_sent_in_its_place_and_never_again() -> None:
    merging = Merging(5.0)
    assert merging.published(B, "both", 0.0) == "sent"
    for content, frame in ((A, b"a"), (B, b"b")):
        assert not merging.tapped(content, frame, "both", 0.1, is_up=True)
    assert merging.settled(0.2) == [b"a"]
    assert merging.settled(0.2) == []
    assert not merging.frame(A, "both", 0.3)
    assert merging.published(A, "both", 0.4) == "double"


def test_identical_events_of_the_tap_are_all_sent_where_the_old_service_is_away() -> None:
    merging = Merging(5.0)
    assert [merging.tapped(A, b"a", "both", 0.0, is_up=False) for _ in range(3)] == [True] * 3


def test_where_the_journal_feeds_alone_frames_are_left_to_the_tap() -> None:
    merging = Merging(5.0)
    assert not merging.frame(A, "journal", 0.0)
    assert merging.tapped(A, b"a", "journal", 0.1, is_up=True)
    assert merging.published(A, "journal", 0.2) == "double"
    assert merging.published(B, "journal", 0.3) == "sent"
    assert not merging.frame(B, "journal", 0.4)
    assert not merging.tapped(B, b"b", "journal", 0.5, is_up=True)


def test_change_to_the_journal_alone_loses_nothing_that_is_on_the_way() -> None:
    merging = Merging(5.0)
    assert not merging.tapped(A, b"a", "both", 0.0, is_up=True)
    assert merging.frame(B, "both", 0.0)
    assert merging.frame(A, "journal", 0.1)
    assert not merging.tapped(B, b"b", "journal", 0.1, is_up=True)
