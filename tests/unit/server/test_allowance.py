"""How many events a producer may still send."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migctl.server.access.allowance import Allowance, retry_after


def test_one_second_of_events_passes_at_once_and_the_next_has_to_wait() -> None:
    allowance = Allowance(10, 0.0)
    assert [allowance.take(5, 0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert allowance.take(5, 0.5) == 0.0


def test_request_larger_than_a_second_is_taken_and_its_debt_waited_out() -> None:
    allowance = Allowance(10, 0.0)
    assert allowance.take(100, 0.0) == 0.0
    assert allowance.take(1, 5.0) > 0
    assert allowance.take(1, 9.2) == 0.0


def test_retry_after_is_never_zero() -> None:
    assert [retry_after(wait) for wait in (0.01, 1.0, 1.2)] == ["1", "1", "2"]


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), max_size=60))
def test_no_more_passes_than_the_rate_and_one_burst(requests: list[tuple[float, int]]) -> None:
    allowance, now, passed, largest = Allowance(20, 0.0), 0.0, 0, 0
    for pause, events in requests:
        now += pause
        if allowance.take(events, now) == 0.0:
            passed += events
            largest = max(largest, events)
    assert passed <= 20 * now + 20 + largest + 1e-6


@given(st.integers(1, 1000), st.floats(0.1, 500))
def test_waiting_as_long_as_told_is_enough(events: int, rate: float) -> None:
    allowance = Allowance(rate, 0.0)
    allowance.take(events, 0.0)
    wait = allowance.take(events, 0.0)
    assert wait == 0.0 or allowance.take(events, wait + 1e-6) == 0.0
