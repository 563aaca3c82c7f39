"""Broadcast: the transport "realtime". Sends each event of the journal as a hint, at once.

A hint has no cursor: what can't be sent in time is superseded by the table, where readers fetch it, and counted; nothing is lost by
it, and nothing is caught up here: after an outage it goes on at the live edge. While the breaker is open (`health`), a joined
channel still gets hints: that costs nothing, and who hears them is better off.
"""

from __future__ import annotations

import asyncio
from random import Random

from migctl import clock
from migctl.config import Settings, Target
from migctl.journal import Log
from migctl.resilience import BreakerState, BreakerStatus, News, within
from migctl.status import BroadcastStatus, TransportName, TransportStatus
from migctl.target.authenticated import Authenticated, authenticated_of
from migctl.target.schema import canary_channel, channel
from migctl.telemetry import get_logger
from migctl.telemetry.minutely import Minutely
from migctl.telemetry.trail import Trail
from migctl.transports.protocol import Audience, Table
from migctl.transports.realtime import hints
from migctl.transports.realtime.cadence import Pace, next_heartbeat
from migctl.transports.realtime.canary import Canary
from migctl.transports.realtime.exchange import ChannelLost
from migctl.transports.realtime.reach import Reach
from migctl.transports.realtime.sender import Sender, Way

# How often the audience is counted anew, for the pace.
COUNT_EVERY_S = 1.0
# How soon an idle sender finds out that its messages go another way now.
PROBE_S = 0.5
_READ_EVENTS = 1000

_log = get_logger("broadcast")


