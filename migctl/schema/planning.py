"""What would be done: the files beside the ledger, and what stands in the way. Pure but for `read`; nothing is changed here.

A file that was applied is never applied again and never edited; so a changed or vanished one is refused, not skipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from migctl.errors import MigctlError, Refused, Systemic
from migctl.schema import ledger, preflight, recognising
from migctl.schema.adoption.refusals import in_one
from migctl.schema.connection import Connection, snapshot
from migctl.schema.files import EVENTS, HEADS, TOMBSTONES, Migration
from migctl.schema.locking import Held, locks
from migctl.schema.patience import Patience
from migctl.schema.preflight import Findings, Lack

StepState = Literal["applied", "recognised", "pending", "failed", "changed", "vanished", "late"]


@dataclass(frozen=True, slots=True)
class Step:
    """One file, one ledger row, or both.

    state: applied; recognised (there, though the ledger does not know of it: to be recorded); pending; failed (pending, and tried
    before); changed (the file is not what was applied); vanished (applied, but no file); late (not applied, though a later one is).
    """

    version: int
    name: str
    state: StepState
    file: Migration | None
    row: ledger.Row | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order, and what blocks them."""

    schema: str
    steps: tuple[Step, ...]
    findings: Findings

    @property
    def pending(self) -> tuple[Migration, ...]:
        return tuple(
            step.file for step in self.steps if step.state in ("pending", "failed") and step.file is not None
        )

    @property
    def recognised(self) -> tuple[Migration, ...]:
        """What is only to be recorded."""
        return tuple(step.file for step in self.steps if step.state == "recognised" and step.file is not None)

    @property
    def locks(self) -> tuple[Held, ...]:
        """Of what is to be done, each statement that takes a lock on a table that is there."""
        steps = self.findings.adoption.steps if self.findings.adoption is not None else None
        return locks(self.pending, self.schema, self.findings.tables, steps)

    def blocker(self) -> MigctlError | None:
        """Why `apply` will not run, or None. Refused for history that does not fit, or a table that can't be adopted; Systemic for
        what the database lacks.
        """
        for step in self.steps:
            if (refused := refusal(step)) is not None:
                return refused
        if self.findings.lacks:
            return lacking(self.findings.lacks)
        if self.findings.adoption is not None and self.findings.adoption.refusals:
            return in_one(self.findings.adoption.refusals)
        return None


def refusal(step: Step) -> Refused | None:
    """The refusal of a history that the files don't continue."""
    if step.state == "changed" and step.file is not None and step.row is not None:
        return Refused(
            f"{step.file.file} was changed after it was applied ({step.row.finished_at:%Y-%m-%d %H:%M} UTC by {step.row.who}):"
            f" applied sha256 {step.row.sha256}, on disk {step.file.sha256}",
            do="put the file back as it was applied, and make the change in a new file with the next number; where the change"
            f" makes no difference to the database: migctl schema repair {step.version} --status applied --reason ...",
        )
    if step.state == "vanished" and step.row is not None:
        return Refused(
            f"{step.version:04d}_{step.name}.up.sql was applied ({step.row.finished_at:%Y-%m-%d %H:%M} UTC by {step.row.who},"
            f" sha256 {step.row.sha256}), but this migctl has no such file",
            do=f"use the migctl that applied it ({step.row.tool_version}) or a newer one, or put the file back; where its objects"
            f" are gone: migctl schema repair {step.version} --status reverted --reason ...",
        )
    if step.state == "late":
        return Refused(
            f"{step.version:04d}_{step.name}.up.sql is not applied, but a later file is",
            do=f"where its objects are there: migctl schema repair {step.version} --status applied --reason ...; else give the"
            " file the next free number",
        )
    return None


def lacking(lacks: Sequence[Lack]) -> Systemic:
    if len(lacks) == 1:
        return Systemic(lacks[0].what, do=lacks[0].do)
    return Systemic(
        "; ".join(lack.what for lack in lacks),
        do="\n  ".join(f"{n}. {lack.do}" for n, lack in enumerate(lacks, 1)),
    )


def compare(files: Sequence[Migration], rows: Mapping[int, ledger.Row]) -> tuple[Step, ...]:
    """The files beside the ledger's rows, in order of their number."""
    by_version = {migration.version: migration for migration in files}
    highest = max((v for v, row in rows.items() if row.state == "applied"), default=0)
    steps: list[Step] = []
    for version in sorted(by_version.keys() | {v for v, row in rows.items() if row.state == "applied"}):
        migration, row = by_version.get(version), rows.get(version)
        state: StepState
        if row is not None and row.state == "applied":
            same = migration is not None and row.sha256 == migration.sha256
            state = "applied" if same else "changed" if migration is not None else "vanished"
        elif version < highest:
            state = "late"
        else:
            state = "failed" if row is not None and row.state == "failed" else "pending"
        name = migration.name if migration is not None else row.name if row is not None else ""
        steps.append(Step(version, name, state, migration, row))
    return tuple(steps)


async def read(connection: Connection, schema: str, files: Sequence[Migration], patience: Patience) -> Plan:
    """The plan for this database as it is now."""
    async with snapshot(connection):
        rows = await ledger.rows(connection, schema)
        steps = compare(files, rows)
        if not rows:
            known = await recognising.recognised(connection, schema, files)
            steps = tuple(
                replace(step, state="recognised") if step.version in known else step for step in steps
            )
        # Which tables files to come will make; a file that makes none needs no look at what is there.
        makes = {1: EVENTS, 2: TOMBSTONES, 3: HEADS}
        pending = frozenset(
            makes[step.version]
            for step in steps
            if step.state not in ("applied", "recognised") and step.version in makes
        )
        findings = await preflight.examine(connection, schema, pending=pending, limit_s=patience.in_place_s)
        return Plan(schema, steps, findings)
