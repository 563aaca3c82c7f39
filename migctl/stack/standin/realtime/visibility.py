"""What PostgreSQL says of changes: how a table looks to a role, which rows an identity may see, which rows pass a filter.

Row level security is asked of the table as it is now, under the role and claims of the subscriber, as on the real server: a row
that is gone again is not visible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from migctl.stack.standin.auth import Identity
from migctl.stack.standin.database import Connection, fetch, quote_ident, quote_literal
from migctl.stack.standin.realtime import checks
from migctl.stack.standin.realtime.bindings import BadBinding, Filter, Wanted
from migctl.stack.standin.realtime.records import Described
from migctl.stack.standin.wal.pgoutput import Relation

_BELIEVED_S = 1.0

_DESCRIBE = """
select a.attname, t.typname, format_type(a.atttypid, a.atttypmod), coalesce(a.attnum = any(i.indkey), false),
       has_column_privilege($2::name, c.oid, a.attnum, 'SELECT'), c.relrowsecurity,
       t.typcategory in ('A', 'C') or t.typtype = 'd' or t.oid = 'json'::regtype, a.atttypid::regtype::text
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
  left join pg_index i on i.indrelid = c.oid and i.indisprimary
 where c.oid = $1
 order by a.attnum
"""

_NAMES = "select attname from pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped"
_PUBLISHED = """
select t.relid
  from pg_publication p
  cross join lateral pg_get_publication_tables(p.pubname) t
  join pg_class c on c.oid = t.relid
  join pg_namespace n on n.oid = c.relnamespace
 where p.pubname = $1 and ($2 = '*' or n.nspname = $2) and ($3 = '*' or c.relname = $3)
"""

# The log has the lower half of an xid; the upper one is that of the snapshot's, or its neighbour's.
_COMMITTED = """
with now as materialized (select pg_current_snapshot() s),
     edge as (select s, pg_snapshot_xmax(s)::text::bigint top from now)
select coalesce(bool_and(pg_visible_in_snapshot(
         (top + ((x - (top & 4294967295) + 2147483648 + 4294967296) % 4294967296 - 2147483648))::text::xid8, s)), true)
  from edge, unnest($1::bigint[]) x
