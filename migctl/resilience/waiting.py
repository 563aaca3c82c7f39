"""Waiting: for news that wake all who wait, and for anything within a time. The forms that every room uses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import isinf
from typing import TypeVar

T = TypeVar("T")


class News:
    """Something changes now and then, and some wait for the next change.

    `wake` ends every wait that is under way and none that begins later: who must not miss a change checks what may have changed,
    and then waits, with nothing awaited in between.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Wake who waits now, and only them."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def wait(self, within_s: float | None = None) -> bool:
        """Return at the next `wake`: True; or after this many seconds: False. None and infinity wait without end."""
        return await within(within_s, self._event.wait())


def raise_if_cancelled() -> None:
    """End this task where it was cancelled and somebody below lost it, after each call that may.

    Before Python 3.12 `asyncio.wait_for` loses a cancel that comes just as it ends, and the loop around it would go on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def within(seconds: float | None, awaitable: Awaitable[object]) -> bool:
    """True where `awaitable` ended in time, False where it was cancelled after `seconds`. None and infinity wait without end.

    What it raises is raised, a TimeoutError of its own too.
    """
    limit = asyncio.timeout(None if seconds is None or isinf(seconds) else max(0.0, seconds))
    try:
        async with limit:
            await awaitable
    except TimeoutError:
        if not limit.expired():
            raise
        return False
    return True


async def staggered(
    attempt: Callable[[], Awaitable[T]],
    *,
    apart_s: float,
    most_s: float,
    drop: Callable[[T], object] = lambda _: None,
) -> T:
    """The first result of an attempt, or what it raises. Another one is begun whenever none has ended for `apart_s`; the ones
    before go on, for a line may be slow. Who waited for one alone would wait long after a line that swallowed it has healed.

    drop: called with a result that came too late. Raises TimeoutError after `most_s`.
    """
    ends_at = asyncio.get_running_loop().time() + most_s
    attempts: set[asyncio.Task[T]] = set()
    try:
        while (left_s := ends_at - asyncio.get_running_loop().time()) > 0:
            attempts.add(asyncio.ensure_future(_run(attempt)))
            done, _ = await asyncio.wait(
                attempts, timeout=min(apart_s, left_s), return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                first = next((one for one in done if one.exception() is None), next(iter(done)))
                attempts.discard(first)
                return first.result()
        raise TimeoutError
    finally:
        for one in attempts:
            one.cancel()
        for result in await asyncio.gather(*attempts, return_exceptions=True):
            if not isinstance(result, BaseException):
                drop(result)


async def _run(attempt: Callable[[], Awaitable[T]]) -> T:
    return await attempt()
