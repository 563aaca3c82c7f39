"""Mends the ledger by hand: says that a file is applied, or is not, because somebody has seen to it. No file is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from migctl import __version__
from migctl.errors import Usage
from migctl.schema import ledger
from migctl.schema.applying import Run
from migctl.schema.files import Migration
from migctl.schema.planning import Step, compare

Status = Literal["applied", "reverted"]


def choose(steps: Sequence[Step], versions: Sequence[int], status: Status) -> tuple[Migration, ...]:
    """The files whose rows are to be written; those that are so already are left out.

    Raises Usage for a number that neither the files nor the ledger know, and for `applied` without a file.
    """
    by_version = {step.version: step for step in steps}
    chosen: list[Migration] = []
    for version in versions:
        step = by_version.get(version)
        if step is None:
            raise Usage(
                f"{version}: no such file, neither here nor in the ledger",
                do="migctl schema status lists them",
            )
        if status == "applied":
            if step.file is None:
                raise Usage(
                    f"{version:04d}_{step.name}: there is no file of it here", do="put the file back first"
                )
            if step.state != "applied":
                chosen.append(step.file)
        elif step.row is not None and step.row.state != "reverted":
            # The row keeps the hash of what was applied, also where the file is gone.
            chosen.append(Migration(version, step.row.name, "", None, step.row.sha256))
    return tuple(chosen)


async def carry_out(
    run: Run, versions: Sequence[int], status: Status, *, reason: str
) -> tuple[Migration, ...]:
    """Write the rows, all or none, under the lock."""
    async with run.connection.transaction():
        await run.lock()
        steps = compare(run.files, await ledger.rows(run.connection, run.schema))
        chosen = choose(steps, versions, status)
        for migration in chosen:
            await ledger.write(
                run.connection,
                run.schema,
                migration,
                status,
                who=run.who,
                reason=reason,
                tool_version=__version__,
            )
    return chosen
