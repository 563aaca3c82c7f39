"""Broadcast: the transport "realtime". Sends each event of the journal as a hint, at once, over our own channel.

A hint has no cursor: what can't be sent is dropped and counted, and readers repair the gap from the table. So nothing is caught up
here: after an outage it goes on at the live edge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Literal

from migctl import clock
from migctl.config import Settings, Target
from migctl.errors import Systemic, Transient
from migctl.journal import Journal, JournalUnavailable
from migctl.resilience import Backoff
from migctl.telemetry import get_logger
from migctl.transports.protocol import TransportName, TransportStatus
from migctl.transports.realtime import hints
from migctl.transports.realtime.cadence import next_heartbeat, pace_s
from migctl.transports.realtime.channel import Channel, joined
from migctl.transports.realtime.tokens import sender_token

# An event older than this is fetched by readers anyway: they have heard of it by a heartbeat, and repair a gap after 150 ms.
LIVE_EDGE = timedelta(seconds=2)
_RECONNECT = Backoff(first_s=0.1, most_s=2.0)
_READ_EVENTS = 1000

_log = get_logger("broadcast")


class Broadcast:
    """A Transport.

    table_head: how far the relay is; told with every message, so that a reader can tell *not there yet* from *never*.
    messages_per_second: the plan's limit, deliveries included; default 500 on the embedded stack, else 100, which every plan
    allows. subscribers: how many receive each message. Both make the pace.
    """

    def __init__(
        self,
        journal: Journal,
        target: Target,
        settings: Settings,
        table_head: Callable[[], int],
        *,
        messages_per_second: float | None = None,
        subscribers: int = 1,
        rng: Random | None = None,
    ) -> None:
        self.topic = f"{settings.supabase.schema_}.monitoring_events"
        self._journal = journal
        self._target = target
        self._apikey = target.need("service_role_key")
        self._table_head = table_head
        self._max_bytes = settings.realtime.max_hint_bytes
        limit = messages_per_second or (500.0 if target.embedded else 100.0)
        self._pace_s = pace_s(messages_per_second=limit, subscribers=subscribers)
        self._random = (rng or Random()).random
        self._not_before = 0.0
        self._epoch = journal.epoch
        self._after = journal.head
        self._moved = asyncio.Event()
        self._channel: Channel | None = None
        self._state: Literal["connecting", "connected", "degraded", "closed"] = "connecting"
        self._reason: str | None = None
        self._hints = self._events = self._dropped = self._channels = self._heartbeats = 0

    @property
    def name(self) -> TransportName:
        return "realtime"

    def status(self) -> TransportStatus:
        return TransportStatus(
            name="realtime",
            state=self._state,
            reason=self._reason,
            details={
                "hints": self._hints,
                "events": self._events,
                "events_dropped": self._dropped,
                "heartbeats": self._heartbeats,
                "channels_opened": self._channels,
                "sent_to_seq": self._after,
            },
        )

    async def run(self) -> None:
        """Send until cancelled, over one channel after another."""
        failures = 0
        self._after = self._journal.head
        try:
            while True:
                try:
                    async with joined(
                        self._target.supabase_url,
                        apikey=self._apikey,
                        topic=self.topic,
                        token=lambda: sender_token(self._target),
                    ) as channel:
                        self._opened(channel)
                        await self._send(channel)
                except JournalUnavailable:
                    raise
                except (Transient, Systemic) as error:
                    # Only an acknowledgement proves a channel: one that joins and then refuses is not reopened at once, for ever.
                    acknowledged = self._channel is not None and self._channel.acknowledged > 0
                    failures = 1 if acknowledged else failures + 1
                    self._lost(error)
                await asyncio.sleep(_RECONNECT.delay_s(failures, self._random))
        finally:
            self._channel = None
            self._state, self._reason = "closed", None

    async def drain(self, timeout_s: float) -> int:
        """Wait until what the journal has is sent and acknowledged, and end with a heartbeat. Nobody is attached to us: 0."""
        channel = self._channel
        if channel is None:
            return 0
        try:
            async with asyncio.timeout(timeout_s):
                while self._after < self._journal.head and self._channel is channel:
                    await self._moved.wait()
                await self._beat(channel)
                await channel.settled()
        except (TimeoutError, Transient):
            pass  # a hint is never owed
        return 0

    def _opened(self, channel: Channel) -> None:
        if self._epoch != self._journal.epoch:
            self._epoch, self._after = self._journal.epoch, 0
        missed = self._journal.head - self._after
        self._dropped += missed
        self._after = self._journal.head
        self._channel = channel
        self._channels += 1
        self._state, self._reason = "connected", None
        _log.info(
            "channel joined", topic=self.topic, epoch=self._journal.epoch, seq=self._after, not_sent=missed
        )

    def _lost(self, error: Transient | Systemic) -> None:
        state: Literal["connecting", "degraded"] = "degraded" if isinstance(error, Systemic) else "connecting"
        if (state, error.what) != (self._state, self._reason):  # once per change
            _log.warning(
                "no channel", topic=self.topic, seq=self._after, reason=error.what, do=error.do, state=state
            )
        self._state, self._reason = state, error.what
        self._channel = None
        self._tell_moved()

    async def _send(self, channel: Channel) -> None:
        """Hints for what comes, and heartbeats between. Ends when it is cancelled or the channel is lost."""
        last_heartbeat, last_event = float("-inf"), None
        while True:
            due = next_heartbeat(
                last_heartbeat=last_heartbeat,
                last_event=last_event,
                behind=self._table_head() < self._journal.head,
            )
            if await self._wait(due):
                await self._send_hints(channel)
                last_event = clock.mono()
            if clock.mono() >= due:
                await self._paced()
                await self._beat(channel)
                last_heartbeat = clock.mono()

    async def _wait(self, until: float) -> bool:
        """True once the journal has more than was sent; False at the time `until`."""
        if self._epoch != self._journal.epoch:
            self._epoch, self._after = self._journal.epoch, 0
        left = until - clock.mono()
        if self._journal.head > self._after or left <= 0:
            return self._journal.head > self._after
        try:
            async with asyncio.timeout(left):
                await self._journal.wait(self._after)
        except TimeoutError:
            return False
        return self._journal.epoch == self._epoch

    async def _send_hints(self, channel: Channel) -> None:
        await self._rest_of_pace()  # before reading: what comes meanwhile goes with the same message
        entries = await self._journal.read(self._after, limit=_READ_EVENTS)
        oldest = clock.now() - LIVE_EDGE
        live = [entry for entry in entries if entry.committed_at >= oldest]
        # committed_at never falls within a journal, but a clock that is set back could break the run: hints are contiguous.
        live = entries[len(entries) - len(live) :]
        self._dropped += len(entries) - len(live)
        for hint in hints.hints(live, table_head=self._table_head(), max_bytes=self._max_bytes):
            await self._paced()
            await channel.push("events", hint.payload)
            self._after = hint.last
            self._hints += 1
            self._events += hint.last - hint.first + 1
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

    async def _beat(self, channel: Channel) -> None:
        payload = hints.heartbeat(
            epoch=self._journal.epoch, journal_head=self._journal.head, table_head=self._table_head()
        )
        await channel.push("heartbeat", payload)
        self._heartbeats += 1

    async def _rest_of_pace(self) -> None:
        """Return when the next message may go."""
        wait = self._not_before - clock.mono()
        if wait > 0:
            await asyncio.sleep(wait)

    async def _paced(self) -> None:
        """Return when a message may go, and book the time of the one after it."""
        await self._rest_of_pace()
        self._not_before = clock.mono() + self._pace_s
