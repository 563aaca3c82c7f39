"""Runs the steps of an adoption, and then writes the ledger: 0001 is applied, though its file was not run.

There is no transaction around it, so nothing is kept of who works here but a lock, which another session of ours holds from the
first step to the row in the ledger. It falls with that session: whoever comes next reads the table, and goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from migctl import __version__, clock
from migctl.errors import MigctlError, Transient, Wanting
from migctl.schema import ledger
from migctl.schema.adoption import estimates
from migctl.schema.adoption.refusals import in_one, refusals
from migctl.schema.adoption.shape import Shape, read
from migctl.schema.adoption.steps import FIRST, NEXT, Step, steps
from migctl.schema.adoption.wanted import change
from migctl.schema.applying import Done, Run, table_holders
from migctl.schema.connection import Connection, message, snapshot, translate
from migctl.schema.files import EVENTS, Migration
from migctl.schema.patience import LOCKED_OUT, ahead_of_vacuum, bound_waits, ms

BATCH_ROWS = 2_000
# Below PostgreSQL's deadlock_timeout: where a batch and a writer wait for each other, it is the batch that gives way.
_ROW_WAIT_S = 0.5
_TURN_S = 0.2
_WORD_S = 10.0
_ROUNDS = 5


class _TooLong(Exception):
    """A change of type was not done in the time for which it may hold up readers."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


async def adopt(run: Run, guard: Connection, migration: Migration) -> Done | None:
    """Adopt the events table; None where another process has applied 0001 since. guard: a second session, for the lock.

    Raises Refused where it can't end well any more; what was done until an error stays, and the next run goes on from there.
    """
    try:
        async with _only_writer(run, guard):
            # Asked by the guard: a pool may have no other session before the one who is done has written the rest.
            row = (await ledger.rows(guard, run.schema)).get(migration.version)
            if row is not None and row.state == "applied":
                return None
            done = await _all_steps(run, guard)
            await ledger.create(guard)
            await ledger.write(
                guard,
                run.schema,
                migration,
                "applied",
                who=run.who,
                tool_version=__version__,
                reason="its table was there: adopted",
            )
            return Done(migration, done)
    except psycopg.Error as error:
        raise await _failure(run, migration.file, error) from error


@asynccontextmanager
async def _only_writer(run: Run, guard: Connection) -> AsyncIterator[None]:
    """One transaction of the guard. Asked for again and again rather than waited for: a pool may have few sessions to wait in."""
    ends_at = clock.mono() + run.patience.retry_for_s
    waited = False
    while True:
        async with guard.transaction():
            if await ledger.try_lock(guard, who=run.who):
                # It is idle for as long as the steps take, holds nothing else, and no step waits for it.
                await guard.execute(
                    "select set_config(name, '0', true) from pg_catalog.pg_settings"
                    " where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')"
                )
                yield
                return
            held = await ledger.holder(guard)
        if clock.mono() > ends_at:
            raise Transient(
                f"another migctl schema command held the lock for {run.patience.retry_for_s:g} s: {held}",
                do="wait until it has ended and run this again, or end it: select pg_terminate_backend(PID)",
            )
        if not waited:
            run.notice(
                f"waiting at most {run.patience.retry_for_s:g} s for another migctl schema command: {held}"
            )
        waited = True
        await asyncio.sleep(_TURN_S)


async def _all_steps(run: Run, guard: Connection) -> int:
    """How many were done. Another round where the table has changed meanwhile, or a change of type was too slow where it stood."""
    slow: set[str] = set()
    done = 0
    for _ in range(_ROUNDS):
        async with snapshot(run.connection):
            shape = await read(run.connection, run.schema)
        if shape is None:
            raise Wanting(f"{run.schema}.{EVENTS} is gone", do="migctl schema plan says what to do now")
        in_place = estimates.in_place(shape, run.patience.in_place_s) - slow
        if found := refusals(shape, in_place=in_place):
            raise in_one(found)
        rewritten = {name for name in in_place if change(name, shape.columns[name].type) == "rewritten"}
        try:
            for step in steps(shape, in_place):
                await guard.execute("select 1")  # nobody else works here while this session lives
                await _step(run, shape, step)
                done += 1
        except _TooLong as too_long:
            run.notice(f"{too_long.column}: not done in {run.patience.hold_s:g} s; another way is taken")
            slow |= {too_long.column} | (rewritten if too_long.column in rewritten else set())
        except psycopg.errors.CheckViolation:
            # A null that was written between the filling and the check: the next round fills it, or says whose it is.
            continue
        else:
            return done
    raise Wanting(
        f"{run.schema}.{EVENTS} was changed again and again while it was adopted",
        do="run this again when nobody else alters the table",
    )


