"""RealtimeSubscriber: the stream over Supabase Realtime, as any dashboard gets it, and whole.

Realtime guarantees nothing, so what it brings is a hint: it makes an event early. What makes the stream whole are the two tables
and the position. Subscribe first, buffer, catch up, then release.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal, Self

from migctl import clock
from migctl.errors import MigctlError, Systemic, Transient
from migctl.events import Position
from migctl.resilience import Backoff
from migctl.subscriber.catchup import CatchUp
from migctl.subscriber.flow import Batch, Flow
from migctl.subscriber.hints import Hint, read_events, read_heartbeat, read_insert
from migctl.subscriber.merge import Merge
from migctl.subscriber.official import Link
from migctl.subscriber.pages import Arrived
from migctl.subscriber.release import Discontinuity, Release
from migctl.subscriber.tables import Tables
from migctl.subscriber.token import Token
from migctl.telemetry import get_logger

HEARTBEAT_S = 5.0
MISSED_HEARTBEATS = 2.5
# The sender says how far the journal is this long after the last event of a burst; with the way to us on top.
AFTER_BURST_S = 0.25
SETTLE_S = 0.15
POLL_HEALTHY_S = 30.0
POLL_UNHEALTHY_S = 2.0
POLL_BEHIND = Backoff(0.25, 2.0)
REJOIN = Backoff(0.1, 2.0)

log = get_logger("subscriber")


class RealtimeSubscriber:
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
        self._url = supabase_url.rstrip("/")
        self._anon_key = anon_key
        self._schema = schema
        self._live = live
        self._wait_s = wait_s
        self._silence_s = MISSED_HEARTBEATS * heartbeat_s
        self._wanted = position
        self._token = Token(access_token)
        self._tables = Tables(self._url, anon_key, schema, self._token)
        self._flow = Flow(merge)
        self._catchup = CatchUp(self._tables, self._flow)
        self._joined = asyncio.Event()
        self._look_now = False
        self._last_heard = 0.0
        self._ready: asyncio.Future[Position | None] = asyncio.get_running_loop().create_future()
        self._running: asyncio.Task[None] | None = None
        self.reconnects = 0

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(), name="realtime subscriber")
        self._running.add_done_callback(self._stopped)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        await self._tables.aclose()

    async def ready(self) -> Position | None:
        """Wait until nothing from here on can be missed; where that is, exclusive. None where nothing was ever published.

        Raises Transient where the target can't be reached within `wait_s`, Systemic where it refuses us.
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
        return self._joined.is_set() and not self._flow.merge.behind

    async def ask_head(self) -> Position | None:
        """Where the journal stands now, as far as this side can be told. Raises Transient or Systemic."""
        await asyncio.sleep(AFTER_BURST_S + SETTLE_S)
        head = await self._catchup.journal_head()
        top = self._flow.merge.top
        if head is not None and top is not None and head.epoch == top.epoch:
            return Position(top.epoch, max(head.seq, self._flow.merge.heard))
        return head

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stay_joined())
            group.create_task(self._repair())

    def _stopped(self, task: asyncio.Task[None]) -> None:
        """Hand what ended us to whoever waits for us."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # seen: the consumer gets it too
        self._flow.fail(error)

    # Live

    async def _stay_joined(self) -> None:
        """Join, and after each loss join anew with a new client."""
        deadline = clock.mono() + self._wait_s
        failures = 0
        joined_once = False
        while True:
            link = self._new_link()
            try:
                await link.join(await self._token.get(), wait_for_system=self._live == "postgres_changes")
                if joined_once:
                    self.reconnects += 1
                    log.info("realtime joined again", position=str(self.position), failures=failures)
                failures, joined_once = 0, True
                error = await self._live_with(link)
            except MigctlError as refused:
                error = refused
                if not self._ready.done() and (not error.retry or clock.mono() >= deadline):
                    raise
            finally:
                self._joined.clear()
                await link.close()
            failures += 1
            tell = log.warning if failures == 1 else log.debug
            tell("realtime lost", position=str(self.position), reason=error.what)
            if isinstance(error, Systemic):
                await self._token.get(renew=True)
            # A refusal that no retry changes is still tried again: an operator may be mending it.
            await asyncio.sleep(REJOIN.delay_s(failures if error.retry else 10, random.random))

    def _new_link(self) -> Link:
        link = Link(self._url, self._anon_key, f"{self._schema}.monitoring_events")
        if self._live == "broadcast":
            link.on_broadcast("events", self._on_events)
        else:
            link.on_insert(self._schema, "monitoring_events", self._on_insert)
            link.on_insert(self._schema, "monitoring_tombstones", self._on_insert)
        link.on_broadcast("heartbeat", self._on_heartbeat)
        return link

    async def _live_with(self, link: Link) -> MigctlError:
        """Watch one joined link until it is lost; what ended it."""
        self._last_heard = clock.mono()
        self._joined.set()
        self._look_now = True
        self._flow.changed.set()
        lost = asyncio.ensure_future(link.lost())
        try:
            while True:
                # With postgres_changes nobody owes us a heartbeat; there the tables are polled more often.
                silence_ends = (
                    self._last_heard + self._silence_s if self._live == "broadcast" else float("inf")
                )
                renew_in_s = self._token.renew_in_s
                wait_s = min(renew_in_s, silence_ends - clock.mono())
                done, _ = await asyncio.wait({lost}, timeout=max(0.0, wait_s))
                if done:
                    return lost.result()
                if clock.mono() >= self._last_heard + self._silence_s and self._live == "broadcast":
                    link.give_up(f"no heartbeat for {self._silence_s:g} s")
                elif self._token.renew_in_s == 0.0:
                    await link.renew(await self._token.get())
        finally:
            lost.cancel()

    def _on_events(self, payload: dict[str, Any], arrived: Arrived) -> None:
        self._last_heard = clock.mono()
        hint = read_events(payload, arrived)
        if hint is None:
            log.warning("hint not understood", keys=sorted(payload), position=str(self.position))
            return
        self._take_hint(hint)

    def _on_heartbeat(self, payload: dict[str, Any], _: Arrived) -> None:
        self._last_heard = clock.mono()
        hint = read_heartbeat(payload)
        if hint is not None:
            self._take_hint(hint)

    def _on_insert(self, change: dict[str, Any], arrived: Arrived) -> None:
        hint = read_insert(change, arrived)
        if hint is not None:
            self._take_hint(hint)

    def _take_hint(self, hint: Hint) -> None:
        for seq in hint.named:
            self._flow.name(hint.epoch, seq)
        if hint.items:
            self._flow.offer(hint.items)
        self._flow.hear(hint.epoch, hint.head)

    # Tables

    async def _repair(self) -> None:
        """Start, then look at the tables whenever something is missing, and now and then when nothing seems to be."""
        await self._joined.wait()
        await self._begin()
        failures = 0
        reachable = True
        looked_at = float("-inf")
        while True:
            due = looked_at + self._poll_every_s()
            missing_since = self._flow.merge.repair_at()
            if missing_since is not None:
                pause = POLL_BEHIND.bound_s(failures) * (0.5 + random.random() / 2) if failures else 0.0
                due = min(due, max(missing_since, looked_at + pause))
            if not self._look_now and (wait_s := due - clock.mono()) > 0:
                self._flow.changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._flow.changed.wait()
                continue
            self._look_now = False
            try:
                came = await self._catchup.round()
                reachable = True
            except MigctlError as error:
                came = False
                tell = log.warning if reachable else log.debug
                tell("tables not read", position=str(self.position), reason=error.what)
                reachable = False
            looked_at = clock.mono()
            # Still behind: what was missing is not in the table yet, so the next look waits.
            failures = 0 if not self._flow.merge.behind else 1 if came else failures + 1

    def _poll_every_s(self) -> float:
        if not self._joined.is_set():
            return POLL_UNHEALTHY_S
        return POLL_HEALTHY_S if self._live == "broadcast" else HEARTBEAT_S

    async def _begin(self) -> None:
        """Find where to start, which needs the tables once, and say that we are ready."""
        deadline = clock.mono() + self._wait_s
        position = self._wanted
        if position is not None:
            self._flow.start(position)
        while position is None:
            try:
                self._look_now = False  # this look serves as well
                if not self._ready.done():
                    position = await self._catchup.start()
                    self._ready.set_result(position)
                else:
                    position = await self._catchup.start_at_the_beginning()
            except Transient as error:
                if not self._ready.done() and clock.mono() >= deadline:
                    raise
                log.warning("heads not read", reason=error.what)
            if position is None:
                await asyncio.sleep(POLL_BEHIND.first_s * (0.5 + random.random() / 2))
        if not self._ready.done():
            self._ready.set_result(position)
