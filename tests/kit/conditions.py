"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from migctl import clock


async def until(condition: Callable[[], Any | Awaitable[Any]], *, within_s: float = 15.0) -> Any:
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
