"""The timeout of a request by RFC 6298's own numbers."""

from __future__ import annotations

import pytest

from migctl.resilience import RequestTimeout


def test_it_is_the_first_one_until_an_answer_was_measured() -> None:
    timeout = RequestTimeout(1.0, 0.1, 15.0)
    assert timeout.seconds() == 1.0
    timeout.answered(0.2)
    assert timeout.seconds() == pytest.approx(0.2 + 4 * 0.1)


def test_the_second_answer_is_smoothed_as_the_rfc_says() -> None:
    timeout = RequestTimeout(1.0, 0.001, 15.0)
    timeout.answered(0.2)
    timeout.answered(0.1)
    deviation = 0.75 * 0.1 + 0.25 * 0.1
    assert timeout.seconds() == pytest.approx(0.875 * 0.2 + 0.125 * 0.1 + 4 * deviation)


def test_silence_doubles_it_and_one_answer_forgets_that() -> None:
    timeout = RequestTimeout(1.0, 0.5, 15.0)
    given_s = []
    for _ in range(6):
        given_s.append(timeout.seconds())
        timeout.timed_out()
    assert given_s == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    timeout.answered(0.01)
    assert timeout.seconds() == 0.5


def test_a_size_that_was_never_sent_has_the_first_timeout_or_what_smaller_ones_need() -> None:
    timeout = RequestTimeout(1.0, 0.1, 15.0)
    timeout.answered(0.01, size=100)
    assert timeout.seconds(4 << 20) == 1.0
    timeout.answered(3.0, size=100)
    assert timeout.seconds(4 << 20) == timeout.seconds(100) > 3.0
    assert RequestTimeout(1.0, 0.1, 15.0).seconds(100) == 1.0


@pytest.mark.parametrize("bounds", [(1.0, 0.0, 15.0), (1.0, 16.0, 15.0), (20.0, 0.5, 15.0), (0.0, 0.5, 15.0)])
def test_bounds_that_contradict_each_other_are_refused(bounds: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="expected min_s"):
        RequestTimeout(*bounds)
