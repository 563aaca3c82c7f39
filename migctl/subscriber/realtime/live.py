"""Live: hints over Realtime, into a Flow, over one client of the official library after another.

What it brings makes an event early, never certain: somebody beside it has to read the tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from migctl import clock
from migctl.config.modes import LiveWay
from migctl.errors import MigctlError, Systemic
from migctl.events import Position
from migctl.events.arrived import Arrived
from migctl.resilience import Backoff, News, RequestTimeout, Retry, within
from migctl.subscriber.core.attachment import Observed
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.liveness import Liveness
from migctl.subscriber.realtime.hints import Hint, read_events, read_heartbeat, read_insert, read_text
from migctl.subscriber.realtime.token import Token
from migctl.subscriber.watching import ASK_S
from migctl.target.schema import EVENTS, TOMBSTONES, channel
from migctl.telemetry import get_logger
from migctl.transports import wire

if TYPE_CHECKING:
    from migctl.subscriber.realtime.official import Link

REJOIN = Backoff(0.1, 2.0)

log = get_logger("subscriber")


class Beat(msgspec.Struct, frozen=True):
    """The last heartbeat. at: when it came, monotonic."""

    head: Position
    at: float


class Live:
    """`run` until cancelled.

    live: what brings the events. Heartbeats come as broadcasts in either case, so silence is the same.
    by_client: the official client reads every frame, as it does for a dashboard; else hints are read from their text, which costs
    a fraction of it.
    may_end: whether an error is raised instead of being waited out. changed: called after each join and each loss.
    """

    def __init__(
        self,
        supabase_url: str,
        anon_key: str,
        token: Token,
        flow: Flow,
        *,
        schema: str = "public",
        live: LiveWay = "broadcast",
        by_client: bool = True,
        may_end: Callable[[MigctlError], bool] = lambda _: False,
        changed: Callable[[], None] = lambda: None,
        heartbeat_s: float = wire.REALTIME_HEARTBEAT_S,
    ) -> None:
        self._url = supabase_url
        self._anon_key = anon_key
        self._token = token
        self._flow = flow
        self._schema = schema
        self._live = live
        self._by_client = by_client
        self._may_end = may_end
        self._changed = changed
        self._liveness = Liveness(clock.mono(), silence_s=wire.silence_s(heartbeat_s))
        self._retry = Retry(REJOIN)
        self._opening: RequestTimeout | None = None
        self._beats = News()
        self._joins = 0
        self.last_beat: Beat | None = None

    @property
    def observed(self) -> Observed:
        return self._liveness.observed

    @property
    def reconnects(self) -> int:
        return max(0, self._joins - 1)

    async def beat(self, within_s: float) -> None:
        """Wait for the next heartbeat, but no longer than this."""
        await self._beats.wait(within_s)

    def start(self) -> None:
        """`run` is about to be called."""
        self._liveness.start(clock.mono())

    async def run(self) -> None:
        """Join, and after each loss join anew with a new client."""
        while True:
            error = await self._once()
            log.log(
                self._retry.failed(error).level,
                "realtime lost",
                position=self._position,
                reason=error.what,
            )
            if isinstance(error, Systemic):
                self._token.refused()
            # A refusal that no retry changes is still tried again: an operator may be mending it.
            await self._retry.wait()

    async def _once(self) -> MigctlError:
        """One client, from its joining to its loss; what ended it."""
        link = await self._new_link()
        try:
            token = await self._token.get()
            began = clock.mono()
            await link.join(token, wait_for_system=self._live == "postgres_changes")
            self._join(clock.mono() - began)
            return await self._watch(link, token)
        except MigctlError as refused:
            if self._may_end(refused):
                raise
            return refused
        finally:
            if self._liveness.up:
                self._liveness.lose(clock.mono())
                self._changed()
            await link.close()

    @property
    def _position(self) -> str | None:
        return self._flow.merge.place

    def _join(self, took_s: float) -> None:
        self._joins += 1
        if self._joins > 1:
            log.info("realtime joined again", position=self._position, failures=self._retry.failures)
        self._retry.succeeded()
        self._liveness.join(clock.mono(), asks=True, took_s=took_s)
        self._changed()

    async def _new_link(self) -> Link:
        official, open_timeout = await asyncio.to_thread(_official)
        if self._opening is None:
            self._opening = open_timeout()
        take = None if self._by_client else self._take_text
        link = official(
            self._url,
            self._anon_key,
            channel(self._schema),
            take=take,
            answered=lambda: self._liveness.answer(clock.mono()),
            opening=self._opening,
        )
        if self._live == "broadcast":
            link.on_broadcast("events", self._on_events)
        else:
            for table in (EVENTS, TOMBSTONES):
                link.on_insert(self._schema, table, self._on_insert)
        link.on_broadcast("heartbeat", self._on_heartbeat)
        return link

    async def _watch(self, link: Link, token: str) -> MigctlError:
        """Watch one joined link until it is lost; what ended it. token: what it was joined with."""
        lost = asyncio.ensure_future(link.lost())
        try:
            while True:
                wait_s = min(self._token.renew_in_s, self._liveness.next_at - clock.mono())
                done, _ = await asyncio.wait({lost}, timeout=max(0.0, wait_s))
                if done:
                    return lost.result()
                now = clock.mono()
                verdict = self._liveness.decide(now)
                if verdict == "leave":
                    link.give_up(self._liveness.reason)
                elif verdict == "ask":
                    self._liveness.ask(now)
                    await within(ASK_S, link.ask())
                elif (newer := await self._token.get()) != token:
                    token = newer
                    await link.renew(token)
        finally:
            lost.cancel()

    def _take_text(self, text: str, arrived: Arrived) -> bool:
        hint = read_text(text, f"realtime:{channel(self._schema)}", arrived)
        if hint is None:
            return False
        self._liveness.hear(arrived.mono_ns / 1e9)
        self._take_hint(hint)
        return True

    def _on_events(self, payload: dict[str, Any], arrived: Arrived) -> None:
        self._liveness.hear(clock.mono())
        hint = read_events(payload, arrived)
        if hint is None:
            log.warning("hint not understood", keys=sorted(payload), position=self._position)
            return
        self._take_hint(hint)

    def _on_heartbeat(self, payload: dict[str, Any], _: Arrived) -> None:
        now = clock.mono()
        self._liveness.hear(now)
        hint = read_heartbeat(payload)
        if hint is not None:
            self.last_beat = Beat(Position(hint.epoch, hint.head), now)
            self._take_hint(hint)
            self._beats.wake()

    def _on_insert(self, change: dict[str, Any], arrived: Arrived) -> None:
        self._liveness.hear(clock.mono())
        hint = read_insert(change, arrived)
        if hint is not None:
            self._take_hint(hint)

    def _take_hint(self, hint: Hint) -> None:
        for seq in hint.named:
            self._flow.name(hint.epoch, seq)
        if hint.items:
            self._flow.offer(hint.items)
        self._flow.hear(hint.epoch, hint.head)


def _official() -> tuple[type[Link], Callable[[], RequestTimeout]]:
    """Who stays on the WebSocket never needs the official client, which takes a third of a second to import."""
    from migctl.subscriber.realtime.official import Link, open_timeout

    return Link, open_timeout
