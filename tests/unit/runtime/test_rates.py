"""Events a second, from counters at moments."""

from __future__ import annotations

from migctl.runtime.rates import Counters, Rates


def test_nothing_is_known_before_two_samples() -> None:
    rates = Rates()
    assert rates.status() is None
    rates.sample(5.0, Counters(taken=100))
    assert rates.status() is None
    rates.sample(5.0, Counters(taken=100))  # in no time
    assert rates.status() is None


def test_it_is_what_was_carried_over_the_last_seconds_and_no_longer() -> None:
    rates = Rates(over_s=10.0)
    for second in range(31):  # 100/s for 20 s, then nothing
        rates.sample(float(second), Counters(taken=min(second, 20) * 100, to_table=second * 5))
    found = rates.status()
    assert found is not None
    assert (found.over_s, found.taken_per_s, found.to_table_per_s) == (10.0, 0.0, 5.0)
    assert (found.to_websocket_per_s, found.to_realtime_per_s) == (None, None)


def test_a_count_that_was_begun_anew_is_no_negative_rate() -> None:
    rates = Rates()
    rates.sample(0.0, Counters(taken=1000))
    rates.sample(1.0, Counters(taken=3))
    assert rates.status() is None
    rates.sample(2.0, Counters(taken=10))
    found = rates.status()
    assert found is not None and found.taken_per_s == 7.0
