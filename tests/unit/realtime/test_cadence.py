"""Heartbeats and pace."""

from __future__ import annotations

import pytest

from migctl.transports.realtime.cadence import Pace, next_heartbeat, pace_s


def test_idle_channel_beats_every_five_seconds() -> None:
    assert next_heartbeat(last_heartbeat=100.0, last_event=None, behind=False) == 105.0
    assert next_heartbeat(last_heartbeat=100.0, last_event=99.9, behind=False) == 105.0


def test_burst_is_followed_by_a_heartbeat_a_quarter_second_after_its_last_event() -> None:
    assert next_heartbeat(last_heartbeat=100.0, last_event=101.0, behind=False) == 101.25


def test_endless_burst_does_not_put_the_heartbeat_off() -> None:
    assert next_heartbeat(last_heartbeat=100.0, last_event=104.9, behind=False) == 105.0


def test_table_behind_the_journal_beats_every_half_second() -> None:
    assert next_heartbeat(last_heartbeat=100.0, last_event=None, behind=True) == 100.5
    assert next_heartbeat(last_heartbeat=100.0, last_event=100.1, behind=True) == pytest.approx(100.35)


def test_pace_leaves_a_fifth_of_the_plan_and_counts_each_delivery() -> None:
    assert pace_s(messages_per_second=100, subscribers=1) == pytest.approx(0.025)
    assert pace_s(messages_per_second=100, subscribers=9) == pytest.approx(0.125)


def test_hints_are_apart_by_what_each_costs_and_the_first_goes_at_once() -> None:
    pace = Pace(100, 9)
    assert pace.wait_s(50.0) == 0.0
    pace.book(50.0)
    assert pace.wait_s(50.0) == pytest.approx(0.125)
    pace.book(50.125)
    assert pace.wait_s(50.125) == pytest.approx(0.125)


def test_canary_waits_for_nobody_and_puts_the_next_hint_off_by_its_own_two_messages() -> None:
    pace = Pace(100, 9)
    pace.book(50.0)
    pace.book(50.0, receivers=1)
    assert pace.wait_s(50.0) == pytest.approx(0.125 + 0.025)
    # A second of hints and two canaries: what was sent and delivered stays below the limit.
    at, messages = 50.0, 2 * 2
    pace = Pace(100, 9)
    pace.book(50.0, receivers=1)
    pace.book(50.5, receivers=1)
    while (at := at + pace.wait_s(at)) < 51.0:
        pace.book(at)
        messages += 10
    assert messages <= 0.8 * 100 + 10


def test_refusal_for_the_rate_makes_a_pause_that_doubles_and_halves_the_rate() -> None:
    pace = Pace(100, 1)
    pace.refused(10.0)
    pace.refused(10.0)  # the listener's word of the same moment
    assert (pace.limited, pace.pause_s(10.0)) == (1, 1.0)
    pace.book(11.0)
    assert pace.wait_s(11.0) == pytest.approx(0.05)
    pauses = []
    at = 11.0
    for _ in range(5):
        pace.refused(at)
        pauses.append(pace.pause_s(at))
        at += pace.pause_s(at)
    assert pauses == pytest.approx([2.0, 4.0, 8.0, 8.0, 8.0])


def test_rate_comes_back_step_by_step_when_nothing_is_refused_any_more() -> None:
    pace = Pace(100, 1)
    for at in (0.0, 2.0, 5.0):
        pace.refused(at)
    assert [pace.halvings(at) for at in (5.0, 64.9, 65.0, 125.0, 185.0, 900.0)] == [3, 3, 2, 1, 0, 0]
