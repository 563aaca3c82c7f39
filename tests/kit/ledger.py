"""Ledger: what was promised to producers, beside what journal, tables and readers have; and what must hold between them."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.rows import namedtuple_row

from migctl.events import Position
from migctl.journal.sqlite.files import read_file
from migctl.subscriber.core.release import Discontinuity, Release

Place = tuple[str, int]  # epoch and seq

# Heads, and how many seqs up to table_head are there.
HEADS = """
    select epoch, table_tail, table_head, journal_head,
      (select count(*) from monitoring_events e where e.epoch = h.epoch and seq <= table_head)
      + (select count(*) from monitoring_tombstones t where t.epoch = h.epoch and seq <= table_head) as held
    from monitoring_heads h"""


@dataclass(frozen=True)
class Stored:
    """What somebody has, by place."""

    ids: dict[Place, str]

    def heads(self) -> dict[str, int]:
        """The highest seq of each epoch, which must have all of them from 1 on."""
        seqs: dict[str, list[int]] = {}
        for epoch, seq in self.ids:
            seqs.setdefault(epoch, []).append(seq)
        for epoch, found in seqs.items():
            assert sorted(found) == list(range(1, len(found) + 1)), f"a hole in {epoch}: {missing(found)}"
        return {epoch: len(found) for epoch, found in seqs.items()}


@dataclass(frozen=True)
class Target(Stored):
    """The tables. tombstones: their reasons; their places are among `ids` too. dead: an id that stands at two places."""

    tombstones: dict[Place, str]


def missing(seqs: Sequence[int]) -> list[int]:
    return sorted(set(range(1, max(seqs) + 1)) - set(seqs))[:5]


def tables(url: str) -> Target:
    """All of both, at one moment. No place may be in both, no id be two rows."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        rows = connection.execute("select epoch, seq, id::text from monitoring_events").fetchall()
        buried = connection.execute(
            "select epoch, seq, id::text, reason from monitoring_tombstones"
        ).fetchall()
    events = {(epoch, seq): event_id for epoch, seq, event_id in rows}
    tombstones = {(epoch, seq): event_id for epoch, seq, event_id, _ in buried}
    assert not events.keys() & tombstones.keys(), "both row and tombstone"
    return Target(events | tombstones, {(epoch, seq): reason for epoch, seq, _, reason in buried})


@dataclass(frozen=True)
class Found(Stored):
    """A journal's files as a crash left them. cursor: of the relay."""

    cursor: Position | None


def journal(path: Path, scratch: Path) -> Found:
    """From a copy of the files: whoever opens the journal itself would mend what the next writer must be able to mend."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for suffix in ("", "-wal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            shutil.copy(beside, scratch / beside.name)
    copy = scratch / path.name
    with closing(sqlite3.connect(copy)) as database:
        row = database.execute("SELECT epoch, seq FROM cursors WHERE name = 'relay'").fetchone()
        entries = list(read_file(copy))
    assert_once(((entry.epoch, entry.seq), entry.event.id) for entry in entries)
    return Found(
        {(entry.epoch, entry.seq): entry.event.id for entry in entries}, Position(*row) if row else None
    )


def assert_once(view: Iterable[tuple[Place, str]]) -> None:
    """Each id at one place, each place once."""
    view = list(view)
    for seen in (Counter(place for place, _ in view), Counter(event_id for _, event_id in view)):
        assert [one for one, count in seen.items() if count > 1] == []


def assert_cursor_is_behind_the_tables(found: Found, target: Target) -> None:
    if found.cursor is not None:
        epoch, upto = found.cursor
        there = {seq for at, seq in target.ids if at == epoch}
        assert there >= set(range(1, upto + 1)), (
            f"the cursor is at {upto}, past {missing([*there, upto + 1])}"
        )


def assert_one_run(items: Sequence[Release | Discontinuity], first: Place) -> None:
    """Each seq follows the one before, from `first` on, and nothing was declared lost."""
    places = [(item.epoch, item.seq) for item in items if isinstance(item, Release)]
    assert len(places) == len(items), [item for item in items if isinstance(item, Discontinuity)]
    epoch, seq = first
    assert places == [(epoch, seq + number) for number in range(len(places))]


@dataclass
class Sampled:
    """Heads as a reader sees them, again and again. samples: how often."""

    url: str
    samples: int = 0
    wrong: list[str] = field(default_factory=list)
    _last: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    async def run(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            self.url, autocommit=True, row_factory=namedtuple_row
        ) as connection:
            while True:
                for row in await (await connection.execute(HEADS)).fetchall():
                    state = (row.table_tail, row.table_head, row.journal_head)
                    before = self._last.setdefault(row.epoch, state)
                    if any(now < then for now, then in zip(state, before, strict=True)):
                        self.wrong.append(f"heads fell: {before} to {state}")
                    if row.held != row.table_head - row.table_tail + 1:
                        self.wrong.append(f"{state} promises {row.table_head} seqs, and {row.held} are there")
                    self._last[row.epoch] = state
                self.samples += 1
                await asyncio.sleep(0.05)


@asynccontextmanager
async def sampling_heads(url: str) -> AsyncIterator[Sampled]:
    """For the length of the block. They never fall, and never promise what is neither row nor tombstone."""
    sampled = Sampled(url)
    task = asyncio.create_task(sampled.run())
    try:
        yield sampled
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert sampled.wrong == [], sampled.wrong[:3]
    assert sampled.samples > 0
