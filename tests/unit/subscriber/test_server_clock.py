"""The server's clock, by answers: how far ours is behind, and how sure that is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from migctl.subscriber.core.server_clock import Behind, ServerClock


def at(ms: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def test_the_answer_that_took_the_least_time_says_it() -> None:
    clock = ServerClock()
    assert clock.best is None
    clock.answered(at(0), at(300), at(100))
    assert clock.best == Behind(250.0, 50.0)
    clock.answered(at(1000), at(1253), at(1004))
    assert clock.best == Behind(251.0, 2.0)
    clock.answered(at(2000), at(9000), at(2300))
    clock.answered(at(3000), at(3000), at(2000))  # ours was set back meanwhile
    assert clock.best == Behind(251.0, 2.0)


def test_a_clock_that_is_ahead_is_behind_by_less_than_nothing() -> None:
    clock = ServerClock()
    clock.answered(at(500), at(0), at(510))
    assert clock.best == Behind(-505.0, 5.0)
