"""What a database lacks before the files can be applied to it, found without changing anything.

A lack blocks `apply` and comes with its way out; a remark is only printed. Of a table that was there it is said what stands in the
way of its adoption, and the steps of it (`migctl.schema.adoption`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

from migctl.schema.adoption import estimates
from migctl.schema.adoption.refusals import Refusal, refusals, replaced
from migctl.schema.adoption.shape import OURS, Shape
from migctl.schema.adoption.shape import read as read_shape
from migctl.schema.adoption.steps import Step, steps
from migctl.schema.adoption.wanted import WANTED, change
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
class Adoption:
    """Of the table that is there. steps: what is to be done with it; none where it is refused. remark: one sentence about it."""

    shape: Shape
    refusals: tuple[Refusal, ...]
    steps: tuple[Step, ...]
    remark: str


@dataclass(frozen=True, slots=True)
class Findings:
    """adoption: None where there is no table to adopt, or it was before. tables: those that are there, which files act on."""

    lacks: tuple[Lack, ...]
    remarks: tuple[str, ...]
    adoption: Adoption | None = None
    tables: tuple[str, ...] = ()


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
select c.relname, pg_has_role(c.relowner, 'usage') as mine, pg_get_userbyid(c.relowner)::text as owner
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = any(%(tables)s)
"""

_KEPT: LiteralString = """
select 'policy ' || polname from pg_policy where polrelid = to_regclass(%(table)s)
  and polname not in ('migctl_read', 'migctl_write')
union all
select 'constraint ' || conname from pg_constraint where conrelid = to_regclass(%(table)s)
  and contype in ('c', 'f', 'x', 'u') and not starts_with(conname, %(ours)s)
  and conname <> 'monitoring_events_epoch_seq_key'
union all
select 'trigger ' || tgname from pg_trigger where tgrelid = to_regclass(%(table)s)
  and not tgisinternal and strpos(tgname, %(ours)s) = 0
order by 1
"""


async def examine(
    connection: Connection, schema: str, *, pending: frozenset[str], limit_s: float
) -> Findings:
    """Look at the database. pending: the tables that files not yet applied are going to make. limit_s: for how long a change of a
    type may hold up readers, by estimate.
    """
    lacks: list[Lack] = []
    remarks: list[str] = []
    adoption: Adoption | None = None
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
    there = ["realtime.messages"] if found["messages"] else []  # Realtime's own, where our policy stands
    for name, mine, owner in await tables.fetchall():
        there.append(name)
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
        else:
            adoption = await _adoption(connection, schema, limit_s)
    if adoption is not None and not adoption.refusals:
        remarks.append(adoption.remark)
    return Findings(tuple(lacks), tuple(remarks), adoption, tuple(there))


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


async def _adoption(connection: Connection, schema: str, limit_s: float) -> Adoption | None:
    shape = await read_shape(connection, schema)
    if shape is None:
        return None
    in_place = estimates.in_place(shape, limit_s)
    refused = refusals(shape, in_place=in_place)
    remark = f"{shape.name} is there with {shape.rows} rows: it is adopted, its rows stay"
    changes = [
        f"{name} from {column.type} to {WANTED[name]}"
        for name, column in shape.columns.items()
        if name in WANTED and change(name, column.type) in ("noted", "rewritten")
    ]
    if changes:
        remark += f"; types: {', '.join(changes)}"
    others = replaced(shape, in_place)
    if others:
        remark += f"; {' and '.join(others)} move to the end of the columns"
    left = () if refused else steps(shape, in_place)
    if shape.publishes_updates and any(one.way == "batches" for one in left):
        remark += "; it is in a publication of updates, so whoever subscribes to those gets each row once"
    remark += "; anon and authenticated lose what they were granted on it, but for reading as authenticated"
    cursor = await connection.execute(_KEPT, {"table": shape.name, "ours": OURS})
    kept = [row[0] for row in await cursor.fetchall()]
    if kept:
        remark += (
            f"; kept, though they may hide or refuse rows (schema verify will say so): {', '.join(kept)}"
        )
    return Adoption(shape, refused, left, remark)
