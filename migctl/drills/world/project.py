"""A project of the operator's own that a drill is a guest in: whether it is free, and what is taken out of it again.

Whoever reads a project goes over to the newest epoch that its heads know, and its relay is who the heads say. So a drill goes only
where no stream lives and nobody has flags, and takes out again what it wrote and nothing else: its own epochs, and the rows of
flags that carry its own mark. Who else comes meanwhile keeps what is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import msgspec
from psycopg.sql import SQL, Composed, Identifier

from migctl import clock
from migctl.config import Settings, Target, from_environment
from migctl.config.address import is_loopback
from migctl.config.target import Need
from migctl.errors import Refused, Usage, Wanting
from migctl.events.ids import uuid7
from migctl.schema.connection import Connection, connect
from migctl.target.heads import Heads
from migctl.target.rest import Rest
from migctl.target.schema import AUDIT, BRAKES, EVENTS, FLAGS, HEADS, PROCESSES, ROLLOUTS, TOMBSTONES
from migctl.target.signing import need_signer

NEEDS: tuple[Need, ...] = ("anon_key", "service_role_key", "database_url")
_STREAM = (EVENTS, TOMBSTONES, HEADS)
# Who is there, where one of these has a row.
_IN_USE: Mapping[str, str] = {
    HEADS: "a stream lives there, and its readers would go over to the drill's events",
    FLAGS: "somebody's flags are there",
    BRAKES: "somebody's flags are there",
    ROLLOUTS: "a rollout goes on there",
    PROCESSES: "a serve goes by its flags",
}
# From one look to the next, and until what is still seen there is no late request any more.
SETTLED_AFTER_S = 0.5
ERASE_WITHIN_S = 5.0
_DO = "give it a project, or a schema, in which nothing lives, or unset SUPABASE_URL for a stack of its own"


class Traces(msgspec.Struct, frozen=True):
    """What a drill has in a project, or may have: noted before it writes anything. No secret is in it.

    project, database, schema: where. writer_id: of its journal; epochs: those that are known already. mark: in rows of flags.
    url: of its serve, which says there that it goes by flags.
    """

    project: str
    database: str
    schema: str
    writer_id: str
    epochs: list[str]
    mark: str
    url: str


def reason_of(mark: str | None) -> str:
    """What a drill's changes of flags give as theirs."""
    return f"a drill, {mark}" if mark is not None else "a drill"


@dataclass(frozen=True, slots=True)
class Project:
    """mark: one of its own each time. messages_per_second: of its plan, as the settings have it; None: they say nothing."""

    target: Target
    schema: str
    mark: str
    messages_per_second: float | None

    @property
    def name(self) -> str:
        """What has to be typed to confirm it."""
        return self.target.name

    def traces(self, writer_id: str, epochs: Sequence[str], url: str) -> Traces:
        database = self.target.database_name
        return Traces(self.name, database, self.schema, writer_id, list(epochs), self.mark, url)

    def has(self, traces: Traces) -> bool:
        """Whether these are in this project, as the environment names it."""
        here = (self.name, self.target.database_name, self.schema)
        return here == (traces.project, traces.database, traces.schema)

    def need_keys(self) -> None:
        """Raises Usage where a drill lacks one."""
        for one in NEEDS:
            self.target.need(one)
        need_signer(self.target)


def project_of(settings: Settings) -> Project | None:
    """The project that the environment names, unless it is of this machine: then a drill has its own stack beside it.

    Raises Usage for an address that is none.
    """
    url = settings.supabase.url
    if url is None or is_loopback(urlsplit(url).hostname or ""):
        return None
    target = from_environment(settings)
    assert target is not None
    schema = settings.supabase.schema_
    return Project(target, schema, f"drill-{uuid7()}", settings.realtime.messages_per_second)


def need_idle(project: Project) -> None:
    """Raises Refused where somebody lives there, Transient, Systemic where that can't be found out. It changes nothing."""
    asyncio.run(_need_idle(project))


async def _need_idle(project: Project) -> None:
    async with connect(project.target.need("database_url")) as connection:
        counts = {table: await _count(connection, project, table) for table in _IN_USE}
    heads = Heads(project.target, project.schema)
    try:
        # As serve and readers see them: a database that is another one may be empty.
        counts[HEADS] = max(counts[HEADS], len(await heads.read()))
    finally:
        await heads.aclose()
    for table, count in counts.items():
        if count:
            rows = f"{count} row{'s' if count > 1 else ''}"
            raise Refused(f"{project.name}: {project.schema}.{table} has {rows}: {_IN_USE[table]}", do=_DO)


