"""The future of a thread that published."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from migctl.errors import Usage
from migctl.publisher.drafts import Published


class Pending(Future[Published]):
    """What `publish_threadsafe` returns. Waiting for it in the thread of the publisher's loop is refused: it would never end."""

    def __init__(self, loop_thread: int) -> None:
        super().__init__()
        self._loop_thread = loop_thread
        self.set_running_or_notify_cancel()  # what was accepted can't be taken back

    def result(self, timeout: float | None = None) -> Published:
        self._check(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._check(timeout)
        return super().exception(timeout)

    def _check(self, timeout: float | None) -> None:
        if timeout != 0 and not self.done() and threading.get_ident() == self._loop_thread:
            raise Usage(
                "waiting for an acknowledgement in the thread of the loop that brings it would never end",
                do="await publish(...) here, or await asyncio.wrap_future(...) of this future",
            )
