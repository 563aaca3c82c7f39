"""Watching a link: asked where it is quiet, left where it does not answer, with a real clock and no socket."""

from __future__ import annotations

import asyncio

import pytest

from migctl import clock
from migctl.subscriber.core.liveness import Liveness
from migctl.subscriber.watching import Left, watched


def link(*, silence_s: float = 60.0, asks: bool = True) -> Liveness:
    liveness = Liveness(clock.mono(), silence_s=silence_s)
    liveness.join(clock.mono(), asks=asks, took_s=0.001)
    return liveness


async def nothing() -> None:
    """Asks, and no answer comes."""


async def test_a_link_that_says_nothing_is_left_once_it_is_silent() -> None:
    with pytest.raises(Left, match=r"L: no heartbeat for 0\.01 s"):
        async with asyncio.timeout(30), watched("L", link(silence_s=0.01, asks=False), nothing):
            await asyncio.Event().wait()


async def test_a_link_that_is_quiet_is_asked_and_left_where_no_answer_comes() -> None:
    asked = 0

    async def ask() -> None:
        nonlocal asked
        asked += 1

    with pytest.raises(Left, match=r"no answer for 0\.75 s"):
        async with asyncio.timeout(30), watched("L", link(), ask):
            await asyncio.Event().wait()
    assert asked == 1


async def test_a_link_that_answers_is_kept() -> None:
    liveness, answered = link(), asyncio.Event()

    async def ask() -> None:
        liveness.answer(clock.mono())
        answered.set()

    async with asyncio.timeout(30), watched("L", liveness, ask):
        await answered.wait()
    assert liveness.up


async def test_a_question_that_can_not_be_sent_is_no_answer() -> None:
    with pytest.raises(Left):
        async with asyncio.timeout(30), watched("L", link(), asyncio.Event().wait):  # type: ignore[arg-type]
            await asyncio.Event().wait()


async def test_who_is_held_up_leaves_nobody() -> None:
    looks = 0

    def held_up() -> bool:
        nonlocal looks
        looks += 1
        return looks < 20

    with pytest.raises(Left):
        async with (
            asyncio.timeout(30),
            watched("L", link(silence_s=0.01, asks=False), nothing, held_up=held_up),
        ):
            await asyncio.Event().wait()
    assert looks >= 20


async def test_a_mistake_of_who_asks_is_not_swallowed() -> None:
    async def ask() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(30), watched("L", link(), ask):
            await asyncio.Event().wait()


async def test_a_timeout_within_the_block_is_its_own() -> None:
    with pytest.raises(TimeoutError, match="mine"):
        async with watched("L", link(), nothing):
            raise TimeoutError("mine")


async def test_a_cancel_within_the_block_is_a_cancel() -> None:
    async def listen() -> None:
        async with watched("L", link(), nothing):
            await asyncio.Event().wait()

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
