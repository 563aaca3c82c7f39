from __future__ import annotations

import asyncio

import pytest

from migctl.errors import Transient, Usage, first_error
from migctl.resilience import News, staggered, within


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


async def never() -> None:
    await asyncio.Event().wait()


async def test_an_attempt_that_hangs_is_joined_by_another_and_the_first_that_succeeds_wins() -> None:
    begun: list[int] = []

    async def attempt() -> int:
        begun.append(len(begun))
        number = begun[-1]
        if number < 2:
            await never()
        return number

    assert await staggered(attempt, apart_s=0.01, most_s=60) == 2


async def test_a_slow_attempt_is_not_given_up_for_those_after_it() -> None:
    begun: list[int] = []
    third = asyncio.Event()

    async def attempt() -> int:
        begun.append(len(begun))
        number = begun[-1]
        if number == 2:
            third.set()
        await (third.wait() if number == 0 else never())
        return number

    assert await staggered(attempt, apart_s=0.01, most_s=60) == 0


async def test_what_an_attempt_raises_is_raised_though_another_hangs() -> None:
    begun: list[int] = []

    async def attempt() -> int:
        begun.append(len(begun))
        if len(begun) == 1:
            await never()
        raise Usage("refused", do="ask otherwise")

    with pytest.raises(Usage):
        await staggered(attempt, apart_s=0.01, most_s=60)


async def test_attempts_that_all_hang_end_in_time_and_none_is_left_behind() -> None:
    left: list[int] = []

    async def attempt() -> int:
        left.append(1)
        try:
            await never()
        finally:
            left.pop()
        return 0

    with pytest.raises(TimeoutError):
        await staggered(attempt, apart_s=0.01, most_s=0.05)
    assert left == []


async def test_a_result_that_comes_too_late_is_dropped() -> None:
    dropped: list[int] = []
    begun: list[int] = []
    both = asyncio.Event()

    async def attempt() -> int:
        begun.append(len(begun))
        number = begun[-1]
        if number == 1:
            both.set()
        await both.wait()
        return number

    first = await staggered(attempt, apart_s=0.01, most_s=60, drop=dropped.append)
    assert sorted([first, *dropped]) == [0, 1]


async def test_a_cancel_ends_all_attempts() -> None:
    left: list[int] = []

    async def attempt() -> int:
        left.append(1)
        try:
            await never()
        finally:
            left.pop()
        return 0

    trying = asyncio.create_task(staggered(attempt, apart_s=60, most_s=60))
    while not left:
        await asyncio.sleep(0)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    assert left == []
