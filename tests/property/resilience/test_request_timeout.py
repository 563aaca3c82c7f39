"""What holds for every history of answers and silences."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migctl.resilience import RequestTimeout

INITIAL_S, MIN_S, MAX_S = 1.0, 0.5, 15.0
sizes = st.one_of(st.integers(0, 8 << 20), st.sampled_from([0, 1 << 14, 1 << 16, 1 << 19, 4 << 20]))
took = st.floats(0.0005, 15.0)
# An answer after these seconds, or None: silence.
histories = st.lists(st.tuples(sizes, st.one_of(took, st.none())), max_size=60)


def after(history: list[tuple[int, float | None]]) -> RequestTimeout:
    timeout = RequestTimeout(INITIAL_S, MIN_S, MAX_S)
    for size, took_s in history:
        if took_s is None:
            timeout.timed_out(size)
        else:
            timeout.answered(took_s, size)
    return timeout


@given(histories, sizes)
def test_it_is_always_within_its_bounds(history: list[tuple[int, float | None]], size: int) -> None:
    assert MIN_S <= after(history).seconds(size) <= MAX_S


@given(histories, sizes, sizes)
def test_a_larger_request_never_has_less_time(
    history: list[tuple[int, float | None]], one: int, other: int
) -> None:
    timeout = after(history)
    assert timeout.seconds(min(one, other)) <= timeout.seconds(max(one, other))


@given(histories, sizes, took)
def test_what_took_this_long_just_now_may_take_it_again(
    history: list[tuple[int, float | None]], size: int, took_s: float
) -> None:
    timeout = after(history)
    timeout.answered(took_s, size)
    assert timeout.seconds(size) >= min(took_s, MAX_S) - 1e-9


@given(histories, sizes)
def test_silence_after_silence_reaches_the_longest_timeout_in_five_steps(
    history: list[tuple[int, float | None]], size: int
) -> None:
    timeout = after(history)
    given_s = [timeout.seconds(size)]
    for _ in range(5):
        timeout.timed_out(size)
        given_s.append(timeout.seconds(size))
    assert given_s == sorted(given_s)
    assert given_s[-1] == MAX_S


@given(st.lists(st.integers(0, 1 << 14), min_size=200, max_size=200))
def test_small_quick_requests_never_shorten_what_a_large_one_was_seen_to_need(quick: list[int]) -> None:
    timeout = RequestTimeout(INITIAL_S, MIN_S, MAX_S)
    timeout.answered(12.0, 4 << 20)
    for size in quick:
        timeout.answered(0.002, size)
    assert timeout.seconds(0) == MIN_S
    assert timeout.seconds(4 << 20) >= 12.0
