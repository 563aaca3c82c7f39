"""Relay: carries events from the journal to the Supabase table, in order, at least once.

The cursor passes a seq only when it is a row or a tombstone, so a crash repeats at most one batch; the table drops repeats by
event id. A target that is down only makes the backlog grow.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from random import Random
from typing import Any

from migctl import clock
from migctl.config import Settings
from migctl.delivery import ownership
from migctl.delivery.attempts import STATES, Attempts
from migctl.delivery.batches import Batch, Bound, Hold, Rules, Waiting, form
from migctl.delivery.bisect import Bisect
from migctl.delivery.classes import Classifier
from migctl.errors import Poison, Refused
from migctl.events import Entry, Position
from migctl.journal import DeadLetter, EpochInfo, Journal
from migctl.telemetry import get_logger
from migctl.transports.realtime import Heads, TableWriter, Tombstone, Written, row_bytes

CURSOR = "relay"

# Heads are moved at once after an idle time, then no more often than this: readers poll them every 0.25 s at most.
HEADS_APART_S = 0.1
HEADS_BEHIND_S = 1.0
# More dead letters than this a minute are not the events' fault: the rest waits for the minute to pass.
POISON_A_MINUTE = 20

_log = get_logger("relay")


class Relay:
    """One for a journal; `run` is its whole life. settings: of these, `relay` has the classes and bounds of batches."""

    def __init__(
        self,
        journal: Journal,
        writer: TableWriter,
        heads: Heads,
        settings: Settings,
        *,
        rng: Random | None = None,
    ) -> None:
        batching = settings.relay
        self._journal = journal
        self._writer = writer
        self._heads = heads
        self._rules = Rules(
            bounds={
                "high": Bound(batching.high.max_events, batching.high.max_wait_s),
                "medium": Bound(batching.medium.max_events, batching.medium.max_wait_s),
                "low": Bound(batching.low.max_events, batching.low.max_wait_s),
            },
            max_bytes=batching.max_bytes,
            backlog_max_events=batching.backlog_max_events,
            wait=batching.batching == "wait",
        )
        self._classifier = Classifier(batching.classes)
        random = (rng or Random()).random
        self._table = Attempts("table", random)
        self._heads_attempts = Attempts("heads", random)
        self._entries: deque[Entry] = deque()
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._read_to = 0
        self._table_head = 0
        self._told: tuple[int, int] = (0, 0)
        self._changed = asyncio.Event()
        self._buried_at: deque[float] = deque()
        self._counts: Counter[str] = Counter()
        self._cuts: Counter[str] = Counter()
        self._tombstones: Counter[str] = Counter()

    @property
    def table_head(self) -> int:
        """Every seq of the epoch up to here is a row or a tombstone."""
        return self._table_head

    def status(self) -> dict[str, Any]:
        oldest = self._entries[0].committed_at if self._entries else None
        # The worse of the two.
        attempts = max(self._table, self._heads_attempts, key=lambda each: STATES.index(each.state))
        return {
            "state": attempts.state,
            "reason": attempts.reason,
            "epoch": self._journal.epoch,
            "table_head": self._table_head,
            "journal_head": self._journal.head,
            "backlog": self._journal.head - self._table_head,
            "oldest_waits_s": round((clock.now() - oldest).total_seconds(), 3) if oldest else None,
            "batches": self._counts["batches"],
            "rows": self._counts["rows"],
            "repeats": self._counts["repeats"],
            "retries": self._table.retries + self._heads_attempts.retries,
            "cuts": dict(self._cuts),
            "tombstones": dict(self._tombstones),
        }

    async def run(self) -> None:
        """Carry until cancelled.

        Raises Refused where another journal owns the table, or this one is older than what it wrote. Outages of the target are
        survived.
        """
        epoch = await self._begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._move_heads(epoch), name="heads")
            group.create_task(self._carry(), name="relay")

    async def drain(self, timeout_s: float) -> int:
        """Wait, while `run` goes on, until table and heads have what the journal has; return the backlog that is left."""
        try:
            async with asyncio.timeout(timeout_s):
                while min(self._table_head, *self._told) < self._journal.head:
                    await self._change()
        except TimeoutError:
            pass
        return self._journal.head - self._table_head

    async def _begin(self) -> EpochInfo:
        """Compare heads with the journal, and find where to go on."""
        heads = await self._heads_attempts.until_done(self._heads.read)
        epochs = await self._journal.epochs()
        ownership.check(
            heads,
            epochs,
            writer_id=self._journal.writer_id,
            journal_head=self._journal.head,
            target=self._writer.name,
        )
        await self._table.until_done(self._writer.probe)
        cursor = await self._journal.cursor(CURSOR)
        if cursor is not None and cursor.epoch == self._journal.epoch:
            self._table_head = cursor.seq
        elif cursor is not None:
            _log.warning("new epoch", epoch=self._journal.epoch, seq=0, cursor=str(cursor))
        self._read_to = self._table_head
        _log.info(
            "relay starts", epoch=self._journal.epoch, seq=self._table_head, journal_head=self._journal.head
        )
        return epochs[-1]

    async def _carry(self) -> None:
        while True:
            await self._fill()
            now = clock.now().timestamp()
            decision = form(self._waiting, now, self._rules)
            if isinstance(decision, Hold):
                await self._more_or(decision.until_s - now)
            else:
                await self._send(self._take(decision), decision)

    async def _fill(self) -> None:
        """Have something to form a batch of: at least one event, and two full requests of backlog where they are there."""
        if not self._entries:
            await self._journal.wait(self._read_to)
        while (
            self._journal.head > self._read_to
            and len(self._entries) < 2 * self._rules.backlog_max_events
            and self._waiting_bytes < 2 * self._rules.max_bytes
        ):
            entries = await self._journal.read(self._read_to, max_bytes=self._rules.max_bytes)
            if not entries or entries[0].seq != self._read_to + 1:
                raise Refused(
                    f"the journal has no seq {self._read_to + 1} of epoch {self._journal.epoch}, and it was not relayed",
                    do="bring back a copy of the journal that has it; the table would have a hole",
                )
            for entry in entries:
                self._add(entry)

    def _add(self, entry: Entry) -> None:
        at = entry.committed_at.timestamp()
        size = row_bytes(entry)
        self._entries.append(entry)
        self._waiting.append(Waiting(self._classifier.observe(entry.event.event_type, at), size, at))
        self._waiting_bytes += size
        self._read_to = entry.seq

    async def _more_or(self, seconds: float) -> None:
        """Return when the journal has more, or this time has passed; a clock that was set back does not prolong it."""
        longest = max(bound.max_wait_s for bound in self._rules.bounds.values())
        try:
            async with asyncio.timeout(min(seconds, longest)):
                await self._journal.wait(self._read_to)
        except TimeoutError:
            pass

    def _take(self, batch: Batch) -> list[Entry]:
        for _ in range(batch.count):
            self._waiting_bytes -= self._waiting.popleft().size
        return [self._entries.popleft() for _ in range(batch.count)]

    async def _send(self, entries: list[Entry], batch: Batch) -> None:
        """Return once each of them is a row or a tombstone, and the cursor is past it."""
        started = clock.mono()
        plan = Bisect(len(entries))
        while (indexes := plan.next()) is not None:
            part = entries[indexes.start : indexes.stop]
            try:
                written = await self._table.until_done(lambda part=part: self._write(part))  # type: ignore[misc]
            except Poison as error:
                if not plan.refused():
                    continue
                await self._bury(part[0], error)
            else:
                self._count(written)
            plan.done()
            await self._acknowledge(part[-1].position)
        self._counts["batches"] += 1
        self._cuts[batch.cut] += 1
        _log.info(
            "batch written", epoch=entries[0].epoch, first=entries[0].seq, last=entries[-1].seq, count=len(entries),
            first_id=entries[0].event.id, cut=batch.cut, ms=round((clock.mono() - started) * 1000, 1),
        )  # fmt: skip

    async def _write(self, part: Sequence[Entry]) -> Written:
        try:
            return await self._writer.write(part)
        except Poison:
            if len(part) == 1:
                await self._writer.probe()  # an event is blamed only while the table itself can be read
            raise

    async def _bury(self, entry: Entry, error: Poison) -> None:
        """Keep a poison event: its text as a tombstone, from which it is delivered, and a dead letter for the operator."""
        await self._hold_in_storm(entry, error)
        await self._table.until_done(lambda: self._writer.bury([Tombstone(entry, "poison")]))
        code, reason = getattr(error, "code", ""), getattr(error, "reason", error.what)
        await self._journal.bury(
            DeadLetter(
                position=entry.position, event_id=entry.event.id, code=code, reason=reason, at=clock.now()
            )
        )
        self._buried_at.append(clock.mono())
        self._tombstones["poison"] += 1
        _log.error(
            "event buried", epoch=entry.epoch, seq=entry.seq, id=entry.event.id, code=code, reason=reason
        )

    async def _hold_in_storm(self, entry: Entry, error: Poison) -> None:
        while self._buried_at:
            left = self._buried_at[0] + 60.0 - clock.mono()
            if left <= 0:
                self._buried_at.popleft()
            elif len(self._buried_at) < POISON_A_MINUTE:
                return
            else:
                self._table.fail(
                    "paused",
                    f"{POISON_A_MINUTE} dead letters in a minute; next is seq {entry.seq} of {entry.epoch}: {error.what}",
                    "find out why the table refuses so much: `migctl schema verify`; it goes on as the minute passes",
                )
                await asyncio.sleep(left)

    def _count(self, written: Written) -> None:
        self._counts["rows"] += written.inserted
        self._counts["repeats"] += written.repeated
        for tombstone in written.tombstones:
            self._tombstones[tombstone.reason] += 1

    async def _acknowledge(self, position: Position) -> None:
        self._table_head = position.seq
        self._tell_change()
        await self._journal.move_cursor(CURSOR, position)

    async def _move_heads(self, epoch: EpochInfo) -> None:
        """Tell readers how far table and journal are: at once, coalesced while busy, every second while behind."""

        async def move() -> tuple[int, int]:
            state = (self._table_head, self._journal.head)
            await self._heads.move(
                epoch, writer_id=self._journal.writer_id, table_head=state[0], journal_head=state[1]
            )
            return state

        made = False
        while True:
            if not made or (self._table_head, self._journal.head) != self._told:
                self._told, made = await self._heads_attempts.until_done(move), True
                self._tell_change()
                await asyncio.sleep(HEADS_APART_S)
            if (self._table_head, self._journal.head) == self._told:
                try:
                    async with asyncio.timeout(HEADS_BEHIND_S):
                        await self._change()
                except TimeoutError:
                    pass

    async def _change(self) -> None:
        """Return when the table head or the heads have moved."""
        await self._changed.wait()

    def _tell_change(self) -> None:
        """Wake who waits now, and only them."""
        self._changed.set()
        self._changed = asyncio.Event()
