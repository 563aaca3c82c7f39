"""The schema cache: what tables and functions there are. What is not found is always read anew; what was found, soon again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from migctl.stack.standin.database import Connection, fetch

# The real one reloads on each DDL statement, by an event trigger. Here nothing found is believed for longer than this.
_BELIEVED_S = 2.0

_TABLE = """
select a.attname, format_type(a.atttypid, a.atttypmod), t.typname,
       coalesce(a.attnum = any(i.indkey), false),
       case
         when t.typbasetype <> 0 and d.adbin is null then pg_get_expr(t.typdefaultbin, 0)
         when a.attidentity = 'd' then format('nextval(%L)', s.objid::regclass)
         when a.attgenerated <> '' then null
         else pg_get_expr(d.adbin, d.adrelid)
       end
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
  left join pg_index i on i.indrelid = c.oid and i.indisprimary
  left join pg_depend s on s.refclassid = 'pg_class'::regclass and s.refobjid = a.attrelid and s.refobjsubid = a.attnum
       and s.classid = 'pg_class'::regclass and s.deptype = 'i'
 where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')
 order by a.attnum
"""

_FUNCTIONS = """
select coalesce(p.proargnames, '{}'), coalesce(p.proargmodes::text[], '{}'),
       array(select format_type(x, null) from unnest(p.proargtypes) with ordinality u(x, o) order by o),
       p.pronargs, p.pronargdefaults, p.proretset, t.typtype, t.typname, p.prokind
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_type t on t.oid = p.prorettype
 where n.nspname = $1 and p.proname = $2 and p.prokind = 'f'
 order by p.oid
"""

_ROLE_SETTINGS = """
select split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
  from pg_db_role_setting s, pg_roles r, unnest(s.setconfig) setting
 where r.rolname = $1 and s.setrole = r.oid and s.setdatabase = 0
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view: the type of each column as SQL writes it, the key, and the defaults."""

    schema: str
    name: str
    types: dict[str, str]
    key: tuple[str, ...]
    defaults: dict[str, str]


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its named arguments with their types, and what comes back."""

    schema: str
    name: str
    arguments: dict[str, str]
    required: frozenset[str]
    returns_set: bool
    returns_rows: bool
    returns_nothing: bool

    def takes(self, names: frozenset[str]) -> bool:
        """True where exactly these named arguments can be given."""
        return self.required <= names <= self.arguments.keys()


_Found = TypeVar("_Found")


class Catalog:
    """Answers for one database. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tables: dict[tuple[str, str], tuple[float, Table]] = {}
        self._functions: dict[tuple[str, str], tuple[float, list[Function]]] = {}
        self._settings: dict[str, tuple[float, list[tuple[str, str]]]] = {}
        self._timezones: set[str] = set()

    def forget(self) -> None:
        self._tables.clear()
        self._functions.clear()
        self._settings.clear()

    async def table(self, conn: Connection, schema: str, name: str) -> Table | None:
        known = self._believed(self._tables.get((schema, name)))
        if known is not None:
            return known
        rows = await fetch(conn, _TABLE, [schema, name])
        if not rows:
            self._tables.pop((schema, name), None)
            return None
        table = Table(
            schema=schema,
            name=name,
            types={row[0]: row[1] for row in rows},
            key=tuple(row[0] for row in rows if row[3]),
            defaults={row[0]: row[4] for row in rows if row[4]},
        )
        self._tables[schema, name] = (self._clock(), table)
        return table

    async def functions(self, conn: Connection, schema: str, name: str) -> list[Function]:
        known = self._believed(self._functions.get((schema, name)))
        if known:
            return known
        rows = await fetch(conn, _FUNCTIONS, [schema, name])
        found = [_function(schema, name, row) for row in rows]
        self._functions[schema, name] = (self._clock(), found)
        return found

    async def knows_timezone(self, conn: Connection, name: str) -> bool:
        if name in self._timezones:
            return True
        if not await fetch(conn, "select 1 from pg_timezone_names where name = $1", [name]):
            return False
        self._timezones.add(name)
        return True

    async def settings_of(self, conn: Connection, role: str) -> list[tuple[str, str]]:
        """The settings that were made for a role, such as its statement_timeout: `set role` alone does not bring them."""
        known = self._believed(self._settings.get(role))
        if known is not None:
            return known
        found = [(row[0], row[1]) for row in await fetch(conn, _ROLE_SETTINGS, [role])]
        self._settings[role] = (self._clock(), found)
        return found

    def _believed(self, entry: tuple[float, _Found] | None) -> _Found | None:
        if entry is None or self._clock() - entry[0] > _BELIEVED_S:
            return None
        return entry[1]


def _function(schema: str, name: str, row: tuple[object, ...]) -> Function:
    names, modes, types, count, defaults, returns_set, kind, returned, _ = row
    assert isinstance(names, list) and isinstance(modes, list) and isinstance(types, list)
    assert isinstance(count, int) and isinstance(defaults, int)
    inputs = [
        argument
        for argument, mode in zip(names, modes or ["i"] * len(names), strict=True)
        if mode in ("i", "b", "v")
    ]
    arguments = dict(zip(inputs, types, strict=True)) if len(inputs) == count else {}
    outputs = [mode for mode in modes if mode in ("o", "b", "t")]
    return Function(
        schema=schema,
        name=name,
        arguments=arguments,
        required=frozenset(inputs[: count - defaults]),
        returns_set=bool(returns_set),
        returns_rows=kind in ("c",) or returned == "record" or len(outputs) > 1,
        returns_nothing=returned == "void",
    )
