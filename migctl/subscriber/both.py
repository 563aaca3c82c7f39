"""BothWays: the gateway and Realtime over one merge, with the tables, and the standby socket that tells where to go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from migctl import clock
from migctl.errors import MigctlError, Systemic, Transient
from migctl.events import Position
from migctl.resilience import Backoff, News, Retry
from migctl.subscriber.carriers import Carriers
from migctl.subscriber.core.assigned import Answer, Assigned
from migctl.subscriber.core.attachment import Attachment, Reach
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.probing import Probing
from migctl.subscriber.core.reader import Readiness
from migctl.subscriber.core.repair import poll_every_s
from migctl.subscriber.gateway.client import Address
from migctl.subscriber.gateway.frames import Redirect
from migctl.subscriber.gateway.serve_client import Assignment, Project, ServeClient
from migctl.subscriber.gateway.standby import Standby
from migctl.subscriber.gateway.stream import Stream
from migctl.subscriber.realtime.catchup import CatchUp
from migctl.subscriber.realtime.head import head_now
from migctl.subscriber.realtime.live import Live
from migctl.subscriber.realtime.tables import Tables
from migctl.subscriber.realtime.token import Token
from migctl.subscriber.ways import Asking, Wishes, unattached
from migctl.telemetry import get_logger
from migctl.transports import wire
from migctl.transports.protocol import TransportName

BEGIN = Backoff(0.1, 1.0)

log = get_logger("subscriber")


class BothWays:
    """Composed. assigned: what it goes by. project: of the assignment. own_token: gives tokens where the server mints none."""

    def __init__(
        self,
        server: ServeClient,
        address: Address,
        flow: Flow,
        readiness: Readiness[Position],
        wishes: Wishes,
        assigned: Assigned,
        assignment: Assignment,
        project: Project,
        own_token: Callable[[], Awaitable[str]] | None,
    ) -> None:
        self._server = server
        self._address = address
        self._flow = flow
        self._readiness = readiness
        self._wishes = wishes
        self._assigned = assigned
        self._epoch = assignment.epoch
        self._most_spread_s = assignment.fallback.max_spread_s
        self._project = project
        self._own_token = own_token
        self._trouble: MigctlError | None = None
        self._changed = News()
        self._asking = Asking(server, wishes)
        self._beat_s = wishes.heartbeat_s or wire.REALTIME_HEARTBEAT_S
        self._token = Token(self._access_token, None if own_token else assignment.access_token)
        self._tables = Tables(project.url, project.anon_key, project.schema, self._token)
        self._catchup = CatchUp(self._tables, flow, patience_s=wishes.patience_s)
        self._probing = Probing(flow, self._probe, self._poll_every_s)
        self._stream = Stream(
            address,
            flow,
            position=wishes.position,
            alone=False,
            may_end=self._note,
            before=server.check_ready,
            changed=self._on_change,
            redirected=self._redirect,
            heartbeat_s=wishes.heartbeat_s,
            on_assignment=self._on_assignment,
            claims=self._claims,
        )
        self._live = Live(
            project.url,
            project.anon_key,
            self._token,
            flow,
            schema=project.schema,
            live=project.live,
            by_client=False,
            may_end=self._note,
            changed=self._on_realtime,
            heartbeat_s=self._beat_s,
        )
        self._standby = Standby(
            address,
            changed=self._on_change,
            redirected=self._redirect,
            heartbeat_s=wishes.heartbeat_s,
            on_assignment=self._on_assignment,
            claims=self._claims,
        )
        self._attachment = Attachment(
            assigned.transport,
            can_fall_back=wishes.fall_back,
            to_realtime=wishes.goes_to_realtime(assignment),
            gone_s=wishes.gone_s,
            hold_s=wishes.holds_s(assignment),
        )
        if assignment.away:  # until the gateway says otherwise
            self._attachment.redirect("websocket", clock.mono())
        self._carriers = Carriers(
            self._attachment,
            flow.merge,
            self._changed,
            stream=self._stream,
            live=self._live,
            standby=self._standby,
            owes=lambda: self._probing.owes,
        )

    @property
    def attached(self) -> frozenset[TransportName]:
        return self._carriers.attached

    @property
    def owes(self) -> bool:
        return self._probing.owes

    @property
    def reconnects(self) -> int:
        return self._stream.reconnects + self._live.reconnects

    async def head(self) -> Position:
        """By the gateway, else by a sign of life over Realtime, which is waited for."""
        try:
            return await self._address.head()
        except MigctlError as error:
            log.debug("gateway not asked for the head", reason=error.what)
        try:
            # Long enough for one heartbeat; then whoever asks again asks the gateway again.
            async with asyncio.timeout(wire.silence_s(self._beat_s) / 2):
                return await head_now(self._live, self._tables)
        except TimeoutError:
            raise Transient(
                f"{self._server.url}: neither the gateway nor Realtime says how far the journal is",
                do="see whether `migctl serve` runs",
            ) from None

    async def run(self) -> Assignment:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._carriers.run()),
                    group.create_task(self._read()),
                    group.create_task(self._token.keep_fresh()),
                ]
                assignment = await self._asking.until(lambda found: not self._assign(found))
                for task in tasks:
                    task.cancel()
        finally:
            await self._tables.aclose()
        return assignment

    # What the server says

    async def _access_token(self) -> str:
        """A new token; where the server mints it, what comes with it is the assignment as it is now."""
        # Who has tokens of its own needs no server for Realtime, and may be there because the server is not.
        if self._own_token is not None:
            return await self._own_token()
        assignment = await self._server.assignment()
        if not assignment.access_token:
            raise Systemic(
                f"{self._server.url} gives no token for Realtime any more", do="see its /api/status"
            )
        self._assign(assignment)
        return assignment.access_token

    def _assign(self, assignment: Assignment) -> bool:
        """False where these ways are not what it wants. A server that knows of no project now is no reason to leave one."""
        self._most_spread_s = assignment.fallback.max_spread_s
        self._carriers.set(
            hold_s=self._wishes.holds_s(assignment), to_realtime=self._wishes.goes_to_realtime(assignment)
        )
        is_pushed = self._stream.assigns or self._standby.assigns
        self._assigned.ask(assignment.answer, pushed=is_pushed, away=assignment.away)
        self._carriers.assign(self._assigned.held)
        return assignment.project in (None, self._project)

    def _on_assignment(self, answer: Answer) -> None:
        self._assigned.hear(answer)
        self._carriers.assign(self._assigned.held)

    def _claims(self) -> dict[str, str]:
        """Whom a socket is for, and why it is there."""
        claims = {**self._server.claims, "assigned": self._assigned.transport}
        return claims | ({"fallback": "1"} if self._attachment.fallen else {})

    def _redirect(self, word: Redirect | None) -> None:
        self._carriers.redirect(word, own_spread_s=self._wishes.spread_s, most_spread_s=self._most_spread_s)
        # A word of the gateway's comes after a reconnect, or where something has changed.
        self._asking.ask_soon()

    # What the transports say

    def _note(self, error: MigctlError) -> bool:
        """Keep what to say if nothing comes of it. There is another way, so no error of one is the end."""
        self._trouble = error
        return False

    def _on_change(self) -> None:
        self._changed.wake()
        self._probing.reconsider()

    def _on_realtime(self) -> None:
        self._on_change()
        if self._live.observed.up:
            self._probing.demand()

    # What is missing

    async def _read(self) -> None:
        """Find where to begin, say that we are ready, and then see that nothing stays missing."""
        merge, wanted = self._flow.merge, self._wishes.position
        if merge.top is None and wanted is not None and wanted.epoch:
            self._flow.start(wanted)
        retry = Retry(BEGIN)
        while (top := merge.top) is None or not self.attached:
            if top is None and "realtime" in self.attached:
                await self._begin_at_the_table(retry)
                continue
            await self._changed.wait(self._readiness.left_s(clock.mono()))
            if self._readiness.waited_enough(clock.mono()) and not self.attached:
                raise self._trouble or unattached(self._server.url)
        # Where it began: what came since is still to be handed out.
        self._readiness.reach(merge.position or top)
        await self._probing.run()

    async def _begin_at_the_table(self, retry: Retry) -> None:
        try:
            position = await self._catchup.start()
        except MigctlError as error:
            self._trouble = error
            if self._readiness.waited_enough(clock.mono()):
                raise
            retry.failed(error)
            await retry.wait()
            return
        if position is None and self._flow.merge.top is None:  # nothing was ever written
            self._flow.start(Position(self._epoch, 0))

    def _poll_every_s(self) -> float:
        return poll_every_s(self.attached, gateway_returns=self._carriers.keeps_to_websocket)

    async def _probe(self, to_the_end: bool) -> None:
        """Ask for what is missing, the gateway first. Raises what the tables raise.

        What is heard of while it is asked is not what it was asked for: where events come all the time, something always is.
        """
        merge = self._flow.merge
        goal = Reach(merge.top, merge.heard).goal()
        asked = self._carriers.gateway_lives and await self._from_the_gateway()
        if asked and (goal is None or (Reach(merge.top).past(goal) and not merge.strange_epoch)):
            return
        await self._catchup.round(to_the_end=to_the_end)

    async def _from_the_gateway(self) -> bool:
        """Take what the journal has after our position when it is first asked. False where it could not be, or has it no longer.

        Not up to an empty page: where events come as quickly as answers there is none.
        """
        merge, goal = self._flow.merge, None
        while (top := merge.top) is not None and not (goal is not None and Reach(top).past(goal)):
            try:
                page = await self._server.events(top)
            except Transient as error:
                log.debug("journal not read", position=str(top), reason=error.what)
                return False
            if page is None:
                return False
            if not page.events:
                return True
            goal = goal or page.head
            for item in page.events:
                await self._flow.put(item)
        return True
