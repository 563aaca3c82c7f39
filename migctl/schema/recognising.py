"""Recognising: what files make is there, though the ledger knows of none of it.

So it is after a dump was restored, a schema was pulled, or another tool ran the files as migrations of its own. Then nothing is
to be run: the ledger is told. A file counts as recognised where everything that it makes, and all that those before it make, is as
they make it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from migctl.schema import catalog, verification
from migctl.schema.connection import Connection
from migctl.schema.expected import FUNCTIONS
from migctl.schema.files import EVENTS, Migration, render
from migctl.schema.statements import split

_MAKES = re.compile(
    r"^create (?:or replace )?(table|function)(?: if not exists)? \{schema\}\.(\w+)", re.MULTILINE
)
_NAME = re.compile(r"\w+")

_FUNCTIONS = """
select p.proname::text from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname = %s
"""


def function_sources(files: Sequence[Migration], schema: str) -> dict[str, str]:
    """The body of each of our functions, from the last file that makes it."""
    sources = {function.name: "" for function in FUNCTIONS}
    for migration in files:
        for statement in split(render(migration.up, schema)):
            for function in FUNCTIONS:
                if function.tag in statement.text:
                    sources[function.name] = statement.text.split(function.tag)[1]
    return sources


async def recognised(connection: Connection, schema: str, files: Sequence[Migration]) -> tuple[int, ...]:
    """The versions of the files that need not be run, from the first on; empty where not even that one's objects are there."""
    live = await catalog.read(connection, schema)
    if EVENTS not in live.tables:
        return ()
    cursor = await connection.execute(_FUNCTIONS, [schema])
    functions = {row[0] for row in await cursor.fetchall()}
    found = verification.differences(live, schema, sources=function_sources(files, schema))
    return whole(made_by(files), [one.what for one in found], functions)


def made_by(files: Sequence[Migration]) -> Mapping[int, Mapping[str, str]]:
    """By version: what the file makes, and whether that is a table or a function."""
    return {one.version: {name: kind for kind, name in _MAKES.findall(one.up)} for one in files}


def whole(
    made: Mapping[int, Mapping[str, str]], differing: Sequence[str], functions: Collection[str]
) -> tuple[int, ...]:
    """The versions up to the first whose objects are not all as they should be. Pure.

    differing: names of what differs, as `Difference.what` has them; what none of the files makes by name, such as a publication,
    counts against all of them. functions: those that are there.
    """
    bad: set[int] = set()
    for what in differing:
        names = set(_NAME.findall(what))
        makers = [version for version, objects in made.items() if names & objects.keys()]
        if not makers:
            return ()
        bad.add(max(makers))
    for version, objects in made.items():
        if any(kind == "function" and name not in functions for name, kind in objects.items()):
            bad.add(version)
    return tuple(version for version in sorted(made) if version < min(bad, default=max(made) + 1))
