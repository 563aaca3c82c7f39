from __future__ import annotations

import asyncio

import pytest

from migctl import clock
from migctl.errors import Transient, Usage, first_error
from migctl.resilience import News, until_silent, within


async def test_a_wake_ends_the_waits_under_way_and_none_that_begins_later() -> None:
    news = News()
    waits = [asyncio.ensure_future(news.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    news.wake()
    assert await asyncio.gather(*waits) == [True, True, True]
    assert not await news.wait(0)


async def test_a_wait_without_news_ends_after_its_time() -> None:
    assert not await News().wait(0.001)
    assert not await News().wait(-1)


async def test_within_says_whether_it_ended_in_time() -> None:
    assert await within(None, asyncio.sleep(0))
    assert await within(float("inf"), asyncio.sleep(0))
    assert not await within(0.001, asyncio.Event().wait())


async def test_a_timeout_of_the_awaited_itself_is_not_taken_for_ours() -> None:
    async def times_out() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await within(60, times_out())


async def test_silence_that_is_put_off_is_not_over_before_its_last_word() -> None:
    asked: list[float] = []
    ends = [clock.mono(), clock.mono() + 0.01, clock.mono() + 0.02]

    def silent_at() -> float:
        asked.append(clock.mono())
        return ends[min(len(asked), len(ends) - 1)]

    with pytest.raises(TimeoutError):
        async with until_silent(silent_at):
            await asyncio.Event().wait()
    assert asked[-1] >= ends[-1]


async def test_who_is_heard_all_the_time_costs_no_timer() -> None:
    asked = 0

    def silent_at() -> float:
        nonlocal asked
        asked += 1
        return clock.mono() + 60

    async with until_silent(silent_at):
        for _ in range(100):
            await asyncio.sleep(0)
    assert asked == 1


async def test_a_block_that_ends_in_time_is_not_ended_later() -> None:
    async with until_silent(lambda: clock.mono() + 0.001):
        await asyncio.sleep(0)
    assert not await within(0.01, asyncio.Event().wait())


async def test_a_cancel_within_the_block_is_no_timeout() -> None:
    async def listen() -> None:
        async with until_silent(lambda: clock.mono() + 60):
            await asyncio.Event().wait()

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


def test_a_bug_is_never_hidden_by_an_expected_error() -> None:
    expected, bug = Transient("away", do="wait"), ValueError("a bug")
    group = BaseExceptionGroup(
        "", [expected, ExceptionGroup("", [Usage("u", do="d"), bug]), asyncio.CancelledError()]
    )
    assert first_error(group) is bug
    assert first_error(ExceptionGroup("", [expected])) is expected
    assert first_error(bug) is bug


def test_a_cancellation_comes_last() -> None:
    expected = Transient("away", do="wait")
    assert first_error(BaseExceptionGroup("", [asyncio.CancelledError(), expected])) is expected
