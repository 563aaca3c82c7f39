"""Waiting: for news that wake all who wait, and for anything within a time. The forms that every room uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import isinf

from migctl import clock


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


@asynccontextmanager
async def until_silent(silent_at: Callable[[], float]) -> AsyncIterator[None]:
    """A block that may last until `silent_at()`, on `clock.mono`: then it is ended with TimeoutError.

    It is asked only when the time has come that it said last. So what is heard puts the end off for nothing, where a timer that is
    set anew costs as much as an event. What it says may only grow.
    """
    loop = asyncio.get_running_loop()
    timer: asyncio.Handle
    async with asyncio.timeout(None) as limit:

        def check() -> None:
            nonlocal timer
            left_s = silent_at() - clock.mono()
            if left_s > 0:
                timer = loop.call_later(left_s, check)
            else:
                limit.reschedule(loop.time())

        timer = loop.call_soon(check)
        try:
            yield
        finally:
            timer.cancel()
