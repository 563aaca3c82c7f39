"""The way to the file of an open journal and back: one thread writes, in groups, and another reads."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from migctl.journal.errors import JournalStalled, JournalUnavailable
from migctl.journal.sqlite.checkpoint import Checkpointer
from migctl.journal.sqlite.highwater import HighWater
from migctl.journal.sqlite.layout import Layout
from migctl.journal.sqlite.opening import Opened
from migctl.journal.sqlite.parts import Failure
from migctl.journal.sqlite.reader import Reader
from migctl.journal.sqlite.writer import Group, Request, Writer

T = TypeVar("T")

MAX_WAITING_BYTES = 256 << 20
# Between two tries of what has to be written, and could not be for now.
AGAIN_S = 0.2


class Store:
    """Of one event loop, from construction to `aclose`; it closes the database too.

    committed: called in the loop with each group that is durable, before any of its requests is answered.
    """

    def __init__(
        self,
        layout: Layout,
        opened: Opened,
        high_water: HighWater,
        failure: Failure,
        *,
        lock_wait_s: float,
        committed: Callable[[Group], None],
    ) -> None:
        opened_epoch = opened.epochs[-1]
        self.failure = failure
        self.closed = False
        self._database = opened.database
        self._loop = asyncio.get_running_loop()
        self._take_in = committed
        self._waiting_bytes = 0
        self._reader = Reader(layout, failure, lock_wait_s=lock_wait_s)
        self._high_water = high_water
        self.writer = Writer(
            opened.database,
            layout,
            epoch=opened_epoch.epoch,
            ordinal=len(opened.epochs),
            head=opened_epoch.head,
            high_water=high_water,
            failure=failure,
            on_commit=lambda group: self._from_writer(self._committed, group),
            on_refusal=lambda requests, error: self._from_writer(self._refused, requests, error),
        )
        self._checkpointer = Checkpointer(layout, failure)
        for part in (self.writer, self._checkpointer, high_water):
            part.start()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` finds; while the file is locked, it waits."""
        return await self._reader.read(work)

    async def operate(
        self, work: Callable[[sqlite3.Connection], Any], *, rotates: bool = False, confirms: bool = False
    ) -> Any:
        """Run `work` in the writer's next transaction, and return its answer once that is durable; while the writer is stalled, it
        waits.

        What `work` raises is raised here, and undoes only what it did.
        """
        while True:
            try:
                return await self.submit(Request(operation=work, rotates=rotates, confirms=confirms))
            except JournalStalled:
                await asyncio.sleep(AGAIN_S)

    async def submit(self, request: Request) -> Any:
        """Its answer, once it is durable. Raises JournalUnavailable, and what is its own."""
        if self.closed:
            raise JournalUnavailable("the journal is closed", do="send the events again once it is open")
        if self.failure.cause is not None:
            raise self.failure.refusal(self.failure.cause)
        if self._waiting_bytes + request.size > MAX_WAITING_BYTES:
            raise JournalUnavailable(
                "more events wait for the disk than memory may hold", do="send them again a little later"
            )
        self._waiting_bytes += request.size
        request.done = self._loop.create_future()
        self.writer.submit(request)
        return await request.done

    def _from_writer(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The loop ended first: what is on disk stays there, and nobody is left to be answered.
            return

    def _committed(self, group: Group) -> None:
        try:
            self._take_in(group)
        except Exception as error:  # noqa: BLE001 - the loop would only log it, and followers would miss what is on disk
            self.failure.fail(error)
        for request in group.requests:
            self._waiting_bytes -= request.size
            if request.done.done():  # its producer went away; the event stays
                continue
            if request.error is not None:
                request.done.set_exception(request.error)
            else:
                request.done.set_result(request.answer)

    def _refused(self, requests: list[Request], error: JournalUnavailable) -> None:
        for request in requests:
            self._waiting_bytes -= request.size
            if not request.done.done():
                request.done.set_exception(type(error)(error.what, do=error.do))

    async def aclose(self) -> None:
        """Write what waits, and end every part."""
        self.closed = True
        self.writer.close()
        self._checkpointer.close()
        await asyncio.to_thread(self.writer.join)
        self._high_water.close()
        await asyncio.to_thread(self._high_water.join)
        await asyncio.to_thread(self._checkpointer.join)
        await self._reader.aclose()
        # The last connection that closes checkpoints and removes the log.
        await asyncio.to_thread(self._database.close)
