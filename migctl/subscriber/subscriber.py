"""Subscriber: the stream as an application wants it, over the transport it was assigned, with the other one to fall back to.

Both transports feed one merge, so a change of transports neither loses an event nor brings one twice; what is missing is fetched
from the gateway's journal while it lives, else from the tables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from migctl import clock
from migctl.errors import Transient
from migctl.events import Position
from migctl.resilience import Backoff, Retry
from migctl.subscriber.both import BothWays
from migctl.subscriber.core.assigned import Assigned
from migctl.subscriber.core.attachment import GONE_S
from migctl.subscriber.core.catchup import PATIENCE_S
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.reader import Reader
from migctl.subscriber.core.server_clock import Behind
from migctl.subscriber.gateway.client import Address
from migctl.subscriber.gateway.serve_client import Assignment, ServeClient
from migctl.subscriber.ways import Composed, GatewayOnly, Unassigned, Ways, Wishes
from migctl.transports.protocol import TransportName

ASK = Backoff(0.1, 1.0)


class Subscriber(Reader[Position]):
    """Use as a context manager; iterate for releases (and discontinuities) in seq order, each id once an epoch.

        async with Subscriber("http://127.0.0.1:8080") as events:
            async for item in events:
                print(item)

    docs/subscriber.md says what is promised, and how to go on at a position after a restart.

    url: where `migctl serve` listens. token: for a server that asks for one.
    user: whom the assignment is for; None is somebody new, who stays the same for the life of this object.
    access_token: gives tokens of role `authenticated`, for a server that mints none; without either there is no Realtime.
    position: go on after it; None starts at the head.
    wait_s: how long there may be no server, and no transport, before the first readiness; later outages are waited for without end.
    fall_back: False keeps to the assigned transport. to_realtime: False keeps to the WebSocket where that is assigned. gone_s: how
    long a lost connection may take to come back. hold_s: how long the assigned one has to be well before the other is left again;
    spread_s: back to it within this time, at random, so that not everybody comes at once. heartbeat_s: how often either side is
    expected to speak. Each None is what the server says.
    patience_s: how long an epoch that was left may take to be written to its end, before what is missing of it is lost.
    ask_every_s, ask_soon_s: the assignment is asked for again about so often, beside what the gateway says of it, so that N are
    N/30 requests a second; and within this time, at random, after the gateway has come back or said where to go.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        token: str | None = None,
        access_token: Callable[[], Awaitable[str]] | None = None,
        position: Position | None = None,
        wait_s: float = 10.0,
        fall_back: bool = True,
        gone_s: float = GONE_S,
        to_realtime: bool | None = None,
        hold_s: float | None = None,
        spread_s: float | None = None,
        merge: Merge | None = None,
        heartbeat_s: float | None = None,
        patience_s: float = PATIENCE_S,
        ask_every_s: float = 30.0,
        ask_soon_s: float = 2.0,
        server: ServeClient | None = None,
    ) -> None:
        super().__init__(merge, wait_s=wait_s)
        self._server = server or ServeClient(url, user=user, token=token)
        self._address = Address(self._server.ws_url, token)
        self._own_token = access_token
        self._wishes = Wishes(
            position=position,
            fall_back=fall_back,
            gone_s=gone_s,
            to_realtime=to_realtime,
            hold_s=hold_s,
            spread_s=spread_s,
            heartbeat_s=heartbeat_s,
            patience_s=patience_s,
            ask_every_s=ask_every_s,
            ask_soon_s=ask_soon_s,
        )
        self._ways: Ways = Unassigned(self._address)
        self._reconnects = 0

    @property
    def attached(self) -> frozenset[TransportName]:
        """The transports that are connected now."""
        return self._ways.attached

    @property
    def idle(self) -> bool:
        """Connected, all asked for since, and nothing known to be missing."""
        return bool(self.attached) and not (self._flow.merge.behind or self._ways.owes)

    @property
    def reconnects(self) -> int:
        return self._reconnects + self._ways.reconnects

    @property
    def clock_behind(self) -> Behind | None:
        """How far our clock is behind that of serve; None before its first hello."""
        return self._address.clock.best

    async def ask_head(self) -> Position | None:
        """Where the journal stands now: by the gateway, else by a sign of life over Realtime, which is waited for.

        Raises Transient, Systemic or Usage.
        """
        return await self._ways.head()

    # Running

    async def _run(self) -> None:
        assignment = await self._first_assignment()
        assigned = Assigned(assignment.answer)
        while True:
            ways = self._ways = self._compose(assignment, assigned)
            assignment = await ways.run()
            self._reconnects += ways.reconnects

    async def _close(self) -> None:
        await self._server.aclose()

    async def _first_assignment(self) -> Assignment:
        retry = Retry(ASK)
        while True:
            try:
                return await self._server.assignment()
            except Transient as error:
                if self._readiness.waited_enough(clock.mono()):
                    raise
                retry.failed(error)
            await retry.wait()

    def _compose(self, assignment: Assignment, assigned: Assigned) -> Composed:
        """Make what this assignment needs."""
        parts = (self._server, self._address, self._flow, self._readiness, self._wishes, assigned)
        project = assignment.project
        if project is None or not self._has_token(assignment):
            return GatewayOnly(*parts, better=lambda found: bool(found.project) and self._has_token(found))
        return BothWays(*parts, assignment, project, self._own_token)

    def _has_token(self, assignment: Assignment) -> bool:
        """Without one there is no Realtime."""
        return bool(assignment.access_token or self._own_token)
