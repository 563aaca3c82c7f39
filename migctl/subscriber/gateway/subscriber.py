"""WebsocketSubscriber: the stream over our gateway. After a loss it resumes at its position, so nothing is missed or comes twice.

What the gateway no longer has is a `Discontinuity`, and the stream goes on at the first seq that it still has.
"""

from __future__ import annotations

from migctl import clock
from migctl.errors import MigctlError
from migctl.events import Position
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.reader import Reader
from migctl.subscriber.core.server_clock import Behind
from migctl.subscriber.gateway.client import Address
from migctl.subscriber.gateway.stream import Stream


class WebsocketSubscriber(Reader[Position]):
    """Use as a context manager; iterate for releases (and discontinuities) in seq order, each id once an epoch.

    url: of the gateway's `/ws`. token: for a gateway that asks for one.
    position: go on after it; None starts at the head, as it is when the socket opens.
    wait_s: how long the gateway may be away before the first readiness; later outages are waited for without end.
    heartbeat_s: how often the gateway is expected to speak; None is what its hello says.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        position: Position | None = None,
        wait_s: float = 10.0,
        merge: Merge | None = None,
        heartbeat_s: float | None = None,
    ) -> None:
        super().__init__(merge, wait_s=wait_s)
        self._address = Address(url, token)
        self._stream = Stream(
            self._address,
            self._flow,
            position=position,
            may_end=self._may_end,
            changed=self._on_change,
            heartbeat_s=heartbeat_s,
        )

    @property
    def idle(self) -> bool:
        """Connected, and nothing known to be missing."""
        return self._stream.observed.up and not self._flow.merge.behind

    @property
    def up(self) -> bool:
        """Connected."""
        return self._stream.observed.up

    @property
    def reconnects(self) -> int:
        return self._stream.reconnects

    @property
    def clock_behind(self) -> Behind | None:
        """How far our clock is behind that of serve; None before the first hello."""
        return self._address.clock.best

    async def ask_head(self) -> Position | None:
        """Where the journal stands now, from the hello of a standby socket. Raises Transient, Systemic or Usage."""
        return await self._address.head()

    async def _close(self) -> None:
        """Nothing is open beside the stream."""

    async def _run(self) -> None:
        await self._stream.run()

    def _may_end(self, _: MigctlError) -> bool:
        return self._readiness.waited_enough(clock.mono())

    def _on_change(self) -> None:
        # Where it began: what came since is still to be handed out.
        position = self._flow.merge.position
        if position is not None:
            self._readiness.reach(position)
