"""Live: hints over Realtime, into a Flow, over one client of the official library after another.

What it brings makes an event early, never certain: somebody beside it has to read the tables.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from migctl import clock
from migctl.errors import MigctlError, Systemic
from migctl.events import Position
from migctl.events.arrived import Arrived
from migctl.resilience import Backoff
from migctl.subscriber.core.attachment import Seen
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.realtime.hints import Hint, read_events, read_heartbeat, read_insert
from migctl.subscriber.realtime.official import Link
from migctl.subscriber.realtime.token import Token
from migctl.target.schema import EVENTS, TOMBSTONES, channel
from migctl.telemetry import get_logger

HEARTBEAT_S = 5.0
MISSED_HEARTBEATS = 2.5
REJOIN = Backoff(0.1, 2.0)

log = get_logger("subscriber")


class Beat(msgspec.Struct, frozen=True):
    """The last heartbeat. at: when it came, monotonic."""

    head: Position
    at: float


class Live:
    """`run` until cancelled.

    may_end: whether an error is raised instead of being waited out. changed: told after each join and each loss.
    """

    def __init__(
        self,
        supabase_url: str,
        anon_key: str,
        token: Token,
        flow: Flow,
        *,
        schema: str = "public",
        live: Literal["broadcast", "postgres_changes"] = "broadcast",
        may_end: Callable[[MigctlError], bool] = lambda _: False,
        changed: Callable[[], None] = lambda: None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._url = supabase_url
        self._anon_key = anon_key
        self._token = token
        self._flow = flow
        self._schema = schema
        self._live = live
        self._may_end = may_end
        self._changed = changed
        self._silence_s = MISSED_HEARTBEATS * heartbeat_s
        self._heard_at: float | None = None
        self._since = clock.mono()
        self._beaten = asyncio.Event()
        self.told: Beat | None = None
        self.joined = asyncio.Event()
        self.joins = 0

    @property
    def seen(self) -> Seen:
        return Seen(self.joined.is_set(), self._since, self._heard_at)

    @property
    def reconnects(self) -> int:
        return max(0, self.joins - 1)

    async def beat(self) -> None:
        """Wait for the next heartbeat."""
        await self._beaten.wait()

    def begin(self) -> None:
        """`run` is about to be called: until it has joined, this is since when it is away."""
        self._since = clock.mono()

    async def run(self) -> None:
        """Join, and after each loss join anew with a new client."""
        failures = 0
        while True:
            joins = self.joins
            link = self._new_link()
            try:
                token = await self._token.get()
                await link.join(token, wait_for_system=self._live == "postgres_changes")
                self.joins += 1
                if self.joins > 1:
                    log.info("realtime joined again", position=self._position, failures=failures)
                error = await self._live_with(link, token)
            except MigctlError as refused:
                error = refused
                if self._may_end(error):
                    raise
            finally:
                if self.joined.is_set():
                    self.joined.clear()
                    # A channel that went silent was lost when it was last heard.
                    self._since = self._last_heard() if link.given_up else clock.mono()
                    self._changed()
                await link.close()
            failures = 1 if self.joins > joins else failures + 1
            tell = log.warning if failures == 1 else log.debug
            tell("realtime lost", position=self._position, reason=error.what)
            if isinstance(error, Systemic):
                self._token.refused()
            # A refusal that no retry changes is still tried again: an operator may be mending it.
            await asyncio.sleep(REJOIN.delay_s(failures if error.retry else 10, random.random))

    @property
    def _position(self) -> str:
        return str(self._flow.merge.position)

    def _new_link(self) -> Link:
        link = Link(self._url, self._anon_key, channel(self._schema))
        if self._live == "broadcast":
            link.on_broadcast("events", self._on_events)
        else:
            for table in (EVENTS, TOMBSTONES):
                link.on_insert(self._schema, table, self._on_insert)
        link.on_broadcast("heartbeat", self._on_heartbeat)
        return link

    async def _live_with(self, link: Link, token: str) -> MigctlError:
        """Watch one joined link until it is lost; what ended it. token: what it was joined with."""
        self._since = clock.mono()
        self.joined.set()
        self._changed()
        lost = asyncio.ensure_future(link.lost())
        try:
            while True:
                wait_s = min(self._token.renew_in_s, self._silent_at() - clock.mono())
                done, _ = await asyncio.wait({lost}, timeout=max(0.0, wait_s))
                if done:
                    return lost.result()
                if clock.mono() >= self._silent_at():
                    link.give_up(f"no heartbeat for {self._silence_s:g} s")
                elif (newer := await self._token.get()) != token:
                    token = newer
                    await link.renew(token)
        finally:
            lost.cancel()

    def _silent_at(self) -> float:
        """When the link counts as silent, if nothing comes."""
        if self._live == "postgres_changes":  # nobody owes us a heartbeat; the tables are polled more often
            return float("inf")
        return self._last_heard() + self._silence_s

    def _last_heard(self) -> float:
        return max(self._since, self._heard_at or 0.0)

    def _on_events(self, payload: dict[str, Any], arrived: Arrived) -> None:
        self._heard_at = clock.mono()
        hint = read_events(payload, arrived)
        if hint is None:
            log.warning("hint not understood", keys=sorted(payload), position=self._position)
            return
        self._take_hint(hint)

    def _on_heartbeat(self, payload: dict[str, Any], _: Arrived) -> None:
        self._heard_at = clock.mono()
        hint = read_heartbeat(payload)
        if hint is not None:
            self.told = Beat(Position(hint.epoch, hint.head), self._heard_at)
            self._take_hint(hint)
            # Wakes who waits now, and only them.
            self._beaten.set()
            self._beaten = asyncio.Event()

    def _on_insert(self, change: dict[str, Any], arrived: Arrived) -> None:
        self._heard_at = clock.mono()
        hint = read_insert(change, arrived)
        if hint is not None:
            self._take_hint(hint)

    def _take_hint(self, hint: Hint) -> None:
        for seq in hint.named:
            self._flow.name(hint.epoch, seq)
        if hint.items:
            self._flow.offer(hint.items)
        self._flow.hear(hint.epoch, hint.head)
