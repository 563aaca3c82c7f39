"""Relay: carries events from the journal to the Supabase table, in order, at least once.

The cursor passes a seq only when it is a row or a tombstone, so a crash repeats at most one batch; the table drops repeats by
event id. A target that is down only makes the backlog grow. What is left of an old epoch goes first: readers finish an epoch before
they go on to the next, so heads announce the next only then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import islice
from random import Random
from typing import Any

from migctl import clock
from migctl.config import Settings
from migctl.delivery.announcing import Announcer, Reached
from migctl.delivery.attempts import Attempts, SharedBreaker
from migctl.delivery.batches import Batch, Hold, Rules, form, is_backlog
from migctl.delivery.bisect import Bisect
from migctl.delivery.blame import Blamed, write_or_blame
from migctl.delivery.burying import Burying
from migctl.delivery.claim import claim
from migctl.delivery.classes import Classifier, Rates
from migctl.delivery.comparing import CURSOR, Comparer
from migctl.delivery.figures import BatchFigures
from migctl.delivery.reading import Reader
from migctl.delivery.throttle import Throttle
from migctl.delivery.touching import Touch
from migctl.errors import MigctlError, Poison, Refused
from migctl.events import Entry, Position
from migctl.journal import EpochInfo, Journal
from migctl.resilience import CONNECTION_STATES, BreakerRules, News, within
from migctl.status import BreakerStatus, ConnectionsStatus, RelayStatus
from migctl.target import Heads, TableWriter, TimedOut, Written
from migctl.telemetry import get_logger
from migctl.telemetry.summary import Summary
from migctl.telemetry.trail import Trail

__all__ = ["CURSOR", "Relay"]

_log = get_logger("relay")


class Relay:
    """One for a journal; `run` is its whole life.

    settings: of these, `relay` has the classes and bounds of batches, and `resilience` what is done while the target fails.
    touch: needed where the canary asks for it.
    """

    def __init__(
        self,
        journal: Journal,
        writer: TableWriter,
        heads: Heads,
        settings: Settings,
        *,
        touch: Touch | None = None,
        rng: Random | None = None,
    ) -> None:
        batching = settings.relay
        self._journal = journal
        self._writer = writer
        self._heads = heads
        self._rules = Rules.of(batching)
        self._classifier = Classifier(batching.classes, Rates(**batching.rates.model_dump()))
        self._reader = Reader(journal, self._rules, self._classifier)
        self._sending_since: datetime | None = None  # the commit of the oldest that is under way
        random = (rng or Random()).random
        resilience = settings.resilience
        self._breaker = SharedBreaker(
            "table", BreakerRules(**resilience.breaker.model_dump()), self._position
        )
        self._table = Attempts("table", self._breaker, resilience, random, self._position)
        self._heads_attempts = Attempts("heads", self._breaker, resilience, random, self._position)
        self._epochs: list[EpochInfo] | None = None  # those that were claimed; the last is the open one
        self._epoch = journal.epoch  # the one that is carried now
        self._done_to = 0
        self._touch = touch
        self._taken_up: EpochInfo | None = None  # the last one that heads know of
        self._moved = News()  # the table head, or what heads say
        self._announcer = Announcer(
            heads,
            self._heads_attempts,
            journal.writer_id,
            self._moved,
            apart_s=batching.heads_apart_s,
            behind_s=batching.heads_behind_s,
        )
        self.comparer = Comparer(
            journal, writer, heads, self._table, self._heads_attempts, every_s=batching.compare_every_s
        )
        self._counts: Counter[str] = Counter()
        self.figures = BatchFigures()
        self.throttle = Throttle(journal)
        self.trail = Trail()
        self._summary = Summary(_log, "batches written", position=self._position)
        self._tombstones: Counter[str] = Counter()
        self.burying = Burying(
            journal, writer, self._table, self._tombstones, a_minute=batching.max_dead_letters_per_minute
        )

    def follow(self, settings: Settings) -> None:
        """Batches, breaker and timeouts by these from the next on; what only a start reads stays."""
        batching, resilience = settings.relay, settings.resilience
        self._rules = Rules.of(batching)
        self.comparer.follow(every_s=batching.compare_every_s)
        self._reader.follow(self._rules)
        self._classifier.follow(batching.classes, Rates(**batching.rates.model_dump()))
        self._breaker.follow(BreakerRules(**resilience.breaker.model_dump()))
        self._writer.follow(resilience.request_timeout)
        self._heads.follow(resilience.request_timeout)
        for attempts in (self._table, self._heads_attempts):
            attempts.follow(resilience)
        self._announcer.follow(apart_s=batching.heads_apart_s, behind_s=batching.heads_behind_s)
        self.burying.follow(a_minute=batching.max_dead_letters_per_minute)

    @property
    def table_head(self) -> int:
        """Every seq of the open epoch up to here is a row or a tombstone."""
        return self._done_to if self._epoch == self._journal.epoch else 0

    @property
    def backlog(self) -> int:
        """Events that the table does not have yet, those of old epochs with them."""
        later = False
        left = self._journal.head - self.table_head
        for info in self._epochs[:-1] if self._epochs else ():
            if info.epoch == self._epoch:
                later = True
                left += info.head - self._done_to
            elif later:
                left += info.head - info.tail + 1
        return left

    @property
    def announced_head(self) -> int:
        """How far heads say that the table of the open epoch is."""
        return self._announcer.announced.table_head if not self._is_old() else 0

    def in_backlog(self) -> bool:
        """More waits than batches of live events take (rule 4)."""
        if self._is_old():
            return True
        waiting = self._reader.waiting
        return bool(waiting) and is_backlog(waiting, clock.now().timestamp(), self._rules)

    def connections(self) -> ConnectionsStatus:
        """Of table and heads."""
        return ConnectionsStatus(
            table=self._table.status(timeout_s=self._writer.timeout_s),
            heads=self._heads_attempts.status(timeout_s=self._heads.timeout_s),
        )

    def breaker(self) -> BreakerStatus:
        """Of the one that table writer and heads share."""
        return self._breaker.status()

    def hurry(self) -> None:
        """Realtime of the same project was just reached: where the table's breaker is open, find out now whether it is back too."""
        self._breaker.hurry()

    async def touch(self) -> datetime | None:
        """As `Table` says. Of the epoch that is carried: the next has no row before readers may go on to it."""
        if self._touch is None or self._taken_up is None:
            return None
        return await self._touch.touch(self._taken_up)

    def _position(self) -> dict[str, str | int]:
        return {"epoch": self._epoch, "table_head": self._done_to, "journal_head": self._journal.head}

    def status(self) -> RelayStatus:
        oldest = self._sending_since or self._reader.oldest
        # The worse of the two.
        attempts = max(
            self._table, self._heads_attempts, key=lambda each: CONNECTION_STATES.index(each.state)
        )
        return RelayStatus(
            state=attempts.state,
            reason=attempts.reason,
            do=attempts.do,
            epoch=self._epoch,
            table_head=self._done_to,
            journal_head=self._journal.head,
            backlog=self.backlog,
            oldest_waits_s=round((clock.now() - oldest).total_seconds(), 3) if oldest else None,
            batches=self._counts["batches"],
            rows=self._counts["rows"],
            repeats=self._counts["repeats"],
            retries=self._table.retries + self._heads_attempts.retries,
            cuts=self.figures.by_cut(),
            tombstones=dict(self._tombstones),
            set_back=self.comparer.set_back,
            throttled=self.throttle.held,
        )

    async def claim(self, *, within_s: float) -> bool:
        """Settle who writes to the table, before `run` and before an event is taken; False where it can't be asked now.

        Raises Refused where another journal owns the table.
        """
        reason = f"no answer within {within_s:g} s"
        try:
            if await within(within_s, self._claim_once()):
                return True
        except Refused:
            raise
        except MigctlError as error:
            reason = error.what
        _log.warning("heads not compared yet; the journal's own mark decides", reason=reason)
        return False

    async def _claim_once(self) -> None:
        while self._epochs is None:
            with suppress(TimedOut):  # slow, maybe: the next request has more time
                self._epochs = await self._claim()

    async def run(self) -> None:
        """Carry until cancelled.

        Raises Refused where another journal owns the table. Outages of the target are survived.
        """
        if self._epochs is None:
            self._epochs = await self._heads_attempts.until_done(self._claim)
        await self._table.until_done(self._writer.probe)
        await self.comparer.begin(await self._journal.cursor(CURSOR))
        while True:
            if self.comparer.gone:
                await self.comparer.go_back()
                self._reader.forget()
                self._sending_since = None
            async for info in self._to_carry(self._epochs):
                await self._carry_epoch(info)
                if self.comparer.gone:
                    break
                _log.info("epoch carried to its end", epoch=info.epoch, seq=self._done_to)

    async def _carry_epoch(self, info: EpochInfo) -> None:
        """To its end, where it has one, or until something of it is gone."""
        async with asyncio.TaskGroup() as group:
            heads = group.create_task(self._announcer.run(info, self._reached), name="heads")
            summary = group.create_task(self._summary.run(), name="summary")
            carrying = group.create_task(self._carry_to_the_end(info), name="carry")
            comparing = group.create_task(self._compare(carrying), name="compare")
            await asyncio.wait([carrying])
            self._announcer.end()
            await heads
            summary.cancel()
            comparing.cancel()

    async def _carry_to_the_end(self, info: EpochInfo) -> None:
        await self._carry()
        await self._announcer.until(info.head)

    async def _compare(self, carrying: asyncio.Task[None]) -> None:
        """End the carrying where the target no longer has what was carried."""
        await self.comparer.until_gone(lambda: Position(self._epoch, self._done_to))
        carrying.cancel()

    async def drain(self, timeout_s: float) -> int:
        """Wait, while `run` goes on, until table and heads have what the journal has; return the backlog that is left."""
        await within(timeout_s, self._until_all_is_announced())
        return self.backlog

    async def _until_all_is_announced(self) -> None:
        while self._is_old() or self._announced_to() < self._journal.head:
            await self._moved.wait()

    async def _claim(self) -> list[EpochInfo]:
        cursor = await self._journal.cursor(CURSOR)
        return await claim(self._journal, self._heads, self._writer, cursor)

    async def _to_carry(self, epochs: list[EpochInfo]) -> AsyncIterator[EpochInfo]:
        """Each epoch from the cursor's on, once the one before is carried; the open one is the last, and has no end."""
        cursor = await self._journal.cursor(CURSOR)
        places = [n for n, info in enumerate(epochs) if cursor is not None and info.epoch == cursor.epoch]
        for info in epochs[places[0] if places else 0 :]:
            after = cursor.seq if cursor is not None and info.epoch == cursor.epoch else info.tail - 1
            self._epoch, self._done_to = info.epoch, after
            self.trail.begin(info.epoch, after)
            self._reader.begin(info.epoch, after)
            await self._announcer.begin(info)
            self._taken_up = info
            if cursor is None or info.epoch != cursor.epoch:
                if after > 0:
                    await self._announcer.begin_at(info, info.tail)
                # Also a hold: what comes after it is not trimmed before it is in the table.
                await self._journal.move_cursor(CURSOR, Position(info.epoch, after))
            _log.info("relay starts", epoch=info.epoch, seq=after, journal_head=self._goal())
            yield info

    def _is_old(self) -> bool:
        return self._epoch != self._journal.epoch

    def _goal(self) -> int:
        """Where the epoch that is carried ends, as far as is known."""
        if self._is_old() and self._epochs is not None:
            return next(info.head for info in self._epochs if info.epoch == self._epoch)
        return self._journal.head

    async def _carry(self) -> None:
        """To the end of an epoch that has one, else for ever."""
        while not self._is_old() or self._done_to < self._goal():
            if not self._reader.waiting and not self._is_old():
                await self._journal.wait(self._reader.read_to)
            await self._reader.read_on(self._goal())
            await self.throttle.until_lifted()
            now = clock.now().timestamp()
            decision = form(self._reader.waiting, now, self._rules)
            if isinstance(decision, Hold):
                await self._more_or(decision.until_s - now)
            else:
                self.figures.formed(list(islice(self._reader.waiting, decision.count)), decision.cut, now)
                await self._while_reading_on(self._send(self._reader.take(decision), decision))

    async def _while_reading_on(self, sending: Coroutine[Any, Any, None]) -> None:
        """Send one batch; what may go into the next is read meanwhile. That is formed once this one is through."""
        reading = asyncio.create_task(self._reader.read_on(self._goal()), name="read on")
        try:
            await sending
        except BaseException:
            reading.cancel()
            raise
        finally:
            await asyncio.wait([reading])
        reading.result()

    async def _more_or(self, seconds: float) -> None:
        """Return when the journal has more, or this time has passed; a clock that was set back does not prolong it."""
        longest = max(bound.max_wait_s for bound in self._rules.bounds.values())
        # Of an old epoch nothing more will come.
        more = asyncio.Event().wait() if self._is_old() else self._journal.wait(self._reader.read_to)
        await within(min(seconds, longest), more)

    async def _send(self, entries: list[Entry], batch: Batch) -> None:
        """Return once each of them is a row or a tombstone, and the cursor is past it."""
        started, rows = clock.mono(), self._counts["rows"]
        self._sending_since = entries[0].committed_at
        if await self.comparer.is_there(entries):
            self._counts["repeats"] += len(entries)
            await self._acknowledge(entries[-1].position)
        else:
            await self._write(entries)
        self._sending_since = None
        self._counts["batches"] += 1
        took_s = clock.mono() - started
        self._summary.carried(took_s=took_s, events=len(entries), rows=self._counts["rows"] - rows)
        _log.debug(
            "batch written", epoch=entries[0].epoch, first=entries[0].seq, last=entries[-1].seq, count=len(entries),
            first_id=entries[0].event.id, cut=batch.cut, ms=round(took_s * 1000, 1),
        )  # fmt: skip

    async def _write(self, entries: list[Entry]) -> None:
        """In parts, where one of them is refused."""
        plan = Bisect(len(entries))
        while (indexes := plan.next()) is not None:
            part = entries[indexes.start : indexes.stop]
            written: Written | None
            try:
                written = await self._table.until_done(partial(write_or_blame, self._writer, part))
            except Blamed as blamed:
                written = await self.burying.bury(blamed)
            except Poison:
                plan.refused()
                continue
            if written is not None:
                self._count(written)
            plan.done()
            await self._acknowledge(part[-1].position)

    def _count(self, written: Written) -> None:
        self._counts["rows"] += written.inserted
        self._counts["repeats"] += written.repeated
        for tombstone in written.tombstones:
            self._tombstones[tombstone.reason] += 1

    async def _acknowledge(self, position: Position) -> None:
        self._done_to = position.seq
        self.trail.passed(position.epoch, position.seq, clock.now(), "written")
        self._moved.wake()
        await self._journal.move_cursor(CURSOR, position)
        await self.burying.passed(position)

    def _reached(self) -> Reached:
        return Reached(self._done_to, self._goal())

    def _announced_to(self) -> int:
        """Up to which seq table and heads have what is carried."""
        announced = self._announcer.announced
        return min(self._done_to, announced.table_head, announced.journal_head)
