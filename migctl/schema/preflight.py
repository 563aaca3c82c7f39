"""What a database lacks before the files can be applied to it, found without changing anything.

A lack blocks `apply` and comes with its way out; a remark is only printed. Adoption of a table that was there is decided here:
which of its columns would make every later insert fail, and what would not survive the widening of types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from migctl.schema.connection import Connection
from migctl.schema.files import EVENTS, HEADS, TOMBSTONES

MIN_SERVER = 150000
_MADE_BY = {EVENTS: 1, TOMBSTONES: 2, HEADS: 3}


@dataclass(frozen=True, slots=True)
class Lack:
    """what: what the database has not, or has wrongly; do: the way out."""

    what: str
    do: str


@dataclass(frozen=True, slots=True)
class Findings:
    lacks: tuple[Lack, ...]
    remarks: tuple[str, ...]


_ENVIRONMENT: LiteralString = """
select current_setting('server_version_num')::int as version,
       current_setting('server_version') as version_text,
       current_setting('wal_level') as wal_level,
       current_user::text as me,
       (select rolsuper from pg_roles where rolname = current_user) as superuser,
       (select coalesce(array_agg(w order by w), '{}')
          from unnest(array['anon', 'authenticated', 'service_role']) w where to_regrole(w) is null) as no_roles,
       to_regclass('realtime.messages') is not null as messages,
       to_regprocedure('realtime.topic()') is not null as topic,
       (select jsonb_build_array(pg_has_role(pubowner, 'usage'), pg_get_userbyid(pubowner), pubinsert)
          from pg_publication where pubname = 'supabase_realtime') as publication,
       (select has_schema_privilege(oid, 'create') from pg_namespace where nspname = %(schema)s) as may_create_in_schema,
       has_database_privilege(current_database(), 'create') as may_create_schema,
       to_regnamespace('migctl') is not null as has_ledger_schema,
       (select substr(c, length('pgrst.db_schemas=') + 1) from pg_roles, unnest(rolconfig) c
         where rolname = 'authenticator' and c like 'pgrst.db\\_schemas=%%') as exposed
"""

_TABLES: LiteralString = """
select c.relname, c.relkind, c.relpersistence, pg_has_role(c.relowner, 'usage') as mine, pg_get_userbyid(c.relowner)::text as owner
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = any(%(tables)s)
"""

_COLUMNS: LiteralString = """
select a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull,
       a.atthasdef or a.attidentity <> '' or a.attgenerated <> '' as has_default
