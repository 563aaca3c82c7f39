"""Reader: what every subscriber is to whoever uses it: a context manager that is iterated by one, and ready at some moment."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, NoReturn, Self, TypeVar

from migctl import clock
from migctl.errors import MigctlError, Transient, Usage, first_error
from migctl.events import Position
from migctl.subscriber.core.flow import Batches, Flow, Items
from migctl.subscriber.core.merge import Merge

# Where a reader is ready: a Position; of one that may be there before anything was written, None too.
P = TypeVar("P", Position, Position | None)


class Readiness(Generic[P]):
    """The moment from which on nothing can be missed, once: reached at a place, or failed.

    wait_s: how long it may take from `begin`, by who brings it about.
    """

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._over = asyncio.Event()
        self._outcome: Callable[[], P] = _not_yet
        self.deadline = float("inf")

    def begin(self, now: float) -> None:
        self.deadline = now + self._wait_s

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def waited_enough(self, now: float) -> bool:
        """Whether what stands in the way is the end of it. Once ready, never: later outages are waited for without end."""
        return self.left_s(now) <= 0

    def left_s(self, now: float) -> float:
        """How much longer it may take."""
        return float("inf") if self.over else self.deadline - now

    def reach(self, position: P) -> None:
        self._end(lambda: position)

    def fail(self, error: BaseException) -> None:
        def refuse() -> P:
            raise error

        self._end(refuse)

    async def wait(self) -> P:
        """Raises what `fail` was given."""
        await self._over.wait()
        return self._outcome()

    def _end(self, outcome: Callable[[], P]) -> None:
        if not self.over:
            self._outcome = outcome
            self._over.set()


def _not_yet() -> NoReturn:
    raise ValueError("readiness has no outcome yet")


class Reader(ABC, Generic[P]):
    """Base of the subscribers, which say how to run (`_run`) and what to close (`_close`).

    wait_s: how long it may take from entering to the first readiness.
    """

    def __init__(self, merge: Merge | None, *, wait_s: float) -> None:
        self._flow = Flow(merge)
        self._readiness: Readiness[P] = Readiness(wait_s)
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise Usage("this subscriber was used before", do="make a new one, with the position of this one")
        self._readiness.begin(clock.mono())
        self._running = asyncio.create_task(self._run(), name=type(self).__name__)
        self._running.add_done_callback(self._stopped)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        running = self._entered()
        running.cancel()
        await asyncio.wait({running})
        await self._close()
        self._readiness.fail(
            Transient("the subscriber was closed before it was ready", do="wait for it inside its block")
        )
        self._flow.end()
        error = _error_of(running)
        if kind is None and error is not None and not isinstance(error, MigctlError):
            raise error  # a bug that nobody may have met who iterated

    async def ready(self) -> P:
        """Wait until nothing from here on can be missed; where that is, exclusive. None where nothing was ever published.

        Raises Transient where nothing can be reached within `wait_s`, Systemic or Usage where it never will be.
        """
        self._entered()
        return await self._readiness.wait()

    def batches(self) -> Batches:
        """Releases in lists, as many as there are at the moment; the position is then that of the last in the list."""
        self._entered()
        return Batches(self._flow)

    def __aiter__(self) -> Items:
        self._entered()
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

    def _entered(self) -> asyncio.Task[None]:
        if self._running is None:
            raise Usage(
                "the subscriber was not entered",
                do="write `async with Subscriber(...) as events:` and iterate inside it",
            )
        return self._running

    def _stopped(self, task: asyncio.Task[None]) -> None:
        """Hand what ended us to whoever waits for us."""
        error = _error_of(task)
        if error is not None:
            self._readiness.fail(error)
            self._flow.fail(error)


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    """What ended it: of a group the one error to act on, a bug before what was to be expected."""
    error = None if task.cancelled() else task.exception()
    return None if error is None else first_error(error)
