"""Coming back to what failed: rows of failures, how loud each is, how long to stay away, and what ends a wait."""

from __future__ import annotations

import asyncio
import logging

import pytest

from migctl.errors import MigctlError, Systemic, Transient
from migctl.resilience import Backoff, News, Retry

LOST = Transient("connection refused", do="nothing")
FORBIDDEN = Systemic("no such table", do="run `migctl schema apply`")
ENDLESS = Backoff(3600.0, 3600.0)


def retry(*, slow: Backoff | None = None) -> Retry:
    return Retry(Backoff(0.1, 2.0), slow=slow, random=lambda: 1.0)


def test_delays_double_up_to_the_bound_and_begin_anew_after_a_success() -> None:
    one = retry()
    assert [one.failed(LOST).delay_s for _ in range(7)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    one.succeeded()
    assert one.failures == 0
    assert one.failed(LOST).delay_s == 0.1


@pytest.mark.parametrize(("error", "delays"), [(LOST, [5.1, 5.2, 0.4]), (FORBIDDEN, [7.0, 7.0, 2.0])])
def test_what_was_asked_for_comes_before_the_delay(error: MigctlError, delays: list[float]) -> None:
    one = retry()
    found = [one.failed(error, asked_s=asked_s).delay_s for asked_s in (5.0, 5.0, 0.0)]
    assert found == pytest.approx(delays)


def test_delays_are_random_from_nothing_to_their_bound() -> None:
    assert Retry(Backoff(0.1, 2.0), random=lambda: 0.0).failed(LOST).delay_s == 0.0
    assert Retry(Backoff(0.1, 2.0), random=lambda: 0.5).failed(LOST).delay_s == 0.05


def test_the_first_failure_of_a_row_is_a_warning_and_its_repeats_are_not() -> None:
    one = retry()
    assert [one.failed(LOST).level for _ in range(3)] == [logging.WARNING, logging.DEBUG, logging.DEBUG]
    one.succeeded()
    assert one.failed(LOST).level == logging.WARNING


@pytest.mark.parametrize(
    ("slow", "delays"),
    [(None, [2.0, 2.0, 2.0]), (Backoff(1.0, 10.0), [1.0, 2.0, 4.0])],
)
def test_what_no_retry_changes_is_tried_slowly_from_the_first_failure_on(
    slow: Backoff | None, delays: list[float]
) -> None:
    one = retry(slow=slow)
    assert [one.failed(FORBIDDEN).delay_s for _ in range(3)] == delays


def test_a_row_of_both_kinds_is_one_row() -> None:
    one = retry(slow=Backoff(1.0, 10.0))
    errors: list[MigctlError] = [LOST, FORBIDDEN, LOST]
    failures = [one.failed(error) for error in errors]
    assert [(each.number, each.delay_s) for each in failures] == [(1, 0.1), (2, 2.0), (3, 0.4)]


async def test_news_end_a_wait() -> None:
    one, news = Retry(ENDLESS, random=lambda: 1.0), News()
    one.failed(LOST)
    waiting = asyncio.ensure_future(one.wait(news))
    await asyncio.sleep(0)
    assert not waiting.done()
    news.wake()
    async with asyncio.timeout(5):
        assert await waiting is True


async def test_a_wait_without_news_lasts_its_delay_once() -> None:
    one = Retry(ENDLESS, random=lambda: 1e-6)
    delay_s = one.failed(LOST).delay_s
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(5):
        assert await one.wait(News()) is False
        assert loop.time() - began >= 0.9 * delay_s
        one.failed(LOST)
        assert await one.wait() is False
        one = Retry(ENDLESS, random=lambda: 1.0)
        assert await one.wait() is False, "nothing failed"
        one.failed(LOST)
        one.succeeded()
        assert await one.wait() is False, "it works again"


async def test_a_wait_is_no_shorter_than_asked() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await retry().wait(least_s=0.01)
    assert loop.time() - began >= 0.009


def test_other_bounds_count_from_the_next_failure_on_and_the_row_goes_on() -> None:
    one = retry(slow=Backoff(2.0, 2.0))
    assert [one.failed(LOST).delay_s for _ in range(3)] == [0.1, 0.2, 0.4]
    one.follow(Backoff(1.0, 3.0), slow=Backoff(7.0, 7.0))
    assert one.failed(LOST).delay_s == 3.0
    assert one.failed(FORBIDDEN).delay_s == 7.0
    one.succeeded()
    assert one.failed(LOST).delay_s == 1.0
