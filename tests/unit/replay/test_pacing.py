"""Pacing: when a recorded event is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.errors import Usage
from migctl.replay.pacing import Pacer, parse_speed, schedule

START = datetime(2026, 1, 1, tzinfo=UTC)


def moments(*seconds: float | None) -> list[datetime | None]:
    return [None if second is None else START + timedelta(seconds=second) for second in seconds]


def dues(pacer: Pacer, *seconds: float | None) -> list[float]:
    return [pacer.due_s(at) for at in moments(*seconds)]


def test_events_are_due_as_recorded_divided_by_the_speed() -> None:
    assert dues(Pacer(), 0, 1, 3) == [0, 1, 3]
    assert dues(Pacer(10), 0, 1, 3) == pytest.approx([0, 0.1, 0.3])


def test_a_step_back_costs_nothing_then_or_later() -> None:
    assert dues(Pacer(), 0, 10, 5, 11, 2, 12) == [0, 10, 10, 11, 11, 12]


def test_no_wait_is_longer_than_max_wait_in_seconds_of_the_replay() -> None:
    assert dues(Pacer(10, 5), 0, 1000, 1020) == [0, 5, 7]


def test_at_max_everything_is_due_at_once() -> None:
    assert dues(Pacer("max"), 0, 10, 5) == [0, 0, 0]


def test_an_event_without_time_goes_with_the_one_before() -> None:
    assert dues(Pacer(), None, 5, None, 6) == [0, 0, 0, 1]


def test_ties_are_published_together_and_groups_are_bounded() -> None:
    found = list(schedule(moments(0, 0, 1, 1, 1, 0, 2), lambda at: at, Pacer(), max_group=3))
    assert [(due, len(group)) for due, group in found] == [(0, 2), (1, 3), (1, 1), (2, 1)]


@given(
    st.lists(st.none() | st.integers(0, 10**6), max_size=50),
    st.sampled_from([0.5, 1.0, 10.0, "max"]),
    st.none() | st.floats(0, 100),
)
def test_the_schedule_is_the_recording_in_order_and_never_goes_back(
    seconds: list[int | None], speed: float, max_wait_s: float | None
) -> None:
    groups = list(
        schedule(
            list(enumerate(moments(*seconds))), lambda item: item[1], Pacer(speed, max_wait_s), max_group=4
        )
    )
    assert [index for _, group in groups for index, _ in group] == list(range(len(seconds)))
    due = [due for due, _ in groups]
    assert due == sorted(due)
    assert all(1 <= len(group) <= 4 for _, group in groups)
    if max_wait_s is not None:
        assert all(after - before <= max_wait_s + 1e-6 for before, after in pairwise(due))


@pytest.mark.parametrize(("text", "speed"), [("1", 1.0), ("10", 10.0), ("2.5x", 2.5), ("max", "max")])
def test_a_speed_is_a_factor_or_max(text: str, speed: object) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "", "nan", "inf", "x"])
def test_a_speed_that_moves_nothing_is_refused(text: str) -> None:
    with pytest.raises(Usage, match="--speed"):
        parse_speed(text)
