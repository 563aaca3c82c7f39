"""RealtimeSubscriber: the stream over Supabase Realtime, as any dashboard gets it, and whole.

Realtime guarantees nothing, so what it brings is a hint: it makes an event early. What makes the stream whole are the two tables
and the position. Subscribe first, buffer, catch up, then release.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from migctl import clock
from migctl.config.modes import LiveWay
from migctl.errors import MigctlError, Transient
from migctl.events import Position
from migctl.resilience import Backoff, Retry
from migctl.subscriber.core.catchup import PATIENCE_S
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.probing import Probing
from migctl.subscriber.core.reader import Reader
from migctl.subscriber.core.repair import POLL_HEALTHY_S, poll_every_s
from migctl.subscriber.realtime.catchup import CatchUp
from migctl.subscriber.realtime.head import head_now
from migctl.subscriber.realtime.live import Live
from migctl.subscriber.realtime.tables import Tables
from migctl.subscriber.realtime.token import Token
from migctl.target.errors import Nonsense
from migctl.telemetry import get_logger
from migctl.transports import wire

# How soon heads are read again that could not be read, or are empty.
BEGIN_S = 0.2
BEGIN = Backoff(BEGIN_S, 1.0)

log = get_logger("subscriber")


class RealtimeSubscriber(Reader[Position | None]):
    """Use as a context manager; iterate for releases (and discontinuities) in seq order, each id once an epoch.

    access_token: gives a token of role `authenticated`, asked again before a join and at 80 % of the token's life.
    position: go on after it; None starts at the table's head, as it is once the channel is ready.
    wait_s: how long the target may be away before the first readiness; later outages are waited for without end.
    poll_s: how often the tables are read to their end while all is well.
    patience_s: how long what heads leave in doubt is asked for, before it is lost.
    """

    def __init__(
        self,
        supabase_url: str,
        anon_key: str,
        access_token: Callable[[], Awaitable[str]],
        *,
        schema: str = "public",
        live: LiveWay = "broadcast",
        position: Position | None = None,
        wait_s: float = 10.0,
        merge: Merge | None = None,
        heartbeat_s: float = wire.REALTIME_HEARTBEAT_S,
        poll_s: float = POLL_HEALTHY_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__(merge, wait_s=wait_s)
        self._wait_s = wait_s
        url, token = supabase_url.rstrip("/"), Token(access_token)
        self._wanted = position
        self._poll_s = poll_s
        self._joined = asyncio.Event()
        self._tables = Tables(url, anon_key, schema, token)
        self._catchup = CatchUp(self._tables, self._flow, patience_s=patience_s)
        self._probing = Probing(self._flow, self._probe, self._poll_every_s)
        self._live = Live(
            url,
            anon_key,
            token,
            self._flow,
            schema=schema,
            live=live,
            may_end=self._may_end,
            changed=self._on_change,
            heartbeat_s=heartbeat_s,
        )

    @property
    def idle(self) -> bool:
        """Connected, the tables read since, and nothing known to be missing."""
        return self._live.observed.up and not (self._flow.merge.behind or self._probing.owes)

    @property
    def up(self) -> bool:
        """Joined."""
        return self._live.observed.up

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
        ready = self._readiness
        return not ready.over and (not error.retry or ready.waited_enough(clock.mono()))

    def _on_change(self) -> None:
        self._probing.reconsider()
        if self._live.observed.up:
            self._joined.set()
            self._probing.demand()

    def _poll_every_s(self) -> float:
        up = self._live.observed.up
        return min(self._poll_s, poll_every_s({"realtime"} if up else ()))

    async def _probe(self, to_the_end: bool) -> None:
        await self._catchup.round(to_the_end=to_the_end)

    async def _catch_up(self) -> None:
        """Start once the channel is joined, then read the tables whenever something is missing."""
        await self._joined.wait()
        await self._begin()
        await self._probing.run()

    async def _begin(self) -> None:
        """Find where to start, which needs the tables once, and say that we are ready."""
        deadline = clock.mono() + self._wait_s
        position = self._wanted
        if position is not None:
            self._flow.start(position)
        retry = Retry(BEGIN)
        while position is None:
            try:
                if not self._readiness.over:
                    position = await self._catchup.start()
                    self._readiness.reach(position)
                else:
                    position = await self._catchup.start_at_the_beginning()
            except (Transient, Nonsense) as error:
                if not self._readiness.over and clock.mono() >= deadline:
                    raise
                log.log(retry.failed(error).level, "heads not read", reason=error.what)
            if position is None:
                await retry.wait(least_s=BEGIN_S)
        self._readiness.reach(position)
