"""WebsocketSubscriber: the stream over our gateway. After a loss it resumes at its position, so nothing is missed or comes twice.

What the gateway no longer has is a `Discontinuity`, and the stream goes on at the first seq that it still has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from migctl import clock
from migctl.errors import MigctlError
from migctl.events import Position
from migctl.subscriber.flow import Batch, Flow
from migctl.subscriber.gateway import HEARTBEAT_S, Address
from migctl.subscriber.merge import Merge
from migctl.subscriber.release import Discontinuity, Release
from migctl.subscriber.stream import Stream


class WebsocketSubscriber:
    """Use as a context manager; iterate for releases (and discontinuities) in seq order, each id once an epoch.

    url: of the gateway's `/ws`. token: for a gateway that asks for one.
    position: go on after it; None starts at the head, as it is when the socket opens.
    wait_s: how long the gateway may be away before the first readiness; later outages are waited for without end.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        position: Position | None = None,
        wait_s: float = 10.0,
        merge: Merge | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._address = Address(url, token)
        self._flow = Flow(merge)
        self._deadline = clock.mono() + wait_s
        self._stream = Stream(
            self._address,
            self._flow,
            position=position,
            may_end=self._may_end,
            changed=self._look,
            heartbeat_s=heartbeat_s,
        )
        self._ready: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._stream.run(), name="websocket subscriber")
        self._running.add_done_callback(self._stopped)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def ready(self) -> Position:
        """Wait for the gateway's hello; the position that the stream starts after.

        Raises Transient where the gateway can't be reached within `wait_s`, Systemic or Usage where it will never serve us.
        """
        return await asyncio.shield(self._ready)

    def batches(self) -> AsyncIterator[Batch]:
        """Releases in lists, as many as there are at the moment."""
        return self._flow.batches()

    async def __aiter__(self) -> AsyncIterator[Release | Discontinuity]:
        async for batch in self._flow.batches():
            for item in batch:
                yield item

    @property
    def position(self) -> Position | None:
        """The last seq that was handed out."""
        return self._flow.merge.position

    @property
    def merge(self) -> Merge:
        """Counters, for those who report them."""
        return self._flow.merge

    @property
    def idle(self) -> bool:
        """Connected, and nothing known to be missing."""
        return self._stream.connected and not self._flow.merge.behind

    @property
    def reconnects(self) -> int:
        return self._stream.reconnects

    async def ask_head(self) -> Position | None:
        """Where the journal stands now, from the hello of a standby socket. Raises Transient, Systemic or Usage."""
        return await self._address.head()

    def _may_end(self, _: MigctlError) -> bool:
        return not self._ready.done() and clock.mono() >= self._deadline

    def _look(self) -> None:
        top = self._flow.merge.top
        if top is not None and not self._ready.done():
            self._ready.set_result(top)

    def _stopped(self, task: asyncio.Task[None]) -> None:
        """Hand what ended us to whoever waits for us."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # seen: the consumer gets it too
        self._flow.fail(error)
