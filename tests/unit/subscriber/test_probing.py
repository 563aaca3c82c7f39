"""Probing asks when Repair says so: at first, after a refusal again, and at once where a connection is new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from migctl.errors import MigctlError, Transient
from migctl.events import Position
from migctl.resilience import News, within
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.probing import Probing

AWAY = Transient("away", do="wait")


class Asked:
    """Who has the events: raises these, and has nothing after that. asked: whether each probe was to the end."""

    def __init__(self, *errors: MigctlError) -> None:
        self._errors = list(errors)
        self._more = News()
        self.asked: list[bool] = []

    async def probe(self, to_the_end: bool) -> None:
        self.asked.append(to_the_end)
        self._more.wake()
        if self._errors:
            raise self._errors.pop(0)

    async def times(self, count: int) -> None:
        async with asyncio.timeout(10.0):
            while len(self.asked) < count:
                await self._more.wait()


@asynccontextmanager
async def probing(asked: Asked) -> AsyncIterator[Probing]:
    flow = Flow()
    flow.start(Position("a", 0))
    one = Probing(flow, asked.probe, lambda: float("inf"))
    running = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_refusal_is_owed_still_and_asked_again() -> None:
    asked = Asked(AWAY, AWAY)
    async with probing(asked) as one:
        await asked.times(2)
        assert one.owes
        await asked.times(3)
    assert asked.asked == [True, True, True]


async def test_what_was_answered_is_owed_no_more_until_a_connection_is_new() -> None:
    asked = Asked()
    async with probing(asked) as one:
        await asked.times(1)
        one.reconsider()
        assert not await within(0.1, asked.times(2))
        assert not one.owes
        one.demand()
        assert one.owes
        await asked.times(2)
    assert asked.asked == [True, True]
