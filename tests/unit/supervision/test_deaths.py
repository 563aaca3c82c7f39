"""When a worker that died is started again, and when that is the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.resilience import Backoff
from migctl.supervision.deaths import Again, Deaths, End
from migctl.supervision.watchdog import TICKS, Watchdog


def _deaths(most: int = 3) -> Deaths:
    return Deaths(Backoff(0.1, 1.0), settled_s=5.0, most=most)


@pytest.mark.parametrize("code", [0, 2, 4])
def test_who_is_done_or_refused_is_not_started_again(code: int) -> None:
    assert _deaths().died(code, 100.0) == End(code)


def test_who_is_done_and_rejected_something_is_not_started_again() -> None:
    deaths = Deaths(Backoff(0.1, 1.0), settled_s=5.0, most=3, until_done=True)
    assert deaths.died(1, 100.0) == End(1)


@pytest.mark.parametrize("code", [-9, -11, 1, 3, 70])
def test_who_served_for_a_while_is_started_again_at_once(code: int) -> None:
    deaths = _deaths()
    for _ in range(20):
        assert deaths.died(code, 5.0) == Again(0.0)


def test_quick_deaths_wait_longer_each_and_then_are_the_end() -> None:
    deaths = _deaths(most=4)
    assert [deaths.died(-9, 0.0) for _ in range(4)] == [Again(0.0), Again(0.1), Again(0.2), Again(0.4)]
    assert deaths.died(-9, 0.0) == End(70, crashing=True)


def test_the_end_keeps_the_code_of_who_had_one() -> None:
    deaths = _deaths(most=1)
    deaths.died(3, 0.0)
    assert deaths.died(3, 0.0) == End(3, crashing=True)


def test_a_good_start_forgives_the_quick_deaths_before_it() -> None:
    deaths = _deaths(most=2)
    deaths.died(-9, 0.0)
    deaths.died(-9, 0.0)
    deaths.died(-9, 5.0)
    assert deaths.died(-9, 0.0) == Again(0.0)


@given(st.lists(st.floats(0, 20), max_size=60))
def test_it_never_waits_longer_than_its_bound_nor_gives_up_before_its_time(served: list[float]) -> None:
    deaths, row = _deaths(), 0
    for served_s in served:
        found = deaths.died(-9, served_s)
        row = 0 if served_s >= 5.0 else row + 1
        if isinstance(found, End):
            assert row == 4
            return
        assert found.delay_s <= 1.0
        assert found.delay_s == 0.0 or row > 1


def test_silence_for_as_many_ticks_as_fit_is_no_death_and_one_more_is() -> None:
    watchdog = Watchdog()
    assert [watchdog.tick() for _ in range(TICKS + 1)] == [False] * TICKS + [True]


def test_a_sign_of_life_begins_the_silence_anew() -> None:
    watchdog = Watchdog()
    for _ in range(50):
        watchdog.tick()
        watchdog.hear()
    assert not watchdog.tick()
