"""Prunes the tables: deletes rows and tombstones that are old enough, in paced batches, after the tail of their epoch was moved.

The tail moves first, in a transaction of its own, so a reader that comes too late gets `pruned` and never meets a hole. What
lies below the tail may be deleted at any time; so a run that was killed is finished by the next, whatever bound that one is given.
What a prune takes is a prefix of each epoch below table_head: it ends before the first seq that is not old enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

from psycopg import sql

from migctl.errors import Usage, Wanting
from migctl.events.durations import seconds_of
from migctl.schema import referring
from migctl.schema.connection import Connection, snapshot
from migctl.schema.expected import MOVE_TAIL
from migctl.schema.files import EVENTS, HEADS, TOMBSTONES


@dataclass(frozen=True, slots=True)
class EpochPrune:
    """One epoch. tail: as it is; new_tail: as it will be; rows, tombstones: what is below new_tail."""

    epoch: str
    tail: int
    new_tail: int
    head: int
    rows: int
    tombstones: int


@dataclass(frozen=True, slots=True)
class Prune:
    """What is, or would be, deleted. before: the bound, UTC; adopted: rows without a position, None where nobody asked for them."""

    before: datetime
    epochs: tuple[EpochPrune, ...]
    adopted: int | None

    @property
    def total(self) -> int:
        """Rows and tombstones together."""
        return sum(one.rows + one.tombstones for one in self.epochs) + (self.adopted or 0)


@dataclass(frozen=True, slots=True)
class Pace:
    """batch: rows a transaction; pause_s: between two of them, so that the server's other work goes on."""

    batch: int
    pause_s: float


def age_s(text: str) -> float:
    """`30d`, `12h`: in seconds. Raises Usage."""
    try:
        seconds = seconds_of(text)
    except ValueError:
        seconds = 0.0
    # What is deleted is not left to a unit that nobody wrote.
    if seconds <= 0 or text.strip()[-1].isdigit():
        raise Usage(
            f"--older-than: expected an age above 0 such as 30d, got {text!r}",
            do="write a number and a unit: s, m, h, d or w",
        )
    return seconds


async def survey(connection: Connection, schema: str, older_than_s: float, *, adopted: bool) -> Prune:
    """What a prune would take, by the database's clock and in one snapshot. Changes nothing.

    An event is old when it was committed to the journal, and its row was written, before the bound: a backlog that the relay
    delivered late is not gone before readers saw it. Raises Wanting where the schema is not applied, Refused where rows of other
    tables refer to what would go.
    """
    async with snapshot(connection):
        await _require_function(connection, schema)
        # A policy that hid rows from this role would make them look gone; counting them all may also take a while.
        await connection.execute(
            "select set_config('row_security', 'off', true), set_config('statement_timeout', '0', true)"
        )
        cursor = await connection.execute("select now() - make_interval(secs => %s)", [older_than_s])
        row = await cursor.fetchone()
        assert row is not None
        before = row[0].astimezone(UTC)
        cursor = await connection.execute(_sql(_EPOCHS, schema), {"before": before})
        epochs = tuple(EpochPrune(*found) for found in await cursor.fetchall())
        count = None
        if adopted:
            cursor = await connection.execute(_sql(_COUNT_ADOPTED, schema), {"before": before})
            row = await cursor.fetchone()
            assert row is not None
            count = int(row[0])
        chosen = Prune(before, tuple(one for one in epochs if _to_do(one)), count)
        keys = await referring.keys_to(connection, schema)
        values = {
            "epochs": [one.epoch for one in chosen.epochs],
            "tails": [one.new_tail for one in chosen.epochs],
            "before": before if adopted else datetime.min.replace(tzinfo=UTC),
        }
        doomed = {EVENTS: _sql(_DOOMED_EVENTS, schema), TOMBSTONES: _sql(_DOOMED_TOMBSTONES, schema)}
        await referring.check(connection, keys, doomed, values)
        return chosen


