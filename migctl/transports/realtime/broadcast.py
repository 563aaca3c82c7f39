"""Broadcast: the transport "realtime". Sends each event of the journal as a hint, at once.

A hint has no cursor: what can't be sent is dropped and counted, and readers repair the gap from the table. So nothing is caught up
here: after an outage it goes on at the live edge. While the breaker is open (`canary`), a joined channel still gets hints: that
costs nothing, and who hears them is better off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from random import Random

from migctl import clock
from migctl.config import Settings, Target
from migctl.journal import Log
from migctl.resilience import BreakerState, BreakerStatus
from migctl.status import BroadcastStatus, TransportName, TransportState
from migctl.target.schema import canary_channel, channel
from migctl.telemetry import get_logger
from migctl.transports.realtime import canary, hints
from migctl.transports.realtime.cadence import Pace, next_heartbeat
from migctl.transports.realtime.canary import Canary
from migctl.transports.realtime.channel import ChannelLost
from migctl.transports.realtime.sender import Sender, Way

# An event older than this is fetched by readers anyway: they have heard of it by a heartbeat, and repair a gap after 150 ms.
LIVE_EDGE = timedelta(seconds=2)
# How often the audience is counted anew, for the pace.
COUNT_EVERY_S = 1.0
# How soon an idle sender finds out that its messages go another way now.
LOOK_S = 0.5
_READ_EVENTS = 1000

_log = get_logger("broadcast")


class Broadcast:
    """A Transport. With `realtime.live: postgres_changes` it sends heartbeats and canaries only.

    table_head: how far the relay is; told with every message, so that a reader can tell *not there yet* from *never*.
    messages_per_second: the plan's limit, deliveries included; default 500 on the embedded stack, else 100, which every plan
    allows. subscribers: how many are expected to receive each message; audience: how many are known to be there now. The larger of
    the two and the limit make the pace. reached: called whenever Realtime was reached anew: what else is there may be back too.
    """

    def __init__(
        self,
        journal: Log,
        target: Target,
        settings: Settings,
        table_head: Callable[[], int],
        *,
        messages_per_second: float | None = None,
        subscribers: int = 1,
        audience: Callable[[], int] | None = None,
        reached: Callable[[], None] = lambda: None,
        rng: Random | None = None,
    ) -> None:
        self.topic = channel(settings.supabase.schema_)
        self._journal = journal
        self._table_head = table_head
        self._max_bytes = settings.realtime.max_hint_bytes
        self._sends_hints = settings.realtime.live == "broadcast"
        self._expected = subscribers
        self._audience = audience or (lambda: 0)
        self._reached = reached
        self._counted_at = float("-inf")
        limit = messages_per_second or (500.0 if target.embedded else 100.0)
        self._pace = Pace(limit, subscribers)
        random = (rng or Random()).random
        canary_topic = canary_channel(settings.supabase.schema_)
        self._canary = Canary(
            target,
            settings,
            canary_topic,
            send=lambda payload: self._sender.send(canary_topic, canary.EVENT, payload),
            pace=self._pace,
            position=lambda: self._after,
            changed=self._breaker_changed,
            reached=self._was_reached,
            random=random,
        )
        self._sender = Sender(
            target,
            settings,
            (self.topic, canary_topic),
            pace=self._pace,
            opened=self._was_reached,
            failed=self._canary.failed,
            allowed=lambda: self.breaker == "closed",
            position=lambda: self._after,
            random=random,
        )
        self._running: bool | None = None
        self._epoch = journal.epoch
        self._after = journal.head
        self._moved = asyncio.Event()
        self._hints = self._events = self._dropped = self._heartbeats = 0

    @property
    def name(self) -> TransportName:
        return "realtime"

    @property
    def breaker(self) -> BreakerState:
        """Of broadcast: closed while subscribers get what is sent, as far as the canary can tell."""
        return self._canary.breaker.state

    def breaker_status(self) -> BreakerStatus:
        """For `/api/status`, and for fallback."""
        return self._canary.breaker_status()

    def _was_reached(self) -> None:
        self._canary.hurry()
        self._reached()

    def _breaker_changed(self) -> None:
        self._sender.wake()

    def status(self) -> BroadcastStatus:
        breaker = self._canary.breaker_status()
        state: TransportState = self._sender.state
        reason = self._sender.reason
        if self._running is False:
            state, reason = "closed", None
        elif breaker.state != "closed" and state == "connected":
            state, reason = "degraded", breaker.reason
        return BroadcastStatus(
            state=state,
            reason=reason,
            way=self._sender.way(clock.mono()),
            breaker=breaker,
            canary=self._canary.status(),
            hints=self._hints,
            events=self._events,
            events_dropped=self._dropped,
            heartbeats=self._heartbeats,
            channels_opened=self._sender.channels,
            sent_by_http=self._sender.by_http,
            http_failures=self._sender.http_failures,
            rate_refusals=self._pace.limited,
            paced_for_subscribers=self._pace.subscribers,
            sent_to_seq=self._after,
        )

    async def run(self) -> None:
        """Send until cancelled, over one channel after another."""
        self._after = self._journal.head
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sender.run(), name="broadcast channel")
                group.create_task(self._canary.run(), name="canary")
                await self._send()
        finally:
            self._running = False
            self._tell_moved()

    async def drain(self, timeout_s: float) -> int:
        """Wait until what the journal has is sent and acknowledged, and end with a heartbeat. Nobody is attached to us: 0."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._running and self._sender.way(clock.mono()) and self._after < self._journal.head:
                    await self._moved.wait()
                if self._running:
                    await self._beat()
                channel = self._sender.channel
                if channel is not None:
                    await channel.settled()
        except (TimeoutError, ChannelLost):
            pass  # a hint is never owed
        return 0

    async def _send(self) -> None:
        """Hints for what comes, and heartbeats between, by whatever way there is."""
        last_heartbeat, last_event = float("-inf"), None
        way: Way | None = None
        while True:
            now_by = self._sender.way(clock.mono())
            if now_by is None:
                self._tell_moved()
                now_by = await self._sender.ready()
                self._skip_to_live_edge()
            if now_by != way:
                way, last_heartbeat = (
                    now_by,
                    float("-inf"),
                )  # what was in flight on the old one is told of at once
            due = next_heartbeat(
                last_heartbeat=last_heartbeat,
                last_event=last_event,
                behind=self._table_head() < self._journal.head,
            )
            if await self._wait(min(due, clock.mono() + LOOK_S)):
                await self._send_hints()
                last_event = clock.mono()
            if clock.mono() >= due:
                await self._rest_of_pace()
                await self._beat()
                last_heartbeat = clock.mono()

    def _skip_to_live_edge(self) -> None:
        self._look_at_epoch()
        missed = self._journal.head - self._after
        self._dropped += missed
        self._after = self._journal.head
        if missed:
            _log.info("hints not sent", epoch=self._epoch, seq=self._after, events=missed)

    def _look_at_epoch(self) -> None:
        if self._epoch != self._journal.epoch:
            self._epoch, self._after = self._journal.epoch, 0

    async def _wait(self, until: float) -> bool:
        """True once the journal has more than was sent; False at the time `until`."""
        self._look_at_epoch()
        left = until - clock.mono()
        if self._journal.head > self._after or left <= 0:
            return self._journal.head > self._after
        try:
            async with asyncio.timeout(left):
                await self._journal.wait(self._after)
        except TimeoutError:
            return False
        return self._journal.epoch == self._epoch

    async def _send_hints(self) -> None:
        if (
            not self._sends_hints
        ):  # the publication carries the rows; heartbeats say how far it has to bring them
            self._after = self._journal.head
            self._tell_moved()
            return
        await self._rest_of_pace()  # before reading: what comes meanwhile goes with the same message
        entries = await self._journal.read(self._after, limit=_READ_EVENTS)
        oldest = clock.now() - LIVE_EDGE
        live = [entry for entry in entries if entry.committed_at >= oldest]
        # committed_at never falls within a journal, but a clock that is set back could break the run: hints are contiguous.
        live = entries[len(entries) - len(live) :]
        self._dropped += len(entries) - len(live)
        for hint in hints.hints(live, table_head=self._table_head(), max_bytes=self._max_bytes):
            await self._rest_of_pace()
            self._pace.book(clock.mono())
            sent = await self._sender.send(self.topic, "events", hint.payload)
            self._after = hint.last
            count = hint.last - hint.first + 1
            if not sent:
                self._dropped += count
                continue
            self._hints += 1
            self._events += count
            _log.info(
                "hint sent",
                epoch=self._journal.epoch,
                first=hint.first,
                last=hint.last,
                first_id=live[hint.first - live[0].seq].event.id,
                bytes=len(hint.payload),
            )
        if entries:
            self._after = entries[-1].seq
        self._tell_moved()

    def _tell_moved(self) -> None:
        """Wake who waits now, and only them."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def _beat(self) -> None:
        payload = hints.heartbeat(
            epoch=self._journal.epoch, journal_head=self._journal.head, table_head=self._table_head()
        )
        self._pace.book(clock.mono())
        self._heartbeats += await self._sender.send(self.topic, "heartbeat", payload)

    async def _rest_of_pace(self) -> None:
        """Return when the next message may go."""
        now = clock.mono()
        if now - self._counted_at >= COUNT_EVERY_S:
            self._counted_at = now
            self._pace.subscribers = max(self._expected, self._audience())
        while (wait := self._pace.wait_s(clock.mono())) > 0:  # a canary that went meanwhile has put it off
            await asyncio.sleep(wait)
