"""Watching: a block that reads from a link is ended where its Liveness says so, and the link is asked where that says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from migctl import clock
from migctl.errors import Transient
from migctl.resilience import within
from migctl.subscriber.core.liveness import Liveness

# A question fits into any buffer; where none takes it, that is no answer.
ASK_S = 1.0


class Left(Transient):
    """The link is open, and brings nothing: nobody would answer its closing either."""


@asynccontextmanager
async def watched(
    name: str,
    liveness: Liveness,
    ask: Callable[[], Awaitable[None]],
    *,
    held_up: Callable[[], bool] = lambda: False,
) -> AsyncIterator[None]:
    """name: of the link, for the error. ask: ask over it; errors of the link are not raised, whoever reads has them too.

    held_up: whoever reads does not, just now, and that is their doing.
    What is heard sets no timer anew: that would cost as much as an event. Raises Left.
    """
    loop, limit = asyncio.get_running_loop(), asyncio.timeout(None)

    def ended(watcher: asyncio.Task[None]) -> None:
        if not watcher.cancelled():
            limit.reschedule(loop.time())

    watcher: asyncio.Task[None] | None = None
    try:
        async with limit:
            watcher = asyncio.create_task(_watch(liveness, ask, held_up), name="watching a link")
            watcher.add_done_callback(ended)
            try:
                yield
            finally:
                watcher.cancel()
                await asyncio.wait([watcher])
    except TimeoutError:
        if watcher is None or not limit.expired():
            raise
        watcher.result()
        raise Left(f"{name}: {liveness.reason}", do="nothing: a new connection is made") from None


async def _watch(liveness: Liveness, ask: Callable[[], Awaitable[None]], held_up: Callable[[], bool]) -> None:
    """Until it is to be left."""
    while True:
        now = clock.mono()
        if held_up():
            liveness.excuse(now)
        verdict = liveness.decide(now)
        if verdict == "ask":
            liveness.ask(now)
            await within(ASK_S, ask())
        elif verdict == "leave":
            return
        await asyncio.sleep(max(0.0, liveness.next_at - clock.mono()))
