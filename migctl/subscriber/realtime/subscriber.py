"""RealtimeSubscriber: the stream over Supabase Realtime, as any dashboard gets it, and whole.

Realtime guarantees nothing, so what it brings is a hint: it makes an event early. What makes the stream whole are the two tables
and the position. Subscribe first, buffer, catch up, then release.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Literal

from migctl import clock
from migctl.errors import MigctlError, Transient
from migctl.events import Position
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.reader import Reader
from migctl.subscriber.core.repair import POLL_BEHIND, POLL_HEALTHY_S, POLL_UNHEALTHY_S, Repair
from migctl.subscriber.realtime.catchup import CatchUp
from migctl.subscriber.realtime.head import head_now
from migctl.subscriber.realtime.live import HEARTBEAT_S, Live
from migctl.subscriber.realtime.tables import Tables
from migctl.subscriber.realtime.token import Token
from migctl.telemetry import get_logger

log = get_logger("subscriber")


class RealtimeSubscriber(Reader):
    """Use as a context manager; iterate for releases (and discontinuities) in seq order, each id once an epoch.

    access_token: gives a token of role `authenticated`, asked again before a join and at 80 % of the token's life.
    position: go on after it; None starts at the table's head, as it is once the channel is ready.
    wait_s: how long the target may be away before the first readiness; later outages are waited for without end.
    """

    def __init__(
        self,
        supabase_url: str,
        anon_key: str,
        access_token: Callable[[], Awaitable[str]],
        *,
        schema: str = "public",
        live: Literal["broadcast", "postgres_changes"] = "broadcast",
        position: Position | None = None,
        wait_s: float = 10.0,
        merge: Merge | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        super().__init__(merge, wait_s=wait_s)
        url, token = supabase_url.rstrip("/"), Token(access_token)
        self._wanted = position
        self._broadcast = live == "broadcast"
        self._tables = Tables(url, anon_key, schema, token)
        self._catchup = CatchUp(self._tables, self._flow)
        self._repair = Repair(self._flow, self._look_at_the_tables, self._poll_every_s)
        self._live = Live(
            url,
            anon_key,
            token,
            self._flow,
            schema=schema,
            live=live,
            may_end=self._may_end,
            changed=self._look,
            heartbeat_s=heartbeat_s,
        )

    @property
    def idle(self) -> bool:
        """Connected, the tables looked at since, and nothing known to be missing."""
        return self._live.joined.is_set() and not (self._flow.merge.behind or self._repair.owes)

    @property
    def reconnects(self) -> int:
        return self._live.reconnects

    async def ask_head(self) -> Position | None:
        """Where the journal stands now. Waits for a sign of life of `serve`: who asks has to bound that. Raises Systemic."""
        return await head_now(self._live, self._tables)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._live.run())
            group.create_task(self._catch_up())

    async def _close(self) -> None:
        await self._tables.aclose()

    def _may_end(self, error: MigctlError) -> bool:
        return not self._is_ready and (not error.retry or self._waited_enough)

    def _look(self) -> None:
        if self._live.joined.is_set():
            self._repair.look_now()

    def _poll_every_s(self) -> float:
        if not self._live.joined.is_set():
            return POLL_UNHEALTHY_S
        return POLL_HEALTHY_S if self._broadcast else HEARTBEAT_S

    async def _look_at_the_tables(self, to_the_end: bool) -> bool:
        return await self._catchup.round(to_the_end=to_the_end)

    async def _catch_up(self) -> None:
        """Start once the channel is joined, then look at the tables whenever something is missing."""
        await self._live.joined.wait()
        await self._begin()
        await self._repair.run()

    async def _begin(self) -> None:
        """Find where to start, which needs the tables once, and say that we are ready."""
        deadline = clock.mono() + self._wait_s
        position = self._wanted
        if position is not None:
            self._flow.start(position)
        while position is None:
            try:
                if not self._is_ready:
                    position = await self._catchup.start()
                    self._tell_ready(position)
                else:
                    position = await self._catchup.start_at_the_beginning()
            except Transient as error:
                if not self._is_ready and clock.mono() >= deadline:
                    raise
                log.warning("heads not read", reason=error.what)
            if position is None:
                await asyncio.sleep(POLL_BEHIND.first_s * (0.5 + random.random() / 2))
        self._tell_ready(position)