async def carry_out(
    connection: Connection,
    schema: str,
    chosen: Prune,
    pace: Pace,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Prune:
    """Move each tail, then delete what is below it. Returns what was deleted and where the tails are then.

    progress: called after each batch with how many are gone so far. Raises Refused where rows of other tables begin to refer to
    what would go.
    """
    gone = 0
    keys = await referring.keys_to(connection, schema)
    done: list[EpochPrune] = []

    async def batch(table: str, these: LiteralString, values: dict[str, object]) -> int:
        within, next_ = sql.Identifier(schema, table), _sql(these, schema)
        values, ours = {**values, "batch": pace.batch}, [key for key in keys if key.to == table]
        if not ours:
            taken = sql.SQL("delete from only {} where ctid = any(array({}))").format(within, next_)
            return (await connection.execute(taken, values)).rowcount
        async with connection.transaction():
            await connection.execute("select set_config('row_security', 'off', true)")
            locked = await connection.execute(next_ + sql.SQL(" for update"), values)
            values = {"these": [str(row[0]) for row in await locked.fetchall()]}
            doomed = sql.SQL("select * from only {} where ctid = any(%(these)s::tid[])").format(within)
            await referring.check(connection, ours, {table: doomed}, values)
            taken = sql.SQL("delete from only {} where ctid = any(%(these)s::tid[])").format(within)
            return (await connection.execute(taken, values)).rowcount

    async def delete(table: str, these: LiteralString, values: dict[str, object]) -> int:
        nonlocal gone
        deleted = 0
        while True:
            count = await batch(table, these, values)
            deleted += count
            gone += count
            progress(gone)
            # A batch that came short may have met rows that somebody else just deleted: only an empty one is the end.
            if count == 0:
                return deleted
            await asyncio.sleep(pace.pause_s)

    for one in chosen.epochs:
        cursor = await connection.execute(
            _sql("select table_tail, table_head from {move_tail}(%s, %s)", schema), [one.epoch, one.new_tail]
        )
        row = await cursor.fetchone()
        assert row is not None
        tail, head = row
        below: dict[str, object] = {"epoch": one.epoch, "tail": tail}
        rows = await delete(EVENTS, _NEXT_ROWS, below)
        tombstones = await delete(TOMBSTONES, _NEXT_TOMBSTONES, below)
        done.append(EpochPrune(one.epoch, one.tail, tail, head, rows, tombstones))
    adopted = None
    if chosen.adopted is not None:
        adopted = await delete(EVENTS, _NEXT_ADOPTED, {"before": chosen.before})
    return Prune(chosen.before, tuple(done), adopted)


def _to_do(one: EpochPrune) -> bool:
    return one.new_tail > one.tail or one.rows + one.tombstones > 0


async def _require_function(connection: Connection, schema: str) -> None:
    cursor = await connection.execute(
        "select 1 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace"
        " where n.nspname = %s and p.proname = %s",
        [schema, MOVE_TAIL],
    )
    if await cursor.fetchone() is None:
        raise Wanting(
            f"schema {schema} has no {MOVE_TAIL}: its files are not all applied",
            do="migctl schema plan says what is missing; migctl schema apply makes it",
        )


def _sql(text: LiteralString, schema: str) -> sql.Composed:
    return sql.SQL(text).format(
        events=sql.Identifier(schema, EVENTS),
        tombstones=sql.Identifier(schema, TOMBSTONES),
        heads=sql.Identifier(schema, HEADS),
        move_tail=sql.Identifier(schema, MOVE_TAIL),
    )


# Both read along (epoch, seq) and stop at the first that is not old enough, so what they read is what is pruned.
_EPOCHS: LiteralString = """
with bound as (
  select h.epoch, h.table_tail, h.table_head, greatest(h.table_tail, least(
    h.table_head,
    (select e.seq from {events} e
      where e.epoch = h.epoch and e.seq <= h.table_head
        and greatest(e.created_at, e.committed_at) >= %(before)s order by e.seq limit 1),
    (select t.seq from {tombstones} t
      where t.epoch = h.epoch and t.seq <= h.table_head
        and greatest(t.created_at, t.committed_at) >= %(before)s order by t.seq limit 1)
  )) as new_tail
  from {heads} h
)
select b.epoch, b.table_tail, b.new_tail, b.table_head,
       (select count(*) from {events} e where e.epoch = b.epoch and e.seq < b.new_tail),
       (select count(*) from {tombstones} t where t.epoch = b.epoch and t.seq < b.new_tail)
from bound b join {heads} h using (epoch) order by h.started_at, b.epoch
"""
_COUNT_ADOPTED: LiteralString = """
select count(*) from {events} where epoch is null and greatest(created_at, "timestamp") < %(before)s
"""
_DOOMED_EVENTS: LiteralString = """
select e.* from {events} e
  join unnest(%(epochs)s::text[], %(tails)s::bigint[]) as b (epoch, tail) on e.epoch = b.epoch and e.seq < b.tail
union all
select e.* from {events} e where e.epoch is null and greatest(e.created_at, e."timestamp") < %(before)s
"""
_DOOMED_TOMBSTONES: LiteralString = """
select t.* from {tombstones} t
  join unnest(%(epochs)s::text[], %(tails)s::bigint[]) as b (epoch, tail) on t.epoch = b.epoch and t.seq < b.tail
"""
# Where the rows of a batch are.
_NEXT_ROWS: LiteralString = """
select ctid from only {events} where epoch = %(epoch)s and seq < %(tail)s order by seq limit %(batch)s
"""
_NEXT_TOMBSTONES: LiteralString = """
select ctid from only {tombstones} where epoch = %(epoch)s and seq < %(tail)s order by seq limit %(batch)s
"""
_NEXT_ADOPTED: LiteralString = """
select ctid from only {events} where epoch is null and greatest(created_at, "timestamp") < %(before)s limit %(batch)s
"""
