"""Changes of the database for the channels that asked for them, with the cadence and the losses of the real server.

Committed rows wait until the next poll: at once after rows were delivered, 150 to 200 ms after only unrelated ones, 500 ms when
idle. What is committed while the slot is lost, while a subscription is not there yet, or above the rate limit, nobody hears of.
An error while a batch is read, by whatever table of the publication, loses the batch and the slot for all subscribers.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

import psycopg

from migctl.stack.standin.auth import Identity
from migctl.stack.standin.database import Connection, DatabaseDown, Pool, PoolTimeout
from migctl.stack.standin.faults import Faults
from migctl.stack.standin.limits import Limits
from migctl.stack.standin.realtime import bindings, frames
from migctl.stack.standin.realtime.authorize import Unavailable
from migctl.stack.standin.realtime.config import Binding
from migctl.stack.standin.realtime.fanout import Batch, Fanout, Poisoned
from migctl.stack.standin.realtime.frames import Version
from migctl.stack.standin.realtime.hub import Listener
from migctl.stack.standin.realtime.rates import RateCounter
from migctl.stack.standin.realtime.subscriptions import Feed, Subscription
from migctl.stack.standin.realtime.visibility import Visibility
from migctl.stack.standin.wal.stream import Stream
from migctl.telemetry import get_logger

_log = get_logger("standin.changes")
# What one reading of the slot costs the real server at the least, before it reads again at once.
_PROBE_S = 0.003
_IDLE_POLLS = 5
# What is in the publication, without its column lists and row filters: the real server's decoder does not know them.
_DECODED = "supabase_realtime_copy"
# How long the real server waits before it makes a new slot after a reading that failed.
_POISONED_S = (0.1, 0.3)
_MAX_RETRIES = 6
_START_S = 10.0
_FAULT_PROBE_S = 0.02
_AWAY = "Unable to connect to the project database"


class Changes:
    """Who subscribed to what, and the one stream that serves all. `run` does the work, as a task of its owner."""

    def __init__(self, pool: Pool, dsn: str, limits: Limits, faults: Faults) -> None:
        self._pool = pool
        self._dsn = dsn
        self._limits = limits
        self._visibility = Visibility(limits.publication, time.monotonic)
        self._faults = faults
        faults.strikes("slot-loss", self._lose_slot)
        faults.strikes("subscriptions-cleared", lambda: self._drop_all("a fault was switched on"))
        self._fanout = Fanout(self._visibility, self._max_record_bytes)
        self._stream: Stream | None = None
        self._feeds: dict[Feed, list[Subscription]] = {}
        self._rate = RateCounter(limits.plan.messages_per_s, now=time.monotonic())
        self._wanted = asyncio.Event()
        self._streaming = asyncio.Event()
        self._published: frozenset[int] | None = None

    async def subscribe(
        self,
        topic: str,
        asked: Sequence[Binding],
        identity: Identity,
        listener: Listener,
        lost: Callable[[], None],
    ) -> Feed:
        """From its return on, what is committed is delivered. lost: called when it no longer holds.

        Raises BadBinding or Unavailable.
        """
        wanted = [(binding.id, bindings.parse(binding.asked)) for binding in asked]
        self._wanted.set()
        try:
            async with asyncio.timeout(_START_S):
                await self._streaming.wait()
            async with self._pool.connection() as conn:
                if not await self._visibility.knows_role(conn, identity.role):
                    raise bindings.BadBinding(f'role "{identity.role}" does not exist')
                tables = [await self._visibility.check(conn, item, identity.role) for _, item in wanted]
        except (TimeoutError, DatabaseDown, PoolTimeout, psycopg.Error) as error:
            raise Unavailable(f"{_AWAY}: {error}" if str(error) else _AWAY) from error
        feed = Feed(topic, listener, lost=lost, forget=self._forget)
        if self._faults.on("subscriptions-cleared", time.monotonic()):
            return feed
        self._feeds[feed] = [
            Subscription(number, item, identity, oids, feed)
            for (number, item), oids in zip(wanted, tables, strict=True)
        ]
        return feed

    def _forget(self, feed: Feed) -> None:
        self._feeds.pop(feed, None)

    async def run(self) -> None:
        """Stream from the first subscription on, for ever. A lost slot is made anew; what it had not delivered is lost."""
        failures = 0
        while True:
            await self._wanted.wait()
            while self._faults.on("slot-loss", time.monotonic()):
                await asyncio.sleep(_FAULT_PROBE_S)
            try:
                stream = self._stream = await Stream.open(self._dsn, _DECODED)
            except DatabaseDown as error:
                failures += 1
                if failures > _MAX_RETRIES:
                    failures = 0
                    self._give_up(str(error))
                else:
                    await asyncio.sleep(random.uniform(0.1, min(5.0, 0.1 * 3**failures)))
                continue
            failures = 0
            _log.info("streaming", publication=self._limits.publication)
            try:
                self._published = None
                self._streaming.set()
                await self._poll(stream)
            finally:
                self._streaming.clear()
                await stream.close()

    def _lose_slot(self) -> None:
        if self._stream is not None:
            self._stream.lose("a fault was switched on")

    def _max_record_bytes(self) -> int:
        return 0 if self._faults.on("oversize", time.monotonic()) else self._limits.max_record_bytes

    def _drop_all(self, why: str) -> None:
        """As the real one does it: in silence."""
        _log.warning("all subscriptions are dropped", why=why, feeds=len(self._feeds))
        self._feeds.clear()

    def _give_up(self, reason: str) -> None:
        """The real one's worker stops here: channels subscribe again by themselves, and with that a new one is begun."""
        _log.warning("no database, subscriptions dropped", reason=reason, feeds=len(self._feeds))
        self._wanted.clear()
        feeds = list(self._feeds)
        self._feeds.clear()
        for feed in feeds:
            feed.lost()

    async def _poll(self, stream: Stream) -> None:
        next_check = 0.0
        while stream.lost is None:
            try:
                if time.monotonic() >= next_check:
                    next_check = time.monotonic() + self._limits.publication_check_s
                    await self._check_publication()
                batch = Batch(stream.take(self._limits.poll_max_changes))
                delivered = await self._deliver(batch)
            except (DatabaseDown, PoolTimeout) as error:
                _log.warning("poll failed, its changes are lost", reason=str(error))
                return
            except (psycopg.Error, Poisoned) as error:
                # PostgreSQL drops the slot of a session in which the reading of it fails.
                _log.error("poll failed, its changes and the slot are lost", reason=str(error))
                stream.lose(f"a change that can't be read: {error}")
                await asyncio.sleep(random.uniform(*_POISONED_S))
                return
            if delivered:
                delay = _PROBE_S
            elif batch.changes:
                delay = self._limits.poll_s + random.uniform(0.05, 0.1)
            else:
                delay = self._limits.poll_s * _IDLE_POLLS
            await asyncio.sleep(delay)
        _log.warning("slot lost, what is committed until the next one is lost", reason=stream.lost)

    async def _check_publication(self) -> None:
        async with self._pool.connection() as conn:
            published = await self._visibility.published(conn)
        if self._published is not None and published != self._published:
            self._drop_all("the publication changed")
        self._published = published

    async def _deliver(self, batch: Batch) -> int:
        """Returns how many changes somebody was to get."""
        subscriptions = [item for held in self._feeds.values() for item in held]
        if not batch.changes or not subscriptions:
            return 0
        if self._faults.on("poisoned-poll", time.monotonic()):
            self._faults.note_taken("poisoned-poll", len(batch.changes))
            raise Poisoned("a fault was switched on")
        async with self._pool.connection() as conn:
            return await self._send(conn, batch, subscriptions)

    async def _send(self, conn: Connection, batch: Batch, subscriptions: Sequence[Subscription]) -> int:
        sent = 0
        messages = await self._fanout.messages(conn, batch, subscriptions)
        now = time.monotonic()
        switched_on = self._faults.on("rate-skip", now)
        skip = self._rate.triggered(now) or switched_on
        cache: dict[tuple[Version, str, tuple[int, ...], bytes], bytes] = {}
        for receivers in messages:
            sent += bool(receivers)
            if skip:
                continue
            self._rate.add(sum(len(ids) for _, ids, _ in receivers), time.monotonic())
            for feed, ids, data in receivers:
                if feed not in self._feeds:  # gone while PostgreSQL was asked
                    continue
                key = (feed.version, feed.topic, ids, data)
                frame = cache.get(key)
                if frame is None:
                    payload = b'{"ids":%b,"data":%b}' % (frames.dumps(ids), data)
                    text = frames.message(feed.version, feed.topic, "postgres_changes", payload)
                    frame = cache[key] = frames.text_frame(text)
                feed.deliver(frame)
        if switched_on:
            self._faults.note_taken("rate-skip", sent)
        if skip and sent:
            _log.warning("rate limit, changes skipped", changes=sent)
        return sent