async def _count(connection: Connection, project: Project, table: str) -> int:
    at = Identifier(project.schema, table)
    exists = await connection.execute("select to_regclass(%s)", [at.as_string(connection)])
    if (await exists.fetchone() or (None,))[0] is None:
        raise Usage(
            f"the database {project.target.database_name} has no table {project.schema}.{table}",
            do="run `migctl schema apply` on this project",
        )
    found = await connection.execute(SQL("select count(*) from {}").format(at))
    row = await found.fetchone()
    assert row is not None
    return int(row[0])


def erase(project: Project, traces: Traces) -> int:
    """Take out what the drill wrote there; how many events that were. It may be done twice.

    Its serve is gone; but a request of one that was killed may still be on its way, and write. So it is done again until nothing is
    seen there, twice, a moment apart. Raises Wanting where that never comes, Transient, Systemic.
    """
    return asyncio.run(_erase(project, traces))


async def _erase(project: Project, traces: Traces) -> int:
    gone, clean, until = 0, 0, clock.mono() + ERASE_WITHIN_S
    epochs = {*traces.epochs}  # and those of heads, which are gone after the first time
    while True:
        gone += await _delete(project, traces, epochs)
        left = await _left(project, traces.schema, sorted(epochs))
        clean = clean + 1 if left is None else 0
        if clean == 2:
            return gone
        if left is not None and clock.mono() > until:
            table, epoch = left
            raise Wanting(
                f"{project.name}: {traces.schema}.{table} still has rows of the drill's epoch {epoch}",
                do="set DATABASE_URL to this project's database, as the user that owns its tables, "
                "and run `migctl drill clean`",
            )
        await asyncio.sleep(SETTLED_AFTER_S)


async def _delete(project: Project, traces: Traces, epochs: set[str]) -> int:
    """In one transaction; how many events were deleted. Epochs that only the heads know are added to those given."""
    async with connect(project.target.need("database_url")) as connection, connection.transaction():
        heads = SQL("select epoch from {} where writer_id = %s").format(Identifier(traces.schema, HEADS))
        found = await connection.execute(heads, [traces.writer_id])
        epochs.update(str(row[0]) for row in await found.fetchall())
        gone = 0
        for table in _STREAM:
            query = SQL("delete from {} where epoch = any(%s)").format(Identifier(traces.schema, table))
            done = await connection.execute(query, [sorted(epochs)])
            gone += done.rowcount if table == EVENTS else 0
        for query, values in _of_flags(traces):
            await connection.execute(query, values)
    return gone


def _of_flags(traces: Traces) -> list[tuple[Composed, list[str]]]:
    mark = traces.mark
    at = {name: Identifier(traces.schema, name) for name in (AUDIT, FLAGS, BRAKES, ROLLOUTS, PROCESSES)}
    # A command may put words of its own around the reason; and what it changed may alone have the mark.
    ours = SQL("strpos(concat(reason, before, after), %s) > 0")
    moved = SQL("delete from {} where flag in (select flag from {} where action like 'rollout.%%' and {})")
    audit = SQL("delete from {} where {}")
    marked, served = SQL("delete from {} where target = %s"), SQL("delete from {} where url = %s")
    return [
        (moved.format(at[ROLLOUTS], at[AUDIT], ours), [mark]),  # while the audit still says which
        (audit.format(at[AUDIT], ours), [mark]),
        (marked.format(at[FLAGS]), [mark]),
        (marked.format(at[BRAKES]), [mark]),
        (served.format(at[PROCESSES]), [traces.url]),
    ]


async def _left(project: Project, schema: str, epochs: Sequence[str]) -> tuple[str, str] | None:
    """A table that has rows of an epoch still, and that epoch; None: nothing is there.

    By the way that serve took: a database that is another one would have deleted nothing, and not complained.
    """
    rest = Rest(project.target, schema)
    try:
        for table in _STREAM:
            for epoch in epochs:
                action = f"look for what the drill left in {schema}.{table}"
                answer = await rest.get(action, f"{table}?select=epoch&epoch=eq.{quote(epoch)}&limit=1")
                if msgspec.json.decode(answer):
                    return table, epoch
    finally:
        await rest.aclose()
    return None
