"""A reader's readiness, how it ends, and who may iterate it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from migctl.errors import Transient, Usage
from migctl.events import Position
from migctl.subscriber.core.flow import Batches, Flow
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.reader import Reader, Readiness
from tests.kit.releases import release

AWAY = Transient("away", do="wait")
HERE = Position("a", 1)


class Running(Reader[Position]):
    """A reader that runs what a test says."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        super().__init__(Merge(), wait_s=10.0)
        self._work = work

    async def _run(self) -> None:
        await self._work()

    async def _close(self) -> None:
        """Nothing is open."""


async def fails_at_once(*errors: Exception) -> None:
    raise ExceptionGroup("of a group", errors)


async def test_readiness_is_what_came_first() -> None:
    reached: Readiness[Position] = Readiness(2.0)
    assert not reached.over
    reached.reach(HERE)
    reached.fail(AWAY)
    assert (reached.over, await reached.wait()) == (True, HERE)
    failed: Readiness[Position] = Readiness(2.0)
    failed.fail(AWAY)
    failed.reach(HERE)
    with pytest.raises(Transient):
        await failed.wait()


def test_patience_counts_from_entering() -> None:
    readiness: Readiness[Position] = Readiness(2.0)
    assert not readiness.waited_enough(1e9), "nobody entered yet"
    readiness.begin(100.0)
    assert not readiness.waited_enough(101.9)
    assert readiness.waited_enough(102.0)
    assert readiness.left_s(101.5) == 0.5


def test_patience_has_no_end_once_it_was_ready() -> None:
    readiness: Readiness[Position] = Readiness(2.0)
    readiness.begin(100.0)
    readiness.reach(HERE)
    assert not readiness.waited_enough(1e9)
    assert readiness.left_s(1e9) == float("inf")


async def test_a_bug_is_what_ends_it_not_the_expected_error_beside_it() -> None:
    async def iterate() -> None:
        async with Running(lambda: fails_at_once(AWAY, ValueError("a bug"))) as reader:
            with pytest.raises(ValueError, match="a bug"):
                await reader.ready()
            await anext(aiter(reader))

    with pytest.raises(ValueError, match="a bug"):
        await iterate()


async def test_a_bug_that_nobody_iterated_into_comes_out_at_the_end() -> None:
    begun = asyncio.Event()

    async def fail() -> None:
        begun.set()
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        async with Running(fail):
            await begun.wait()


async def test_an_expected_error_that_nobody_iterated_into_does_not() -> None:
    async with Running(lambda: fails_at_once(AWAY)) as reader:
        with pytest.raises(Transient):
            await reader.ready()


async def test_who_was_not_entered_says_so_and_who_was_is_not_entered_again() -> None:
    reader = Running(asyncio.Event().wait)  # type: ignore[arg-type]
    with pytest.raises(Usage):
        reader.batches()
    async with reader:
        pass
    with pytest.raises(Usage):
        async with reader:
            pass
    with pytest.raises(Transient, match="closed before it was ready"):
        await reader.ready()


async def test_two_who_iterate_at_once_are_refused_and_one_after_the_other_is_not() -> None:
    flow = Flow()
    flow.start(Position("a", 0))
    first, second = Batches(flow), Batches(flow)
    flow.offer([release(1)])
    assert [item.seq for item in await anext(first)] == [1]  # type: ignore[union-attr]
    flow.offer([release(2)])
    assert [item.seq for item in await anext(second)] == [2]  # type: ignore[union-attr]
    with pytest.raises(Usage):
        await anext(first)


async def test_what_is_ready_is_taken_before_the_error_is_raised() -> None:
    flow = Flow()
    flow.start(Position("a", 0))
    flow.offer([release(1)])
    flow.fail(AWAY)
    batches = Batches(flow)
    assert len(await anext(batches)) == 1
    with pytest.raises(Transient):
        await anext(batches)
