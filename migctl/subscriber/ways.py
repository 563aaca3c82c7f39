"""Ways: by which transports one subscriber gets the stream. Which it is shows with the first assignment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

import msgspec

from migctl import clock
from migctl.errors import MigctlError, Transient
from migctl.events import Position
from migctl.resilience import within
from migctl.subscriber.core.assigned import Answer, Assigned
from migctl.subscriber.core.attachment import GONE_S
from migctl.subscriber.core.catchup import PATIENCE_S
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.reader import Readiness
from migctl.subscriber.gateway.client import Address
from migctl.subscriber.gateway.serve_client import Assignment, ServeClient
from migctl.subscriber.gateway.stream import Stream
from migctl.telemetry import get_logger
from migctl.transports.protocol import TransportName

log = get_logger("subscriber")


class Wishes(msgspec.Struct, frozen=True):
    """What an application wants of its subscriber; docs of Subscriber. None is what the server says."""

    position: Position | None = None
    fall_back: bool = True
    gone_s: float = GONE_S
    to_realtime: bool | None = None
    hold_s: float | None = None
    spread_s: float | None = None
    heartbeat_s: float | None = None
    patience_s: float = PATIENCE_S
    ask_every_s: float = 30.0
    ask_soon_s: float = 2.0

    def holds_s(self, assignment: Assignment) -> float:
        return assignment.fallback.hold_seconds if self.hold_s is None else self.hold_s

    def goes_to_realtime(self, assignment: Assignment) -> bool:
        return assignment.fallback.to_realtime if self.to_realtime is None else self.to_realtime


class Asking:
    """Asks for the assignment again: soon after each word of the gateway's, which may come of a change, and now and then."""

    def __init__(self, server: ServeClient, wishes: Wishes) -> None:
        self._server = server
        self._wishes = wishes
        self._asked = asyncio.Event()

    def ask_soon(self) -> None:
        self._asked.set()

    async def until(self, wanted: Callable[[Assignment], bool]) -> Assignment:
        """The first answer that is wanted."""
        while True:
            if await within(self._wishes.ask_every_s * (0.5 + random.random()), self._asked.wait()):
                # After a restart of the server everybody gets its word at once.
                await asyncio.sleep(self._wishes.ask_soon_s * random.random())
            self._asked.clear()
            try:
                assignment = await self._server.assignment()
            except MigctlError as error:
                log.debug("assignment not asked", reason=error.what)
                continue
            if wanted(assignment):
                return assignment


class Ways(Protocol):
    """attached: the transports that are connected now. owes: what nobody told of was not asked for yet."""

    @property
    def attached(self) -> frozenset[TransportName]: ...

    @property
    def owes(self) -> bool: ...

    @property
    def reconnects(self) -> int: ...

    async def head(self) -> Position:
        """Where the journal stands now. Raises Transient, Systemic or Usage."""
        ...


class Composed(Ways, Protocol):
    """Ways that are taken."""

    async def run(self) -> Assignment:
        """Receive until cancelled, or until an assignment came that wants other ways than these."""
        ...


class Unassigned:
    """Before the first assignment: nothing is attached, and the gateway may be asked all the same."""

    attached: frozenset[TransportName] = frozenset()
    owes = False
    reconnects = 0

    def __init__(self, address: Address) -> None:
        self._address = address

    async def head(self) -> Position:
        return await self._address.head()


class GatewayOnly:
    """The gateway is all there is for this subscriber. better: whether an assignment gives it more. Composed."""

    owes = False

    def __init__(
        self,
        server: ServeClient,
        address: Address,
        flow: Flow,
        readiness: Readiness[Position],
        wishes: Wishes,
        assigned: Assigned,
        better: Callable[[Assignment], bool],
    ) -> None:
        self._url = server.url
        self._address = address
        self._flow = flow
        self._readiness = readiness
        self._wanted = wishes.position
        self._assigned = assigned
        self._better = better
        self._asking = Asking(server, wishes)
        self._trouble: MigctlError | None = None
        self._connected = asyncio.Event()
        self._stream = Stream(
            address,
            flow,
            position=wishes.position,
            may_end=self._note,
            before=server.check_ready,
            changed=self._on_change,
            redirected=lambda _: self._asking.ask_soon(),
            heartbeat_s=wishes.heartbeat_s,
            on_assignment=self._on_assignment,
            claims=lambda: {**server.claims, "assigned": assigned.transport},
        )

    @property
    def attached(self) -> frozenset[TransportName]:
        return frozenset({"websocket"} if self._stream.observed.up else ())

    @property
    def reconnects(self) -> int:
        return self._stream.reconnects

    async def head(self) -> Position:
        return await self._address.head()

    async def run(self) -> Assignment:
        if self._flow.merge.top is None and self._wanted is not None and self._wanted.epoch:
            self._flow.start(self._wanted)
        async with asyncio.TaskGroup() as group:
            streaming = group.create_task(self._stream.run())
            if not await within(self._readiness.left_s(clock.mono()), self._connected.wait()):
                raise self._trouble or unattached(self._url)
            assignment = await self._asking.until(self._is_better)
            streaming.cancel()
        return assignment

    def _on_assignment(self, answer: Answer) -> None:
        """Where it sends us there may be a way now."""
        self._assigned.hear(answer)
        self._asking.ask_soon()

    def _is_better(self, found: Assignment) -> bool:
        self._assigned.ask(found.answer, pushed=self._stream.assigns, away=found.away)
        return self._better(found)

    def _note(self, error: MigctlError) -> bool:
        """Keep what to say if nothing comes of it. What no retry changes is the end at once."""
        self._trouble = error
        return not self._readiness.over and not error.retry

    def _on_change(self) -> None:
        # Where it began: what came since is still to be handed out.
        position = self._flow.merge.position
        if self._stream.observed.up and position is not None:
            self._connected.set()
            self._readiness.reach(position)


def unattached(url: str) -> Transient:
    return Transient(
        f"{url}: no transport could be attached in time",
        do="see what `migctl status` says of the transports",
    )