"""
_FIRST_PAUSE_S = 0.0005
_LAST_PAUSE_S = 0.5


class Visibility:
    """Asks over one connection at a time. clock: monotonic seconds."""

    def __init__(self, publication: str, clock: Callable[[], float]) -> None:
        self._publication = publication
        self._clock = clock
        self._described: dict[tuple[int, str], tuple[float, Relation, Described]] = {}

    async def committed(self, conn: Connection, xids: Sequence[int]) -> None:
        """Wait until these transactions are visible to others: the log tells of a commit a moment before that.

        Without it, a row would be read before it is visible, and lost.
        """
        pause = _FIRST_PAUSE_S
        while not (await fetch(conn, _COMMITTED, [list(xids)]))[0][0] and pause < _LAST_PAUSE_S:
            await asyncio.sleep(pause)
            pause *= 2

    async def published(self, conn: Connection, schema: str = "*", table: str = "*") -> frozenset[int]:
        """The tables of the publication, by oid."""
        rows = await fetch(conn, _PUBLISHED, [self._publication, schema, table])
        return frozenset(int(row[0]) for row in rows)

    async def names(self, conn: Connection, relation: Relation) -> frozenset[str]:
        """The columns that the table has at this moment; none where it is gone."""
        rows = await fetch(conn, _NAMES, [relation.oid])
        return frozenset(row[0] for row in rows)

    async def describe(self, conn: Connection, relation: Relation, role: str) -> Described:
        """The table as the role sees it. Believed for a second, and while the log has not said that something changed."""
        known = self._described.get((relation.oid, role))
        if known is not None and known[1] is relation and self._clock() - known[0] < _BELIEVED_S:
            return known[2]
        described = await self._describe(conn, relation.oid, role)
        self._described[relation.oid, role] = (self._clock(), relation, described)
        return described

    async def _describe(self, conn: Connection, oid: int, role: str) -> Described:
        rows = await fetch(conn, _DESCRIBE, [oid, role])
        return Described(
            columns=tuple((row[0], row[1]) for row in rows),
            types={row[0]: row[2] for row in rows},
            key=tuple(row[0] for row in rows if row[3]),
            readable=frozenset(row[0] for row in rows if row[4]),
            rls=bool(rows and rows[0][5]),
            cast={row[0]: row[7] for row in rows if row[6]},
            bare={row[0]: row[7] for row in rows},
        )

    async def check(self, conn: Connection, wanted: Wanted, role: str) -> frozenset[int]:
        """The tables that a binding means. Raises BadBinding where there is none, or where its filters and columns can't be."""
        where = "Please check Realtime is enabled for the given connect parameters"
        oids = await self.published(conn, wanted.schema, wanted.table)
        if not oids:
            raise BadBinding(f"Unable to subscribe to changes with given parameters. {where}: [{wanted}]")
        for oid in oids:
            await checks.check(conn, wanted, await self._describe(conn, oid, role))
        return oids

    async def visible(
        self,
        conn: Connection,
        identity: Identity,
        relation: Relation,
        table: Described,
        keys: Mapping[int, Sequence[str]],
    ) -> set[int]:
        """Which of the rows, given by the text of their key, the identity may see."""
        names = [f"k{n}" for n in range(len(table.key))]
        matches = " and ".join(
            f"t.{quote_ident(column)} = k.{name}::{table.types[column]}"
            for column, name in zip(table.key, names, strict=True)
        )
        target = f"{quote_ident(relation.schema)}.{quote_ident(relation.name)}"
        sql = " ".join(
            [
                "select k.o from",
                _unnest(names),
                f"where exists (select from {target} t where {matches})",
            ]
        )
        columns = [list(column) for column in zip(*keys.values(), strict=True)]
        async with conn.transaction(force_rollback=True):
            await conn.execute(
                b"select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)",
                [identity.role, identity.claims],
            )
            rows = await fetch(conn, sql, [list(keys), *columns])
        return {row[0] for row in rows}

    async def passing(
        self,
        conn: Connection,
        filters: Sequence[Filter],
        table: Described,
        rows: Mapping[int, Mapping[str, str | None]],
    ) -> set[int]:
        """Which of the rows pass all filters. A row that lacks a column does not."""
        columns = list(dict.fromkeys(item.column for item in filters))
        whole = {n: row for n, row in rows.items() if all(column in row for column in columns)}
        if not whole:
            return set()
        names = [f"k{n}" for n in range(len(columns))]
        conditions: list[str] = []
        values: list[str] = []
        for item in filters:
            column = f"k.{names[columns.index(item.column)]}"
            number = len(columns) + 2 + len(values)
            conditions.append(item.sql(column, table.bare[item.column], f"${number}"))
            if item.operator != "is":  # its operand is a word and no parameter
                values.append(item.value)
        sql = " ".join(["select k.o from", _unnest(names), "where", " and ".join(conditions)])
        arrays = [[_bare(row[column], table.bare[column]) for row in whole.values()] for column in columns]
        found = await fetch(conn, sql, [list(whole), *arrays, *values])
        return {row[0] for row in found}

    async def as_json(self, conn: Connection, type_name: str, values: Iterable[bytes]) -> dict[bytes, bytes]:
        """What to_jsonb makes of values of a type that has no JSON of its own."""
        wanted = list(dict.fromkeys(values))
        shown = f"select to_jsonb(v::{type_name})::text"
        sql = shown + " from unnest($1::text[]) with ordinality u(v, o) order by o"
        rows = await fetch(conn, sql, [[value.decode() for value in wanted]])
        return {value: row[0].encode() for value, row in zip(wanted, rows, strict=True)}

    async def knows_role(self, conn: Connection, role: str) -> bool:
        return bool(await fetch(conn, f"select from pg_roles where rolname = {quote_literal(role)}"))


def _bare(value: str | None, type_name: str) -> str | None:
    """As the real server's decoder has it: bytea without the mark that says that it is in hex, and numbers that are none null."""
    if value is None or type_name not in ("bytea", "numeric", "real", "double precision"):
        return value
    if type_name == "bytea":
        return value.removeprefix("\\x")
    return value if value[-1:].isdigit() else None


def _unnest(names: Sequence[str]) -> str:
    """`unnest($1::int[], $2::text[], ...) k(o, k0, ...)`."""
    arrays = ", ".join(["$1::int[]", *(f"${n}::text[]" for n in range(2, len(names) + 2))])
    return f"unnest({arrays}) k({', '.join(['o', *names])})"