from pg_attribute a where a.attrelid = to_regclass(%(table)s) and a.attnum > 0 and not a.attisdropped
"""

_KEPT: LiteralString = """
select 'policy ' || polname from pg_policy where polrelid = to_regclass(%(table)s)
union all
select 'constraint ' || conname from pg_constraint where conrelid = to_regclass(%(table)s) and contype in ('c', 'f', 'x', 'u')
union all
select 'trigger ' || tgname from pg_trigger where tgrelid = to_regclass(%(table)s) and not tgisinternal
order by 1
"""

# What each column of an adopted table may have been: the types that can be widened without a loss.
_WIDENS: dict[str, tuple[str, ...]] = {
    "id": ("uuid", "text", "character varying", "character"),
    "event_type": ("text", "character varying", "character"),
    "timestamp": ("timestamp",),
    "data": ("jsonb", "json", "text"),
    "source": ("text", "character varying", "character"),
    "created_at": ("timestamp",),
    "epoch": ("text",),
    "seq": ("bigint",),
    "committed_at": ("timestamp with time zone",),
}
_REQUIRED = ("id", "event_type", "timestamp", "data", "source")


async def examine(connection: Connection, schema: str, *, pending: frozenset[str]) -> Findings:
    """Look at the database. pending: the tables that files not yet applied are going to make."""
    lacks: list[Lack] = []
    remarks: list[str] = []
    cursor = await connection.execute(_ENVIRONMENT, {"schema": schema})
    row = await cursor.fetchone()
    assert row is not None and cursor.description is not None
    found = dict(zip((column.name for column in cursor.description), row, strict=True))
    lacks += _environment(found, schema)
    if found["wal_level"] != "logical":
        remarks.append(f"wal_level is {found['wal_level']}: postgres_changes needs logical")
    exposed = [name.strip() for name in (found["exposed"] or "public").split(",")]
    if schema not in exposed:
        remarks.append(
            f"a hosted project's API serves only {', '.join(exposed)}: add {schema} to its exposed schemas (Settings, API)"
        )
    tables = await connection.execute(_TABLES, {"schema": schema, "tables": [EVENTS, TOMBSTONES, HEADS]})
    for name, kind, persistence, mine, owner in await tables.fetchall():
        full = f"{schema}.{name}"
        if not mine:
            lacks.append(
                Lack(f"{full} belongs to {owner}, and {found['me']} may not alter it", f"connect as {owner}")
            )
        elif name not in pending:
            continue
        elif name != EVENTS:
            lacks.append(
                Lack(
                    f"{full} is there, but the ledger does not know it",
                    f"where it is ours (a restored database): migctl schema repair {_MADE_BY[name]} --status applied --reason ...;"
                    " else rename it",
                )
            )
        elif kind != "r" or persistence != "p":
            lacks.append(
                Lack(f"{full} is no ordinary table, so it can't be adopted", "rename it, and run this again")
            )
        else:
            refused, remark = await _adoption(connection, schema)
            lacks += refused
            remarks.append(remark)
    return Findings(tuple(lacks), tuple(remarks))


def _environment(found: dict[str, Any], schema: str) -> list[Lack]:
    lacks: list[Lack] = []
    if found["version"] < MIN_SERVER:
        lacks.append(
            Lack(f"the server is PostgreSQL {found['version_text']}", "PostgreSQL 15 or newer is needed")
        )
    for role in found["no_roles"]:
        attributes = "nologin noinherit bypassrls" if role == "service_role" else "nologin noinherit"
        lacks.append(
            Lack(
                f"there is no role {role}",
                f"name a Supabase project's database, or: create role {role} {attributes};",
            )
        )
    if not found["messages"] or not found["topic"]:
        missing = "table realtime.messages" if not found["messages"] else "function realtime.topic()"
        lacks.append(
            Lack(
                f"there is no {missing}: Realtime was never started on this database",
                "name a Supabase project's database; on a self-hosted one start its realtime service once",
            )
        )
    publication = found["publication"]
    if publication is None:
        lacks.append(
            Lack("there is no publication supabase_realtime", "create publication supabase_realtime;")
        )
    else:
        mine, owner, inserts = publication
        if not mine:
            lacks.append(
                Lack(
                    f"publication supabase_realtime belongs to {owner}, and {found['me']} may not alter it",
                    f"connect as {owner}, or as {owner}: alter publication supabase_realtime owner to {found['me']};",
                )
            )
        if not inserts:
            lacks.append(
                Lack(
                    "publication supabase_realtime does not publish inserts",
                    "alter publication supabase_realtime set (publish = 'insert, update, delete, truncate');",
                )
            )
    if found["may_create_in_schema"] is None and not found["may_create_schema"]:
        lacks.append(
            Lack(
                f"there is no schema {schema}, and {found['me']} may not create it",
                f"create schema {schema};",
            )
        )
    if found["may_create_in_schema"] is False:
        lacks.append(
            Lack(
                f"{found['me']} may not create tables in schema {schema}",
                f"as its owner: grant create on schema {schema} to {found['me']};",
            )
        )
    if not found["has_ledger_schema"] and not found["may_create_schema"]:
        lacks.append(
            Lack(
                f"{found['me']} may not create schema migctl, where the ledger is kept",
                f"create schema migctl authorization {found['me']};",
            )
        )
    return lacks


async def _adoption(connection: Connection, schema: str) -> tuple[list[Lack], str]:
    """Whether the events table that is there can be adopted, and one sentence about it."""
    name = f"{schema}.{EVENTS}"
    table = sql.Identifier(schema, EVENTS)
    cursor = await connection.execute(_COLUMNS, {"table": table.as_string(connection)})
    columns = {row[0]: (row[1], row[2], row[3]) for row in await cursor.fetchall()}
    changes: list[str] = []
    lacks = [
        Lack(f"{name} has no column {column}, so it can't be adopted", "add and fill it, or rename the table")
        for column in _REQUIRED
        if column not in columns
    ]
    for column, (kind, not_null, has_default) in columns.items():
        if column not in _WIDENS:
            if not_null and not has_default:
                lacks.append(
                    Lack(
                        f"{name}.{column} is not ours, not null and has no default: every insert of ours would fail",
                        f"alter table {name} alter column {column} drop not null; (or set a default)",
                    )
                )
        elif not kind.startswith(_WIDENS[column]):
            lacks.append(
                Lack(
                    f"{name}.{column} is {kind}: it can't be widened without a loss",
                    "convert it, or rename the table",
                )
            )
        elif column in _REQUIRED and not not_null:
            nulls = await _count(
                connection,
                sql.SQL("select count(*) from {} where {} is null").format(table, sql.Identifier(column)),
            )
            if nulls:
                lacks.append(
                    Lack(
                        f"{name}.{column} is null in {nulls} rows, and an event always has one",
                        f"give {column} a value in those rows",
                    )
                )
        wanted = _TYPES.get(column)
        if wanted and kind != wanted:
            changes.append(f"{column} from {kind} to {wanted}")
    rows = await _count(connection, sql.SQL("select count(*) from {}").format(table))
    remark = f"{name} is there with {rows} rows: it is adopted, its rows stay"
    if changes:
        remark += f"; types: {', '.join(changes)} (the table is locked while it is rewritten)"
    remark += "; anon and authenticated lose what they were granted on it, but for reading as authenticated"
    cursor = await connection.execute(_KEPT, {"table": table.as_string(connection)})
    kept = [row[0] for row in await cursor.fetchall()]
    if kept:
        remark += (
            f"; kept, though they may hide or refuse rows (schema verify will say so): {', '.join(kept)}"
        )
    return lacks, remark


_TYPES = {
    "id": "uuid",
    "event_type": "text",
    "timestamp": "timestamp with time zone",
    "data": "jsonb",
    "source": "text",
    "created_at": "timestamp with time zone",
}


async def _count(connection: Connection, query: sql.Composed) -> int:
    row = await (await connection.execute(query)).fetchone()
    return int(row[0]) if row is not None else 0
