"""Schema: brings the target's tables to what sql/ says, keeps the ledger of it, and checks the live database against it.

Every call takes the address of the database and the name of the schema, opens one connection and closes it. Errors are ours:
Transient (not reachable, lock held), Systemic (not permitted, a part of Supabase is missing), Refused (history that does not fit),
Wanting (a file can't be applied to what is there).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from migctl.schema import (
    canary,
    catalog,
    ledger,
    mending,
    planning,
    pruning,
    recognising,
    taking_back,
    verification,
)
from migctl.schema.adoption import running
from migctl.schema.applying import Done, Run
from migctl.schema.connection import connect, snapshot
from migctl.schema.files import EVENTS, HEADS, TOMBSTONES, Migration, canary_topic, load, topic
from migctl.schema.mending import Status
from migctl.schema.patience import PATIENCE, Patience
from migctl.schema.planning import Plan, Step
from migctl.schema.pruning import Pace, Prune
from migctl.schema.taking_back import Rollback
from migctl.schema.verification import Difference

__all__ = [
    "CANARY_SOURCE",
    "CANARY_TYPE",
    "EVENTS",
    "HEADS",
    "TOMBSTONES",
    "Applied",
    "Difference",
    "Migration",
    "Pace",
    "Patience",
    "Plan",
    "Prune",
    "Rollback",
    "Step",
    "apply",
    "canary_topic",
    "plan",
    "prune",
    "prune_plan",
    "remove_canary",
    "repair",
    "rollback",
    "status",
    "topic",
    "verify",
]

CANARY_TYPE, CANARY_SOURCE = canary.EVENT_TYPE, canary.SOURCE


@dataclass(frozen=True, slots=True)
class Applied:
    """plan: as it was before; done: the files that this call applied, recorded: those that it only told the ledger of. A dry run
    has neither.
    """

    plan: Plan
    done: tuple[Done, ...]
    recorded: tuple[Migration, ...] = ()


async def plan(
    database_url: str, schema: str, *, patience: Patience = PATIENCE, folder: Path | None = None
) -> Plan:
    """What `apply` would do and what stands in its way. Changes nothing; `Plan.blocker()` is why apply would refuse."""
    files = load(folder)
    async with connect(database_url) as connection:
        return await planning.read(connection, schema, files, patience)


async def apply(
    database_url: str,
    schema: str,
    *,
    who: str,
    dry_run: bool = False,
    patience: Patience = PATIENCE,
    notice: Callable[[str], None] = lambda _: None,
    folder: Path | None = None,
) -> Applied:
    """Apply the pending files, each whole or not at all. Twice is once. What is recognised is recorded, and not run; a table that
    is there is adopted step by step, instead of the first file.

    who: for the ledger (user@host); notice: prints what is waited for; folder: other files than those of this migctl.
    """
    files = load(folder)
    async with connect(database_url) as connection:
        before = await planning.read(connection, schema, files, patience)
        if (blocked := before.blocker()) is not None:
            raise blocked
        if dry_run or not (before.pending or before.recognised):
            return Applied(before, ())
        run = Run(connection, schema, files, who=who, patience=patience, notice=notice)
        recorded = await run.record(before.recognised) if before.recognised else ()
        pending = before.pending
        done: tuple[Done, ...] = ()
        if before.findings.adoption is not None:
            async with connect(database_url) as guard:
                adopted = await running.adopt(run, guard, pending[0])
            pending = pending[1:]
            done = () if adopted is None else (adopted,)
        return Applied(before, (*done, *await run.apply(pending)), recorded)


async def rollback(
    database_url: str,
    schema: str,
    *,
    who: str,
    to: int | None = None,
    drop_data: bool = False,
    dry_run: bool = False,
    reason: str | None = None,
    patience: Patience = PATIENCE,
    notice: Callable[[str], None] = lambda _: None,
    folder: Path | None = None,
) -> Rollback:
    """Take back the applied files above `to` (default: the last one). Returns what was, or for a dry run would be, taken back.

    Raises Refused where rows would go and `drop_data` was not given, before anything is changed.
    """
    files = load(folder)
    async with connect(database_url) as connection:
        chosen = await taking_back.prepare(connection, schema, files, to)
        if dry_run:
            return chosen
        run = Run(connection, schema, files, who=who, patience=patience, notice=notice)
        done = await taking_back.carry_out(run, chosen, drop_data=drop_data, reason=reason)
        return Rollback(done, chosen.rows)


async def repair(
    database_url: str,
    schema: str,
    versions: Sequence[int],
    to: Status,
    *,
    who: str,
    reason: str,
    patience: Patience = PATIENCE,
    notice: Callable[[str], None] = lambda _: None,
    folder: Path | None = None,
) -> tuple[Migration, ...]:
    """Say in the ledger that files are applied or reverted, without running them. Returns those whose row was changed."""
    files = load(folder)
    async with connect(database_url) as connection:
        run = Run(connection, schema, files, who=who, patience=patience, notice=notice)
        return await mending.carry_out(run, versions, to, reason=reason)


async def status(database_url: str, schema: str, *, folder: Path | None = None) -> tuple[Step, ...]:
    """The files beside the ledger, in order."""
    files = load(folder)
    async with connect(database_url) as connection:
        return planning.compare(files, await ledger.rows(connection, schema))


async def verify(database_url: str, schema: str, *, folder: Path | None = None) -> list[Difference]:
    """How the live database differs from what the files make; empty where it does not."""
    files = load(folder)
    async with connect(database_url) as connection, snapshot(connection):
        steps = planning.compare(files, await ledger.rows(connection, schema))
        live = await catalog.read(connection, schema)
    found = [
        Difference(
            f"sql/{step.version:04d}_{step.name}.up.sql",
            "ledger",
            "applied",
            step.state if step.state in ("changed", "vanished", "failed") else "not applied",
            "migctl schema apply",
        )
        for step in steps
        if step.state != "applied"
    ]
    return found + verification.differences(live, schema, sources=recognising.function_sources(files, schema))


async def prune_plan(database_url: str, schema: str, older_than_s: float, *, adopted: bool = False) -> Prune:
    """What is old enough to go: committed to the journal, and written here, longer ago than `older_than_s`. Changes nothing.

    adopted: also rows that were in the table before there was a journal.
    """
    async with connect(database_url) as connection:
        return await pruning.survey(connection, schema, older_than_s, adopted=adopted)


async def prune(
    database_url: str,
    schema: str,
    chosen: Prune,
    pace: Pace,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Prune:
    """Delete what `prune_plan` chose: each tail is moved, then batch by batch what is below it. Returns what is gone.

    Killed in the middle, the next run finishes it.
    """
    async with connect(database_url) as connection:
        return await pruning.carry_out(connection, schema, chosen, pace, progress=progress)


async def remove_canary(database_url: str, schema: str, row_id: str) -> int:
    """Take the canary row away, and those of runs that were killed; how many that were. A table that is not there has none."""
    async with connect(database_url) as connection:
        return await canary.remove(connection, schema, row_id)
