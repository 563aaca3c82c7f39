"""Reader: what every subscriber is to whoever uses it: a context manager that is iterated by one, and ready at some moment."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Self

from migctl import clock
from migctl.errors import MigctlError, Transient, Usage
from migctl.events import Position
from migctl.subscriber.core.flow import Batches, Flow, Items
from migctl.subscriber.core.merge import Merge


class Reader(ABC):
    """Base of the subscribers, which say how to run (`_run`) and what to close (`_close`).

    wait_s: how long it may take from entering to the first readiness.
    """

    def __init__(self, merge: Merge | None, *, wait_s: float) -> None:
        self._flow = Flow(merge)
        self._wait_s = wait_s
        self._deadline = float("inf")
        self._ready: asyncio.Future[Position | None] | None = None
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise Usage("this subscriber was used before", do="make a new one, with the position of this one")
        self._deadline = clock.mono() + self._wait_s
        self._ready = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._run(), name=type(self).__name__)
        self._running.add_done_callback(self._stopped)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        await self._close()
        self._fail_ready(
            Transient("the subscriber was closed before it was ready", do="wait for it inside its block")
        )
        self._flow.end()

    async def ready(self) -> Position | None:
        """Wait until nothing from here on can be missed; where that is, exclusive. None where nothing was ever published.

        Raises Transient where nothing can be reached within `wait_s`, Systemic or Usage where it never will be.
        """
        if self._ready is None:
            raise _not_entered()
        return await asyncio.shield(self._ready)

    def batches(self) -> Batches:
        """Releases in lists, as many as there are at the moment; the position is then that of the last in the list."""
        if self._ready is None:
            raise _not_entered()
        return Batches(self._flow)

    def __aiter__(self) -> Items:
        if self._ready is None:
            raise _not_entered()
        return Items(self._flow)

    @property
    def position(self) -> Position | None:
        """The last seq that was handed out: give it to the next subscriber, and it goes on there."""
        return self._flow.merge.position

    @property
    def merge(self) -> Merge:
        """Counters, for those who report them."""
        return self._flow.merge

    # For the subscribers

    @abstractmethod
    async def _run(self) -> None:
        """Receive, from `__aenter__` until cancelled."""

    @abstractmethod
    async def _close(self) -> None:
        """Close what was opened outside `_run`."""

    @property
    def _is_ready(self) -> bool:
        return self._ready is not None and self._ready.done()

    @property
    def _waited_enough(self) -> bool:
        return clock.mono() >= self._deadline

    def _tell_ready(self, position: Position | None) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(position)

    def _fail_ready(self, error: BaseException) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # seen: nobody has to wait for readiness

    def _stopped(self, task: asyncio.Task[None]) -> None:
        """Hand what ended us to whoever waits for us."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self._fail_ready(error)
        self._flow.fail(error)


def _not_entered() -> MigctlError:
    return Usage(
        "the subscriber was not entered",
        do="write `async with Subscriber(...) as events:` and iterate inside it",
    )