async def _step(run: Run, shape: Shape, step: Step) -> None:
    run.notice(f"{step.what}{' (this may take a while)' if step.about_s > run.patience.hold_s else ''}")
    if step.way == "batches":
        await _in_batches(run, shape, step)
    elif step.way == "alone":
        await run.connection.execute_alone(step.statements[0].encode())
    else:
        try:
            await run.retried(lambda: _in_one(run, shape.name, step), step.what)
        except psycopg.errors.QueryCanceled:
            if step.column is None:
                raise
            raise _TooLong(step.column) from None
        except psycopg.errors.CheckViolation:
            if not step.may_fail:
                raise
            run.notice(f"{step.what}: it is not true of all rows, and stays not valid")


async def _in_one(run: Run, table: str, step: Step) -> None:
    """A transaction that ends in time, its waiting included, where it stops readers."""
    stops = step.lock == "AccessExclusive"
    async with run.connection.transaction():
        await ahead_of_vacuum(run.connection, [table], run.patience)
        ends_at = clock.mono() + run.patience.hold_s
        for statement in step.statements:
            if stops:
                left = ms(ends_at - clock.mono())
                await run.connection.execute("select set_config('statement_timeout', %s, true)", [left])
            await run.connection.execute(statement.encode())


async def _in_batches(run: Run, shape: Shape, step: Step) -> None:
    """Page by page, up to the last page of now: rows that come later are filled by whoever writes them."""
    row = await (
        await run.connection.execute(
            "select pg_relation_size(to_regclass(%s)) / current_setting('block_size')::bigint", [shape.name]
        )
    ).fetchone()
    pages = int(row[0]) if row is not None else 0
    at_once = max(1, BATCH_ROWS * pages // max(1, shape.rows))
    next_word_at = clock.mono() + _WORD_S
    for first in range(0, pages, at_once):
        text = step.statements[0].replace(FIRST, str(first)).replace(NEXT, str(first + at_once))

        async def batch(statement: bytes = text.encode()) -> None:
            async with run.connection.transaction():
                wait = min(_ROW_WAIT_S, run.patience.lock_timeout_s)
                await bound_waits(run.connection, wait)
                await run.connection.execute(statement)

        await run.retried(batch, step.what)
        if clock.mono() > next_word_at:
            run.notice(f"{step.what}: {100 * first // pages} %")
            next_word_at = clock.mono() + _WORD_S


async def _failure(run: Run, file: str, error: psycopg.Error) -> MigctlError:
    kept = "what was done stays, and the next apply goes on from there"
    state = error.sqlstate or ""
    if isinstance(error, LOCKED_OUT):
        held = await table_holders(run.connection, run.schema)
        return Transient(
            f"{file}: waited {run.patience.retry_for_s:g} s for a lock, held by {held}; {kept}",
            do="end that session or wait for it, then run this again (--retry-for tries longer)",
        )
    if isinstance(error, psycopg.errors.QueryCanceled):
        return Transient(
            f"{file}: {message(error)}; {kept}",
            do="run this again; an index wants a session of its own: connect to the database directly, not through a pooler",
        )
    if not state or state == "42501" or state[:2] in ("08", "53", "57"):
        known = translate(error, file)
        return type(known)(f"{known.what}; {kept}", do=known.do)
    return Wanting(
        f"{file}: {message(error)} ({state}); {kept}", do="mend what the message names, then run this again"
    )
