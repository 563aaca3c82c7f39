from __future__ import annotations

from datetime import UTC, datetime, timedelta

from migctl.runtime.status import silent_s
from migctl.status import WitnessStatus

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_witness_is_silent_since_it_spoke_or_since_its_serve_began() -> None:
    said = WitnessStatus(pid=1, at=START + timedelta(seconds=30), state="watching")
    now = START + timedelta(seconds=40)
    assert silent_s(said, START, now) == 10
    assert silent_s(None, START, now) == 40
    assert silent_s(said, START + timedelta(seconds=35), now) == 5
