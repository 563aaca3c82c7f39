"""The numbers of the wire: said to who reads, and the same at both ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from migctl.config import Settings
from migctl.transports import wire
from migctl.transports.realtime.cadence import next_heartbeat
from migctl.transports.websocket import frames

NOW = datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC)


def test_hello_says_how_often_a_heartbeat_follows() -> None:
    hello = frames.hello(epoch="E", head=3, tail=1, resume="fresh", reason=None, heartbeat_s=0.5, now=NOW)
    assert json.loads(hello[hello.index(b"{") :])["data"]["heartbeat_s"] == 0.5


def test_setting_of_the_heartbeat_and_what_a_reader_assumes_before_hello_are_the_same() -> None:
    assert Settings().gateway.heartbeat_s == wire.GATEWAY_HEARTBEAT_S


def test_two_late_heartbeats_are_borne_and_the_third_is_not_awaited() -> None:
    assert 2 * 5.0 < wire.silence_s(5.0) < 3 * 5.0


def test_idle_channel_beats_as_often_as_its_readers_count_on() -> None:
    assert next_heartbeat(last_heartbeat=0.0, last_event=None, behind=False) == wire.REALTIME_HEARTBEAT_S
