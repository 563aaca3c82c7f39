"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from migctl import clock

# Costs nothing where a test passes: a machine may be many times slower than the one that a test was written on.
PATIENCE_S = 60.0


async def until(condition: Callable[[], Any | Awaitable[Any]], *, within_s: float = PATIENCE_S) -> Any:
    """The first true value of `condition`, which may be a coroutine function. Raises AssertionError after the deadline."""
    deadline = clock.mono() + within_s
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if clock.mono() > deadline:
            raise AssertionError(f"not within {within_s} s: {inspect.getsource(condition).strip()}")
        await asyncio.sleep(0.01)


@asynccontextmanager
async def going_on(step: Callable[[], Awaitable[object]], *, every_s: float) -> AsyncIterator[None]:
    """Once every so many seconds, for the length of the block."""

    async def go_on() -> None:
        while True:
            await step()
            await asyncio.sleep(every_s)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
