"""Referring: rows of other tables that refer to ours by a foreign key. To delete ours would delete or change them, or be refused.

Who prunes asks before the first row goes, and again for each batch, whose rows are locked by then: a row that begins to refer to
one of them waits, and finds it gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from migctl.errors import Refused
from migctl.schema.connection import Connection
from migctl.schema.files import EVENTS, HEADS, TOMBSTONES

# Of pg_constraint.confdeltype.
_THEN = {
    "a": "which refuses it",
    "r": "which refuses it",
    "c": "which would be deleted with them",
    "n": "which would lose it",
    "d": "which would be changed",
}

# A partition's copy of its table's constraint is the table's.
_KEYS: LiteralString = """
select c.conname, n.nspname, r.relname, c.confdeltype::text, t.relname,
       (select array_agg(a.attname::text order by k.place) from unnest(c.conkey) with ordinality k(number, place)
         join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number),
       (select array_agg(a.attname::text order by k.place) from unnest(c.confkey) with ordinality k(number, place)
         join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.number)
from pg_catalog.pg_constraint c
join pg_catalog.pg_class r on r.oid = c.conrelid
join pg_catalog.pg_namespace n on n.oid = r.relnamespace
join pg_catalog.pg_class t on t.oid = c.confrelid
join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
where c.contype = 'f' and c.conparentid = 0 and tn.nspname = %(schema)s and t.relname = any(%(pruned)s)
  and not (n.nspname = %(schema)s and r.relname = any(%(ours)s))
order by n.nspname, r.relname, c.conname
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One foreign key. table: schema and name of the one that refers; to: which of ours. then: one of `_THEN`."""

    name: str
    table: tuple[str, str]
    then: str
    to: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]

    def count(self, doomed: sql.Composable) -> sql.Composed:
        """How many rows refer to those that `doomed` selects, which is a query of whole rows of `to`."""
        on = sql.SQL(" and ").join(
            sql.SQL("o.{} = d.{}").format(sql.Identifier(one), sql.Identifier(other))
            for one, other in zip(self.columns, self.keys, strict=True)
        )
        return sql.SQL("select count(*) from {} o join ({}) d on {}").format(
            sql.Identifier(*self.table), doomed, on
        )

    def refused(self, rows: int) -> Refused:
        theirs = f"{'.'.join(self.table)}: {rows:,} {'row refers' if rows == 1 else 'rows refer'}"
        drop = f"alter table {'.'.join(self.table)} drop constraint {self.name}"
        return Refused(
            f"{theirs} to rows of {self.to} that are old enough to go ({self.name}), {_THEN[self.then]}",
            do=f"delete those rows yourself, or drop the constraint: {drop}",
        )


async def keys_to(connection: Connection, schema: str) -> list[Key]:
    """Foreign keys of tables that are not ours, to those that are pruned."""
    values = {"schema": schema, "pruned": [EVENTS, TOMBSTONES], "ours": [EVENTS, TOMBSTONES, HEADS]}
    cursor = await connection.execute(_KEYS, values)
    return [
        Key(name, (of_schema, table), then, to, tuple(columns), tuple(keys))
        for name, of_schema, table, then, to, columns, keys in await cursor.fetchall()
    ]


async def check(
    connection: Connection,
    keys: Sequence[Key],
    doomed: Mapping[str, sql.Composable],
    values: Mapping[str, object],
) -> None:
    """doomed: by the name of our table a query of its rows that are to go, with these values. Raises Refused that names who
    refers."""
    for key in keys:
        if key.to not in doomed:
            continue
        cursor = await connection.execute(key.count(doomed[key.to]), values)
        row = await cursor.fetchone()
        assert row is not None
        if row[0]:
            raise key.refused(row[0])
