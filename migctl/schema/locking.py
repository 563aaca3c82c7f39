"""Which locks the statements of pending files take on tables that are there already, and for how long. Pure.

On what a file makes itself nobody waits. Of the rest the files change the catalog only, which takes no time that grows with the
rows; a table that is adopted is the work of `migctl.schema.adoption`, not of the first file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from migctl.schema.adoption.estimates import CATALOG_S, HOLDS_UP, Lock
from migctl.schema.adoption.steps import Step
from migctl.schema.files import Migration, render
from migctl.schema.statements import split

_LOCKS: tuple[tuple[re.Pattern[str], Lock], ...] = (
    (
        re.compile(r"^(create|drop|alter) policy\b|^alter table\b|^drop table\b|^truncate\b", re.I),
        "AccessExclusive",
    ),
    (re.compile(r"^create (or replace )?trigger\b", re.I), "ShareRowExclusive"),
    (re.compile(r"\balter publication\b", re.I), "ShareUpdateExclusive"),
    (re.compile(r"^(insert|update|delete)\b", re.I), "RowExclusive"),
)


@dataclass(frozen=True, slots=True)
class Held:
    """One statement and the strongest lock that it takes on a table that is there. about_s: how long it holds it, at this size."""

    file: str
    statement: str
    sql: tuple[str, ...]
    lock: Lock
    about_s: float

    @property
    def holds_up(self) -> str:
        return HOLDS_UP[self.lock]


def locks(
    files: Sequence[Migration], schema: str, tables: Collection[str], steps: Sequence[Step] | None
) -> tuple[Held, ...]:
    """In the order in which they are taken. tables: names of those that are there; steps: of an adoption, if it is one."""
    found: list[Held] = []
    for file in files:
        if steps is not None and file.version == 1:
            found += [Held(file.file, one.what, one.statements, one.lock, one.about_s) for one in steps]
            continue
        for statement in split(render(file.up, schema)):
            if (taken := taken_by(statement.text, tables)) is not None:
                lock, line = taken
                found.append(Held(file.file, line, (statement.text,), lock, CATALOG_S))
    return tuple(found)


def taken_by(statement: str, tables: Collection[str]) -> tuple[Lock, str] | None:
    """The lock on one of these tables, and the line that takes it; None where there is none, as of a grant."""
    if not any(re.search(rf"\b{re.escape(table)}\b", statement) for table in tables):
        return None
    for pattern, lock in _LOCKS:
        if (found := pattern.search(statement)) is not None:
            start = statement.rfind("\n", 0, found.start()) + 1
            return lock, statement[start:].splitlines()[0].strip()
    return None
