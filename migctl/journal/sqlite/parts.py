"""The parts of an open journal that run beside each other, and the one place where the end of any of them is told."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future, InvalidStateError
from typing import TypeVar

from migctl.journal.errors import JournalBroken
from migctl.telemetry import get_logger

T = TypeVar("T")

_log = get_logger("journal")


class Failure:
    """Why a journal failed for good; the first cause stands. Any thread may set it; nothing is written from then on."""

    def __init__(self) -> None:
        self.cause: Exception | None = None
        self._news: Future[Exception] = Future()

    def fail(self, cause: BaseException) -> None:
        """A disk that failed, or an error of ours that ended a part."""
        error = cause if isinstance(cause, Exception) else RuntimeError(f"a part of it was ended: {cause!r}")
        with contextlib.suppress(InvalidStateError):
            self._news.set_result(error)
            self.cause = error
            _log.error("journal failed", error=f"{type(error).__name__}: {error}", exc_info=error)

    async def wait(self) -> Exception:
        """Return the cause once there is one."""
        # Who waits here and is cancelled must not cancel the mark itself: whoever sets it later would end on that.
        return await asyncio.shield(asyncio.wrap_future(self._news))

    @staticmethod
    def refusal(cause: Exception) -> JournalBroken:
        """What everybody is answered who writes; an error of its own for each."""
        if isinstance(cause, JournalBroken):
            return JournalBroken(cause.what, do=cause.do)
        return JournalBroken(
            f"the journal ended on an error of ours: {type(cause).__name__}: {cause}",
            do="start again, and report it with the log; what was not acknowledged is sent again by its producer",
        )


class Part(threading.Thread, ABC):
    """A thread of the journal. Whatever ends its work before its time ends the journal."""

    def __init__(self, name: str, failure: Failure) -> None:
        super().__init__(name=f"journal-{name}", daemon=True)
        self.failure = failure

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001 - a thread has nobody else to raise to
            self.failure.fail(error)

    @abstractmethod
    def work(self) -> None:
        """What it does until it is stopped."""


def own(task: asyncio.Task[T], failure: Failure) -> asyncio.Task[T]:
    """The same for a task: it ends when it is cancelled, and in no other way."""

    def ended(done: asyncio.Task[T]) -> None:
        if done.cancelled():
            return
        failure.fail(done.exception() or RuntimeError(f"{done.get_name()} ended by itself"))

    task.add_done_callback(ended)
    return task
