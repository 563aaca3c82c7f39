"""World: one journal, its relay, the target's tables and their readers, through crashes, outages and copies put back.

Everything in it is real but the crash, which is the files as kill -9 leaves them: copied at one moment between two transactions,
while writer and relay run on; then these are forgotten, and the next life begins with the copy.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from migctl.config import Settings, Target
from migctl.config.settings import BatchingSection, BreakerSection, ResilienceSection, RetrySection
from migctl.delivery import Relay
from migctl.events import Event, Position
from migctl.faults import TcpProxy
from migctl.journal import Conflict
from migctl.journal.sqlite import SqliteJournal, highwater
from migctl.subscriber.core.catchup import PATIENCE_S
from migctl.subscriber.core.flow import Flow
from migctl.subscriber.core.release import Discontinuity, Release
from migctl.subscriber.realtime.catchup import CatchUp
from migctl.subscriber.realtime.tables import Tables
from migctl.subscriber.realtime.token import Token
from migctl.target import Heads, TableWriter
from tests.kit import entries, journals, ledger
from tests.kit.conditions import until
from tests.kit.ledger import Place
from tests.kit.receiving import token_of
from tests.kit.relaying import relayed
from tests.kit.set_back import TargetCopies

RELAYED_WITHIN_S = 60.0
# The product's own rules, in the time of a test.
SETTINGS = Settings(
    relay=BatchingSection(compare_every_s=0.1),
    resilience=ResilienceSection(
        breaker=BreakerSection(open_s=0.05, max_open_s=0.2),
        retry=RetrySection(first_delay_s=0.01, max_delay_s=0.1),
        systemic_retry=RetrySection(first_delay_s=0.05, max_delay_s=0.2),
    ),
)


class TableReader:
    """A reader of the tables, whose consumer takes what was read when it likes."""

    def __init__(self, target: Target, start: Position, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self.items: list[Release | Discontinuity] = []
        self._tables = Tables(target.supabase_url, target.need("anon_key"), "public", Token(token_of(target)))
        self._resume(start)

    async def poll(self) -> bool:
        return await self._catchup.round()

    def take(self) -> None:
        self.items += self._flow.merge.take()

    def come_again(self) -> None:
        """Another process of the same reader: it has the position up to which it took, and nothing else."""
        position = self._flow.merge.position
        assert position is not None
        self._resume(position)

    def _resume(self, position: Position) -> None:
        self._flow = Flow()
        self._flow.start(position)
        self._catchup = CatchUp(self._tables, self._flow, patience_s=self._patience_s)

    async def aclose(self) -> None:
        await self._tables.aclose()


class World:
    """proxy: before the target, on the relay's way to it.

    acknowledged: each event, and the places that it has had. unanswered: requests without an answer.
    forgotten: those of which nobody could know any more: a copy was put back with its mark, and neither of these nor heads nor
    tables had heard of their places; or their places were given twice, before the table could be asked, and the other events are
    in what was put back, or in the table.
    """

    def __init__(self, folder: Path, target: Target, proxy: TcpProxy) -> None:
        self.proxy = proxy
        self.acknowledged: dict[str, tuple[Event, list[Place]]] = {}
        self.forgotten: set[str] = set()
        self.unanswered: list[list[Event]] = []
        self.copies: list[Path] = []
        self.readers: list[TableReader] = []
        self._folder = folder
        self._target = target
        self._url = target.need("database_url")
        self._looking: psycopg.Connection[Any] = psycopg.connect(self._url, autocommit=True)
        self._lives = 0
        self._sending: dict[asyncio.Task[None], list[Event]] = {}
        self._given: dict[Place, str] = {}
        self._given_twice: set[Place] = set()
        # Events taken since a copy was put back with its mark; None once heads were compared.
        self._taken_in_doubt: int | None = None
        self._heads: dict[str, tuple[int, int, int]] = {}
        self.target_copies = TargetCopies(self._looking)
        # The target went back in time, and nobody waited until the relay had made it whole.
        self._in_pieces = False

    # Lives.

    async def begin(self) -> None:
        self._looking.execute("truncate monitoring_events, monitoring_tombstones, monitoring_heads")
        await self._open()
        start = Position(self.journal.epoch, 0)
        self.readers = [TableReader(self._target, start) for _ in range(2)]

    async def _open(self) -> None:
        self.journal = await SqliteJournal.open(self._path)
        self._start_relay()

    def _start_relay(self) -> None:
        reached = replace(self._target, supabase_url=self.proxy.url)
        timeouts = SETTINGS.resilience.request_timeout
        self._writer = TableWriter(reached, "public", timeouts)
        self._mover = Heads(reached, "public", timeouts)
        self.relay = Relay(self.journal, self._writer, self._mover, SETTINGS, rng=Random(1))
        self._relaying = asyncio.create_task(self.relay.run())

    async def _stop_relay(self) -> None:
        self._relaying.cancel()
        await asyncio.wait([self._relaying])
        if not self._relaying.cancelled():
            self._relaying.result()
        await self._writer.aclose()
        await self._mover.aclose()

    @property
    def _path(self) -> Path:
        return self._folder / str(self._lives) / "journal.db"

    async def crash(self) -> None:
        old, self._lives = self._path, self._lives + 1
        self._copy_as_killed(old, self._path)
        await self._forget()
        await self._open()

    def _copy_as_killed(self, path: Path, to: Path) -> None:
        """All that is on disk, at one moment. Nothing is awaited, so nobody is told anything meanwhile."""
        to.parent.mkdir(parents=True)
        with closing(sqlite3.connect(path, isolation_level=None)) as holding:
            # While this is held nobody writes to the log, nor cuts it; a checkpoint only repeats what is in the log already.
            holding.execute("BEGIN IMMEDIATE")
            for suffix in ("-wal", "", highwater.path_of(path).name.removeprefix(path.name)):
                beside = path.with_name(path.name + suffix)
                if beside.exists():
                    shutil.copy(beside, to.with_name(beside.name))
        if not self._in_pieces:
            ledger.assert_cursor_is_behind_the_tables(
                ledger.journal(to, self._folder / "looked_at"), ledger.tables(self._url)
            )

    async def _forget(self) -> None:
        """What was running is gone, with the requests that nobody answered."""
        if self._taken_in_doubt and await self.journal.unconfirmed() is None:
            self._taken_in_doubt = None
        for task, events in self._sending.items():
            task.cancel()
            self.unanswered.append(events)
        await asyncio.gather(*self._sending, return_exceptions=True)
        self._sending.clear()
        await self._stop_relay()
        await self.journal.aclose()

    def set_back(self, how: Callable[[TargetCopies], None]) -> None:
        """The target goes back in time, under whatever runs."""
        how(self.target_copies)
        self._in_pieces, self._heads = True, {}

    async def rotate(self) -> None:
        await self._stop_relay()
        await self.journal.rotate_epoch(self.journal.epoch, lost=None, reason="an operator wanted it")
        self._start_relay()

    def back_up(self) -> None:
        copy = self._folder / f"copy_{len(self.copies)}.db"
        self.copies.append(journals.copy_of(self._path, copy))
        if highwater.path_of(self._path).exists():
            shutil.copy(highwater.path_of(self._path), highwater.path_of(copy))

    async def put_back(self, copy: Path, *, mark_too: bool) -> None:
        await self._forget()
        await until(
            self._is_quiet
        )  # a copy is put back by a person, after the last request of the killed relay
        self._follow_moves()
        journals.put_back(copy, self._path)
        self._forget_what_nobody_knows(copy, mark_too=mark_too)
        if mark_too:
            self._taken_in_doubt = self._taken_in_doubt or 0
            shutil.copy(highwater.path_of(copy), highwater.path_of(self._path))
        await self._open()

    def _follow_moves(self) -> None:
        """Where the events are that lost their places to a new epoch."""
        for place, event_id in ledger.journal(self._path, self._folder / "looked_at").ids.items():
            if event_id in self.acknowledged and place not in self.acknowledged[event_id][1]:
                self.acknowledged[event_id][1].append(place)

    def _forget_what_nobody_knows(self, copy: Path, *, mark_too: bool) -> None:
        heard = Counter(
            {epoch: max(table, head) for epoch, _, table, head, _ in self._looking.execute(ledger.HEADS)}
        )
        mark = highwater.read(copy)
        for epoch, head in () if mark is None else (*mark.before, (mark.epoch, mark.head)):
            heard[epoch] = max(heard[epoch], head)
        there = (
            ledger.tables(self._url).ids.items()
            | ledger.journal(copy, self._folder / "looked_at").ids.items()
        )
        taken, held = {place for place, _ in there}, {event_id for _, event_id in there}
        for event_id, (_, places) in self.acknowledged.items():
            epoch, seq = places[-1]
            unheard = mark_too and seq > heard[epoch]
            covered = places[-1] in self._given_twice and places[-1] in taken
            if event_id not in held and (unheard or covered):
                self.forgotten.add(event_id)

    def _is_quiet(self) -> bool:
        busy = self._looking.execute(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() and backend_type = 'client backend' and state <> 'idle'"
        ).fetchone()
        return busy == (0,)

    # Producers.

    async def send(self, events: list[Event], *, wait: bool = True) -> None:
        task = asyncio.create_task(self._send(events))
        self._sending[task] = events
        task.add_done_callback(lambda done: done.cancelled() or self._sending.pop(done, None))
        if wait:
            await task

    async def _send(self, events: list[Event]) -> None:
        answer = await self.journal.append(events)
        for event, place in zip(events, answer.positions(), strict=True):
            _, places = self.acknowledged.setdefault(event.id, (event, []))
            places.append(tuple(place))
            self._note_place(tuple(place), event.id)
            self.forgotten.discard(event.id)

    def _note_place(self, place: Place, event_id: str) -> None:
        """No place is given twice, unless the one witness was put back too, and the table could not be asked."""
        if self._taken_in_doubt is not None:
            self._taken_in_doubt += 1
        if self._given.setdefault(place, event_id) != event_id:
            assert self._taken_in_doubt is not None, f"{place} was given to two events"
            self._given_twice.add(place)

    async def send_again(self) -> None:
        while self.unanswered:
            await self.send(self.unanswered[-1])
            self.unanswered.pop()

    async def send_changed(self, event: Event) -> None:
        """Another body under an id that the journal has: refused, and nothing of the request is stored."""
        known = await self.journal.get(event.id)
        if known is None:
            return
        beside = entries.event()
        try:
            await self.journal.append([beside, event])
        except Conflict:
            assert await self.journal.get(beside.id) is None
        else:
            raise AssertionError(f"{event.id} was taken with another body")

    # What holds always.

    def check(self) -> None:
        if self._relaying.done():
            self._relaying.result()
        for task in list(self._sending):
            if task.done():
                task.result()
        if self._in_pieces:
            return
        rows = self._looking.execute(ledger.HEADS).fetchall()
        for epoch, *state, held in rows:
            tail, head, _ = state
            before = self._heads.get(epoch, (0, 0, 0))
            assert all(now >= then for now, then in zip(state, before, strict=True)), "heads fell"
            assert held == head - tail + 1, (
                f"heads of {epoch} promise {head} seqs from {tail} on: {held} are there"
            )
            self._heads[epoch] = (state[0], state[1], state[2])

    # What holds in the end.

    async def come_to_rest(self) -> None:
        """Everything healed, sent, relayed and read."""
        self.proxy.heal()
        await asyncio.gather(*self._sending)
        await self.send_again()
        await self.relay_all()
        self._chain()
        target = ledger.tables(self._url)
        epochs = await self.journal.epochs()
        last = epochs[-1]
        for reader in self.readers:
            await until(lambda reader=reader: self._is_through(reader, target))  # type: ignore[misc]
        lost = self._declared_lost()
        self._check_tables(target, ledger.journal(self._path, self._folder / "looked_at"), lost)
        assert target.heads().get(last.epoch, 0) == self.journal.head
        self._check_readers(target, lost)

    async def relay_all(self) -> None:
        await relayed(self.journal, self.relay, within_s=RELAYED_WITHIN_S)
        await until(lambda: self._told() == self.journal.head)
        if self._in_pieces:
            await until(self._is_whole, within_s=RELAYED_WITHIN_S)
            self._in_pieces = False

    def _is_whole(self) -> bool:
        """The target has all of the journal again, and heads say so, each of its epoch."""
        ours = ledger.journal(self._path, self._folder / "looked_at").heads()
        theirs = {epoch: head for epoch, _, head, *_ in self._looking.execute(ledger.HEADS)}
        there = ledger.tables(self._url).ids
        return all(theirs.get(epoch) == head for epoch, head in ours.items()) and all(
            (epoch, seq) in there for epoch, head in ours.items() for seq in range(1, head + 1)
        )

    def _told(self) -> int | None:
        row = self._looking.execute(
            "select table_head from monitoring_heads where epoch = %s", [self.journal.epoch]
        ).fetchone()
        return row[0] if row else None

    async def _is_through(self, reader: TableReader, target: ledger.Target) -> bool:
        await reader.poll()
        reader.take()
        return len(reader.items) >= len(self._stream(target)) + len(self._declared_lost())

    def _chain(self) -> list[tuple[str, str | None, int | None, int | None]]:
        """The epochs as heads link them: there is one first, and each has at most one that follows it."""
        rows = self._looking.execute(
            "select epoch, prev_epoch, lost_from, lost_to from monitoring_heads"
        ).fetchall()
        follows = {row[1]: row for row in rows}
        chain = []
        at = None
        while (row := follows.get(at)) is not None:
            chain.append(row)
            at = row[0]
        assert len(chain) == len(rows), f"heads are no chain: {rows}"
        return chain

    def _stream(self, target: ledger.Target) -> list[Place]:
        """What a reader must have been handed."""
        order = {epoch: number for number, (epoch, *_) in enumerate(self._chain())}
        places = [place for place in target.ids if target.tombstones.get(place) != "duplicate_of"]
        return sorted(places, key=lambda place: (order[place[0]], place[1]))

    def _declared_lost(self) -> list[tuple[str, int, int]]:
        return [
            (prev, first, last)
            for _, prev, first, last in self._chain()
            if prev is not None and first is not None and last is not None
        ]

    def _check_tables(
        self, target: ledger.Target, found: ledger.Found, lost: list[tuple[str, int, int]]
    ) -> None:
        journal_ids = found.ids
        for epoch in {epoch for epoch, _ in journal_ids}:
            ours = {place: id_ for place, id_ in journal_ids.items() if place[0] == epoch}
            theirs = {place: target.ids.get(place) for place in ours}
            assert theirs == ours, "table and journal differ"
        target.heads()
        written = set(target.ids.values())
        for event_id, (_, places) in self.acknowledged.items():
            at, seq = places[-1]
            said = any(at == epoch and first <= seq <= last for epoch, first, last in lost)
            said = said or event_id in self.forgotten
            assert event_id in written or said, (
                f"{event_id} was acknowledged at {places}, and is nowhere; lost, as is said: {lost}"
            )
        for epoch, first, last in lost:
            held = [seq for at, seq in target.ids if at == epoch and first <= seq <= last]
            assert held == [], f"{epoch} {first} to {last} is said to be lost, and {held} are there"
        views = [
            [(epoch, seq, id_) for (epoch, seq), id_ in view.items()] for view in (journal_ids, target.ids)
        ]
        seen = [
            [(item.epoch, item.seq, item.id) for item in reader.items if isinstance(item, Release)]
            for reader in self.readers
        ]
        journals.assert_no_seq_means_two_events(*views, *seen)

    def _check_readers(self, target: ledger.Target, lost: list[tuple[str, int, int]]) -> None:
        stream = self._stream(target)
        for reader in self.readers:
            places = [(item.epoch, item.seq) for item in reader.items if isinstance(item, Release)]
            assert places == stream
            gaps = [item for item in reader.items if isinstance(item, Discontinuity)]
            assert [(gap.after.epoch, gap.lost_from, gap.lost_to) for gap in gaps] == lost
            assert {gap.reason for gap in gaps} <= {"lost"}

    async def end(self) -> None:
        await self._forget()
        self._looking.close()
        for reader in self.readers:
            await reader.aclose()
