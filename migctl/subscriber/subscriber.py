"""Subscriber: the stream as an application wants it, over the transport it was assigned, with the other one to fall back to.

Both transports feed one merge, so a change of transports neither loses an event nor brings one twice; what is missing is fetched
from the gateway's journal while it lives, else from the tables.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from migctl import clock
from migctl.errors import MigctlError, Systemic, Transient
from migctl.events import Position
from migctl.resilience import Backoff
from migctl.subscriber.carriers import Carriers
from migctl.subscriber.core.attachment import GONE_S, Attachment
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.reader import Reader
from migctl.subscriber.core.repair import POLL_HEALTHY_S, POLL_UNHEALTHY_S, Repair
from migctl.subscriber.gateway.client import HEARTBEAT_S, MISSED_HEARTBEATS, Address
from migctl.subscriber.gateway.serve_client import Assignment, ServeClient
from migctl.subscriber.gateway.standby import Standby
from migctl.subscriber.gateway.stream import Stream
from migctl.subscriber.realtime.catchup import CatchUp
from migctl.subscriber.realtime.head import head_now
from migctl.subscriber.realtime.live import Live
from migctl.subscriber.realtime.tables import Tables
from migctl.subscriber.realtime.token import TRY_AGAIN_S, Token
from migctl.telemetry import get_logger
from migctl.transports.protocol import TransportName

ASK = Backoff(0.1, 1.0)
# An assignment is asked for again about this often, at random around it, so that N subscribers are N/60 requests a second.
ASK_AGAIN_S = 60.0
# And this soon, at random, after a word of the gateway's: after a restart of the server everybody gets one at once.
ASK_SOON_S = 2.0

log = get_logger("subscriber")


class Subscriber(Reader):
    """Use as a context manager; iterate for releases (and discontinuities) in seq order, each id once an epoch.

        async with Subscriber("http://127.0.0.1:8080") as events:
            async for item in events:
                print(item)

    docs/subscriber.md says what is promised, and how to go on at a position after a restart.

    url: where `migctl serve` listens. token: for a server that asks for one.
    user: whom the assignment is for; None is somebody new each time.
    access_token: gives tokens of role `authenticated`, for a server that mints none; without either there is no Realtime.
    position: go on after it; None starts at the head.
    wait_s: how long there may be no server, and no transport, before the first readiness; later outages are waited for without end.
    fall_back: False keeps to the assigned transport. to_realtime: False keeps to the WebSocket where that is assigned. hold_s: how
    long the assigned one has to be well before the other is left again; spread_s: back to it within this time, at random, so that
    not everybody comes at once. Each None is what the server says.
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
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        super().__init__(merge, wait_s=wait_s)
        self._server = ServeClient(url, user=user, token=token)
        self._address = Address(self._server.ws_url, token)
        self._own_token = access_token
        self._wanted = position
        self._fall_back = fall_back
        self._gone_s = gone_s
        self._to_realtime = to_realtime
        self._hold_s = hold_s
        self._spread_s = spread_s
        self._heartbeat_s = heartbeat_s
        self._ask_again = asyncio.Event()
        self._carriers: Carriers | None = None
        self._tables: Tables | None = None
        self._catchup: CatchUp | None = None
        self._repair: Repair | None = None
        self._trouble: MigctlError | None = None

    async def ready(self) -> Position:
        """Wait until nothing from here on can be missed; where that is, exclusive.

        Raises Transient where neither the server nor a transport can be reached within `wait_s`, Systemic or Usage where they never
        will be.
        """
        position = await super().ready()
        assert position is not None, "there is a journal before there is a server"
        return position

    @property
    def attached(self) -> frozenset[TransportName]:
        """The transports that are connected now."""
        return frozenset() if self._carriers is None else self._carriers.attached

    @property
    def idle(self) -> bool:
        """Connected, all looked at since, and nothing known to be missing."""
        owes = self._repair is not None and self._repair.owes
        return bool(self.attached) and not (self._flow.merge.behind or owes)

    @property
    def reconnects(self) -> int:
        if self._carriers is None:
            return 0
        sides = (self._carriers.stream, self._carriers.live)
        return sum(side.reconnects for side in sides if side is not None)

    async def ask_head(self) -> Position | None:
        """Where the journal stands now: by the gateway, else by a sign of life over Realtime, which is waited for.

        Raises Transient, Systemic or Usage.
        """
        try:
            return await self._address.head()
        except MigctlError:
            if self._carriers is None or self._carriers.live is None or self._tables is None:
                raise
        try:
            # Long enough for one heartbeat; then whoever asks again asks the gateway again.
            async with asyncio.timeout(MISSED_HEARTBEATS / 2 * self._heartbeat_s):
                return await head_now(self._carriers.live, self._tables)
        except TimeoutError:
            raise Transient(
                f"{self._server.url}: neither the gateway nor Realtime says how far the journal is",
                do="see whether `migctl serve` runs",
            ) from None

    # Running

    async def _run(self) -> None:
        assignment = await self._first_assignment()
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            carriers, token = self._compose(assignment, stack)
            group.create_task(carriers.run())
            group.create_task(self._read(carriers, assignment))
            if token is not None:
                group.create_task(self._keep_fresh(token))
                group.create_task(self._keep_assigned())

    async def _close(self) -> None:
        await self._server.aclose()

    async def _first_assignment(self) -> Assignment:
        failures = 0
        while True:
            try:
                return await self._server.assignment()
            except Transient:
                if self._waited_enough:
                    raise
            failures += 1
            await asyncio.sleep(ASK.delay_s(failures, random.random))

    def _compose(
        self, assignment: Assignment, stack: contextlib.AsyncExitStack
    ) -> tuple[Carriers, Token | None]:
        """Make what this assignment needs; with the token of its Realtime, if it has any."""
        has_realtime = assignment.has_project and bool(assignment.access_token or self._own_token)
        attachment = Attachment(
            assignment.transport if has_realtime else "websocket",
            can_fall_back=has_realtime and self._fall_back,
            to_realtime=self._goes_to_realtime(assignment),
            gone_s=self._gone_s,
            silence_s=MISSED_HEARTBEATS * self._heartbeat_s,
            hold_s=self._holds_s(assignment),
        )
        carriers = self._carriers = Carriers(
            attachment, self._flow, spread_s=self._spread_s, asked=self._ask_again.set
        )
        carriers.stream = Stream(
            self._address,
            self._flow,
            position=self._wanted,
            alone=not has_realtime,
            may_end=self._note,
            before=self._server.check_ready,
            changed=carriers.wake,
            told=carriers.take_word,
            heartbeat_s=self._heartbeat_s,
        )
        if not has_realtime:
            return carriers, None
        carriers.standby = Standby(
            self._address, changed=carriers.wake, told=carriers.take_word, heartbeat_s=self._heartbeat_s
        )
        assert assignment.supabase_url is not None
        assert assignment.anon_key is not None
        url, schema = assignment.supabase_url.rstrip("/"), assignment.schema
        token = Token(self._access_token, None if self._own_token else assignment.access_token)
        tables = self._tables = Tables(url, assignment.anon_key, schema, token)
        stack.push_async_callback(tables.aclose)
        self._catchup = CatchUp(tables, self._flow)
        self._repair = Repair(self._flow, self._look, self._poll_every_s)
        carriers.live = Live(
            url,
            assignment.anon_key,
            token,
            self._flow,
            schema=schema,
            may_end=self._note,
            changed=self._joined_or_lost,
            heartbeat_s=self._heartbeat_s,
        )
        return carriers, token

    async def _access_token(self) -> str:
        """A new token; what comes with it is the assignment as it is now."""
        assignment = await self._server.assignment()
        if self._own_token is not None:
            return await self._own_token()
        if not assignment.access_token:
            raise Systemic(
                f"{self._server.url} gives no token for Realtime any more", do="see its /api/status"
            )
        self._assign(assignment)
        return assignment.access_token

    def _assign(self, assignment: Assignment) -> None:
        if self._carriers is not None:
            self._carriers.assign(
                assignment.transport,
                hold_s=self._holds_s(assignment),
                to_realtime=self._goes_to_realtime(assignment),
            )

    def _holds_s(self, assignment: Assignment) -> float:
        return assignment.fallback.hold_seconds if self._hold_s is None else self._hold_s

    def _goes_to_realtime(self, assignment: Assignment) -> bool:
        return assignment.fallback.to_realtime if self._to_realtime is None else self._to_realtime

    async def _keep_assigned(self) -> None:
        """Ask for the assignment again: after each word of the gateway's, which may come of a change, and now and then."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_AGAIN_S * (0.5 + random.random())):
                    await self._ask_again.wait()
                    await asyncio.sleep(ASK_SOON_S * random.random())
            self._ask_again.clear()
            try:
                self._assign(await self._server.assignment())
            except MigctlError as error:
                log.debug("assignment not asked", reason=error.what)

    async def _keep_fresh(self, token: Token) -> None:
        """Renew the token also while Realtime is not used: once it is needed, who gives it may be gone."""
        while True:
            await asyncio.sleep(token.renew_in_s)
            try:
                await token.get()
            except MigctlError as error:
                log.debug("token not renewed", reason=error.what)
                await asyncio.sleep(TRY_AGAIN_S)

    def _note(self, error: MigctlError) -> bool:
        """Keep what to tell if nothing comes of it. Only where there is no other way is an error the end."""
        self._trouble = error
        alone = self._catchup is None and not self._is_ready
        return alone and not error.retry

    def _joined_or_lost(self) -> None:
        assert self._carriers is not None
        assert self._repair is not None
        self._carriers.wake()
        if "realtime" in self._carriers.attached:
            self._repair.look_now()

    # What is missing

    async def _read(self, carriers: Carriers, assignment: Assignment) -> None:
        """Find where to begin, say that we are ready, and then see that nothing stays missing."""
        merge = self._flow.merge
        if self._wanted is not None and self._wanted.epoch:
            self._flow.start(self._wanted)
        while merge.top is None or not carriers.attached:
            if merge.top is None and "realtime" in carriers.attached:
                await self._begin_at_the_table(assignment)
                continue
            await carriers.change(self._deadline - clock.mono())
            if self._waited_enough and not carriers.attached:
                raise self._trouble or Transient(
                    f"{self._server.url}: no transport could be attached in time",
                    do="see what `migctl status` says of the transports",
                )
        self._tell_ready(merge.top)
        if self._repair is not None:
            await self._repair.run()

    async def _begin_at_the_table(self, assignment: Assignment) -> None:
        assert self._catchup is not None
        try:
            position = await self._catchup.start()
        except MigctlError as error:
            self._trouble = error
            await asyncio.sleep(ASK.delay_s(3, random.random))
            return
        if position is None and self._flow.merge.top is None:  # nothing was ever written
            self._flow.start(Position(assignment.epoch, 0))

    def _poll_every_s(self) -> float:
        attached = self.attached
        if "websocket" in attached:
            return float("inf")  # it says itself how far the journal is
        if not attached and self._carriers is not None and self._carriers.keeps_to_websocket:
            return float("inf")  # and it will, when it is back
        return POLL_HEALTHY_S if attached else POLL_UNHEALTHY_S

    async def _look(self, to_the_end: bool) -> bool:
        """One look for what is missing. True where the reader came forward. Raises what the tables raise."""
        merge = self._flow.merge
        before = merge.top
        assert self._carriers is not None
        assert self._catchup is not None
        if self._carriers.gateway_lives and await self._from_the_gateway() and not merge.behind:
            return merge.top != before
        await self._catchup.round(to_the_end=to_the_end)
        return merge.top != before

    async def _from_the_gateway(self) -> bool:
        """Take what the journal has after our position. False where it could not be asked, or has it no longer."""
        merge = self._flow.merge
        while (top := merge.top) is not None:
            try:
                items = await self._server.events(top)
            except Transient as error:
                log.debug("journal not read", position=str(top), reason=error.what)
                return False
            if items is None:
                return False
            if not items:
                return True
            for item in items:
                await self._flow.put(item)
        return True