class Broadcast:
    """A Transport. With `realtime.live: postgres_changes` it sends heartbeats and canaries only, and a
    canary goes both ways.

    table: said with every message. messages_per_second: the plan's limit, deliveries included; default 500 on the embedded stack,
    else 100, which every plan allows. subscribers: how many are expected to receive each message; audience: how many are known to
    be there now. The larger of the two and the limit make the pace.
    authenticated: makes the token that the canary listens with; default as the target and the settings say.
    """

    def __init__(
        self,
        journal: Log,
        target: Target,
        settings: Settings,
        table: Table,
        *,
        messages_per_second: float | None = None,
        subscribers: int = 1,
        audience: Audience | None = None,
        authenticated: Authenticated | None = None,
        rng: Random | None = None,
    ) -> None:
        self.topic = channel(settings.supabase.schema_)
        self._journal = journal
        self._table = table
        self._max_bytes = settings.realtime.max_hint_bytes
        self._sends_hints = settings.realtime.live == "broadcast"
        self._expected = subscribers
        self._audience = audience
        self._counted_at = float("-inf")
        self._unsaid_limit = 500.0 if target.embedded else 100.0
        self._pace = Pace(messages_per_second or self._unsaid_limit, subscribers)
        random = (rng or Random()).random
        canary_topic = canary_channel(settings.supabase.schema_)
        self._reach = Reach(settings, table, seq=journal.head)
        self._sender = Sender(
            target, settings, (self.topic, canary_topic), self._reach, self._pace, random=random
        )
        self._canary = Canary(
            target,
            settings,
            canary_topic,
            self._sender,
            table,
            authenticated=authenticated or authenticated_of(target, settings),
            random=random,
        )
        self._running: bool | None = None
        self._epoch = journal.epoch
        self._moved = News()
        self._minutely = Minutely()
        self.trail = Trail()  # "hint", "superseded": left to the table, or "row": the publication carries it
        self._hints = self._events = self._superseded = self._heartbeats = 0

    def follow(self, settings: Settings) -> None:
        """The breaker, the canary, the pace and the bound of a hint by these from now on; what only a start reads stays."""
        of = settings.realtime
        self._expected = of.expected_subscribers
        self._pace.follow(of.messages_per_second or self._unsaid_limit)
        self._max_bytes = of.max_hint_bytes
        self._reach.follow(settings)
        self._sender.follow(settings)
        self._canary.follow(settings)

    def rekey(self) -> None:
        """The target has other keys: channels are opened anew with them, which proves them."""
        self._sender.rekey()
        self._canary.rekey()

    @property
    def name(self) -> TransportName:
        return "realtime"

    @property
    def breaker(self) -> BreakerState:
        """Of broadcast: closed while subscribers get what is sent, as far as the canary shows."""
        return self._reach.health.state

    def breaker_status(self) -> BreakerStatus:
        """For `/api/status`, and for fallback."""
        return self._canary.breaker_status()

    def state(self) -> TransportStatus:
        breaker = self._canary.breaker_status()
        if self._running is False:
            return TransportStatus(state="closed", reason=None)
        if breaker.state != "closed" and self._sender.state == "connected":
            return TransportStatus(state="degraded", reason=breaker.reason)
        return TransportStatus(state=self._sender.state, reason=self._sender.reason)

    def status(self) -> BroadcastStatus:
        of, breaker = self.state(), self._canary.breaker_status()
        return BroadcastStatus(
            state=of.state,
            reason=of.reason,
            way=self._sender.way(clock.mono()),
            breaker=breaker,
            canary=self._canary.status(),
            hints=self._hints,
            events=self._events,
            events_dropped=self._superseded,
            heartbeats=self._heartbeats,
            channels_opened=self._sender.channels,
            sent_by_http=self._sender.by_http,
            http_failures=self._sender.http_failures,
            rate_refusals=self._pace.limited,
            paced_for_subscribers=self._pace.subscribers,
            sent_to_seq=self._reach.seq,
        )

    async def run(self) -> None:
        """Send until cancelled, over one channel after another."""
        self._reach.seq = self._journal.head
        self.trail.begin(self._journal.epoch, self._reach.seq)
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sender.run(), name="broadcast channel")
                group.create_task(self._canary.run(), name="canary")
                await self._send()
        finally:
            self._running = False
            self._summarise(self._minutely.rest())
            self._moved.wake()

    async def drain(self, timeout_s: float) -> int:
        """Wait until what the journal has is sent and acknowledged, and end with a heartbeat. Nobody is attached to us: 0."""
        try:
            async with asyncio.timeout(timeout_s):
                while (
                    self._running and self._sender.way(clock.mono()) and self._reach.seq < self._journal.head
                ):
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
                self._moved.wake()
                now_by = await self._sender.ready()
                self._skip_to_live_edge()
            if now_by != way:  # what was in flight on the old one shows in a heartbeat at once
                way, last_heartbeat = now_by, float("-inf")
            due = next_heartbeat(
                last_heartbeat=last_heartbeat,
                last_event=last_event,
                behind=self._table.table_head < self._journal.head,
            )
            self._summarise(self._minutely.due(clock.mono()))
            if await self._wait(min(due, clock.mono() + PROBE_S)):
                await self._send_hints()
                last_event = clock.mono()
            if clock.mono() >= due:
                await self._rest_of_pace()
                await self._beat()
                last_heartbeat = clock.mono()

    def _skip_to_live_edge(self) -> None:
        self._follow_epoch()
        missed = self._journal.head - self._reach.seq if self._sends_hints else 0
        self._superseded += missed
        self._reach.seq = self._journal.head
        if missed:
            self.trail.passed(self._epoch, self._reach.seq, clock.now(), "superseded")
            _log.info("hints superseded", epoch=self._epoch, seq=self._reach.seq, events=missed)

    def _follow_epoch(self) -> None:
        if self._epoch != self._journal.epoch:
            self._epoch, self._reach.seq = self._journal.epoch, 0

    async def _wait(self, until: float) -> bool:
        """True once the journal has more than was sent; False at the time `until`."""
        self._follow_epoch()
        left_s = until - clock.mono()
        if self._journal.head > self._reach.seq or left_s <= 0:
            return self._journal.head > self._reach.seq
        came = await within(left_s, self._journal.wait(self._reach.seq))
        return came and self._journal.epoch == self._epoch

    async def _send_hints(self) -> None:
        if not self._sends_hints:
            # The publication carries the rows; heartbeats say how far it has to bring them.
            self._reach.seq = self._journal.head
            self.trail.passed(self._epoch, self._reach.seq, clock.now(), "row")
            self._moved.wake()
            return
        await self._rest_of_pace()  # before reading: what comes meanwhile goes with the same message
        entries = await self._journal.read(self._reach.seq, limit=_READ_EVENTS)
        live = hints.live_edge(entries, now=clock.now())
        old = len(entries) - len(live)
        self._superseded += old
        if old:
            self.trail.passed(entries[0].epoch, entries[old - 1].seq, clock.now(), "superseded")
        for hint in hints.hints(live, table_head=self._table.table_head, max_bytes=self._max_bytes):
            await self._rest_of_pace()
            await self._send_hint(hint, first_id=live[hint.first - live[0].seq].event.id)
        if entries:
            self._reach.seq = entries[-1].seq
        self._moved.wake()

    async def _send_hint(self, hint: hints.Hint, *, first_id: str) -> None:
        began = clock.mono()
        self._pace.book(began)
        epoch = self._epoch
        sent = await self._sender.send(self.topic, "events", hint.payload)
        self._reach.seq = hint.last
        self.trail.passed(epoch, hint.last, clock.now(), "hint" if sent else "superseded")
        count = hint.last - hint.first + 1
        if not sent:
            self._superseded += count
            return
        self._hints += 1
        self._events += count
        now = clock.mono()
        self._summarise(self._minutely.carried(now, took_s=now - began, events=count))
        _log.debug(
            "hint sent",
            epoch=self._journal.epoch,
            first=hint.first,
            last=hint.last,
            first_id=first_id,
            bytes=len(hint.payload),
        )

    def _summarise(self, line: dict[str, float] | None) -> None:
        if line is not None:
            _log.info("hints sent", epoch=self._epoch, seq=self._reach.seq, **line)

    def _count_audience(self) -> int:
        return self._audience.count_on_realtime() if self._audience is not None else 0

    async def _beat(self) -> None:
        payload = hints.heartbeat(
            epoch=self._journal.epoch, journal_head=self._journal.head, table_head=self._table.table_head
        )
        self._pace.book(clock.mono())
        self._heartbeats += await self._sender.send(self.topic, "heartbeat", payload)

    async def _rest_of_pace(self) -> None:
        """Return when the next message may go."""
        now = clock.mono()
        if now - self._counted_at >= COUNT_EVERY_S:
            self._counted_at = now
            self._pace.subscribers = max(self._expected, self._count_audience())
        while (wait := self._pace.wait_s(clock.mono())) > 0:  # a canary that went meanwhile has put it off
            await asyncio.sleep(wait)
