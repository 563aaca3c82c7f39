from __future__ import annotations

import asyncio

import pytest

from migctl.errors import Transient, Usage, first_error
from migctl.resilience import News, within


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
