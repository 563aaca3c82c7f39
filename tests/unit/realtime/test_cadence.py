"""Heartbeats and pace."""

from __future__ import annotations

import pytest

from migctl.transports.realtime.cadence import next_heartbeat, pace_s


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
