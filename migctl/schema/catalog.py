"""The live catalog of one schema, read in a handful of queries. Reading only; judging is `verify`'s."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import LiteralString

from migctl.schema.connection import Connection
from migctl.schema.expected import ALL, FUNCTIONS, PUBLICATION, Column, Policy, plain


@dataclass(frozen=True, slots=True)
class Index:
    """A unique index. usable: valid, immediate, of plain columns and without a condition, so that ON CONFLICT can use it."""

    name: str
    columns: tuple[str, ...]
    primary: bool
    usable: bool


@dataclass(slots=True)
class LiveTable:
    """kind: as pg_class.relkind; logged: unlogged tables can't be published; replica_identity: d, n, f or i.

    obstacles: (constraint, trigger or rule; its name) to its definition.
    """

    kind: str
    logged: bool
    rls: bool
    owner: str
    replica_identity: str
    columns: dict[str, Column] = field(default_factory=dict)
    has_default: dict[str, bool] = field(default_factory=dict)
    indexes: list[Index] = field(default_factory=list)
    obstacles: dict[tuple[str, str], str] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    grants: dict[str, frozenset[str]] = field(default_factory=dict)
    published: bool = False
    published_whole: bool = True


@dataclass(frozen=True, slots=True)
class LiveFunction:
    name: str
    arguments: str
    result: str
    definer: bool
    settings: tuple[str, ...]
    source: str
    owner: str
    grants: frozenset[str]


@dataclass(slots=True)
class Live:
    """roles: Supabase's that exist, with bypassrls; usage: who has USAGE on the schema; trusted: superusers, the platform's own."""

    tables: dict[str, LiveTable]
    functions: list[LiveFunction]
    roles: dict[str, bool]
    usage: frozenset[str]
    trusted: frozenset[str]
    publication_inserts: bool | None
    messages_rls: bool | None
    messages_policies: dict[str, Policy]
    messages_readable: bool


_TABLES: LiteralString = """
select c.relname, c.relkind, c.relpersistence = 'p', c.relrowsecurity, pg_get_userbyid(c.relowner)::text, c.relreplident
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = any(%(tables)s)
"""
_COLUMNS: LiteralString = """
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       case when a.attgenerated <> '' or a.attidentity = 'a' then 'generated always' else pg_get_expr(d.adbin, d.adrelid) end,
       a.atthasdef or a.attidentity <> ''
from pg_attribute a
join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where n.nspname = %(schema)s and c.relname = any(%(tables)s) and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""
_INDEXES: LiteralString = """
select c.relname, x.relname, i.indisprimary,
       i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null,
       array(select a.attname::text from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality k(attnum, place)
             join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum order by place)
from pg_index i join pg_class c on c.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = any(%(tables)s) and i.indisunique
"""
# What can refuse, bend or swallow a row besides keys: constraints, triggers that run before, rules.
_OBSTACLES: LiteralString = """
with ours as (
  select c.oid, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = %(schema)s and c.relname = any(%(tables)s)
)
select relname, 'constraint', conname, pg_get_constraintdef(k.oid)
from pg_constraint k join ours on ours.oid = k.conrelid where k.contype in ('c', 'f', 'x')
union all
select relname, 'trigger', tgname, pg_get_triggerdef(t.oid)
from pg_trigger t join ours on ours.oid = t.tgrelid
where not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype::int & 2 <> 0 and t.tgtype::int & (4 + 16) <> 0
union all
select relname, 'rule', rulename, pg_get_ruledef(r.oid)
from pg_rewrite r join ours on ours.oid = r.ev_class where r.ev_type in ('2', '3')
order by 1, 2, 3
"""
_POLICIES: LiteralString = """
select n.nspname, c.relname, p.polname,
       case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE' else 'ALL' end,
       array(select case when r = 0 then 'public' else pg_get_userbyid(r)::text end from unnest(p.polroles) r order by 1),
       pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), p.polpermissive
from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
where (n.nspname = %(schema)s and c.relname = any(%(tables)s)) or (n.nspname = 'realtime' and c.relname = 'messages')
"""
_GRANTS: LiteralString = """
with acls as (
  select c.relname, coalesce(c.relacl, acldefault('r', c.relowner)) as acl
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = %(schema)s and c.relname = any(%(tables)s)
  union all
  select c.relname, a.attacl
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = %(schema)s and c.relname = any(%(tables)s) and a.attacl is not null and not a.attisdropped
)
select relname, case when g.grantee = 0 then 'public' else pg_get_userbyid(g.grantee)::text end,
       array_agg(distinct g.privilege_type)
from acls, aclexplode(acl) g group by 1, 2
"""
_FUNCTIONS: LiteralString = """
select p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid), p.prosecdef,
       coalesce(p.proconfig, '{}'), p.prosrc, pg_get_userbyid(p.proowner)::text,
       array(select case when g.grantee = 0 then 'public' else pg_get_userbyid(g.grantee)::text end
             from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g)
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = %(schema)s and p.proname = any(%(functions)s)
"""
_PUBLISHED: LiteralString = """
select t.tablename, t.rowfilter is null
  and cardinality(t.attnames) = (select count(*) from pg_attribute a
                                 where a.attrelid = format('%%I.%%I', t.schemaname, t.tablename)::regclass
                                   and a.attnum > 0 and not a.attisdropped and a.attgenerated = '')
from pg_publication_tables t where t.pubname = %(publication)s and t.schemaname = %(schema)s
"""
_REST: LiteralString = """
select array(select rolname::text from pg_roles where rolsuper or rolname in ('postgres', 'supabase_admin')),
       (select coalesce(jsonb_object_agg(rolname, rolbypassrls), '{}') from pg_roles
         where rolname in ('anon', 'authenticated', 'service_role')),
       (select array_agg(r.rolname::text) from pg_roles r, pg_namespace n
         where n.nspname = %(schema)s and has_schema_privilege(r.oid, n.oid, 'usage')),
       (select pubinsert from pg_publication where pubname = %(publication)s),
       (select relrowsecurity from pg_class where oid = to_regclass('realtime.messages')),
       coalesce((select has_table_privilege(r.oid, to_regclass('realtime.messages'), 'select')
                        and has_schema_privilege(r.oid, to_regnamespace('realtime'), 'usage')
                 from pg_roles r where r.rolname = 'authenticated'), false)
"""


async def read(connection: Connection, schema: str) -> Live:
    """Everything that `verify` reads. The caller opens a `snapshot`."""
    asked = {
        "schema": schema,
        "tables": [table.name for table in ALL],
        "functions": [function.name for function in FUNCTIONS],
        "publication": PUBLICATION,
    }

    async def rows(query: LiteralString) -> list[tuple[object, ...]]:
        return await (await connection.execute(query, asked)).fetchall()

    tables: dict[str, LiveTable] = {}
    for name, kind, logged, rls, owner, identity in await rows(_TABLES):
        tables[str(name)] = LiveTable(str(kind), bool(logged), bool(rls), str(owner), str(identity))
    for table, name, kind, not_null, default, has_default in await rows(_COLUMNS):
        live = tables[str(table)]
        live.columns[str(name)] = Column(
            str(name), str(kind), bool(not_null), None if default is None else str(default)
        )
        live.has_default[str(name)] = bool(has_default)
    for table, name, primary, usable, columns in await rows(_INDEXES):
        assert isinstance(columns, list)
        tables[str(table)].indexes.append(Index(str(name), tuple(columns), bool(primary), bool(usable)))
    for table, kind, name, text in await rows(_OBSTACLES):
        tables[str(table)].obstacles[str(kind), str(name)] = str(text)
    messages: dict[str, Policy] = {}
    for space, table, name, command, roles, using, check, permissive in await rows(_POLICIES):
        assert isinstance(roles, list)
        policy = Policy(
            str(name),
            str(command),
            tuple(roles),
            None if using is None else plain(str(using)),
            None if check is None else plain(str(check)),
            bool(permissive),
        )
        # A schema called realtime would hold both: the name of the table tells them apart.
        target = messages if (space, table) == ("realtime", "messages") else tables[str(table)].policies
        target[str(name)] = policy
    for table, role, privileges in await rows(_GRANTS):
        assert isinstance(privileges, list)
        tables[str(table)].grants[str(role)] = frozenset(privileges)
    for table, whole in await rows(_PUBLISHED):
        if str(table) in tables:
            tables[str(table)].published, tables[str(table)].published_whole = True, bool(whole)
    functions: list[LiveFunction] = []
    for name, arguments, result, definer, settings, source, owner, granted in await rows(_FUNCTIONS):
        assert isinstance(settings, list) and isinstance(granted, list)
        functions.append(
            LiveFunction(
                str(name),
                str(arguments),
                str(result),
                bool(definer),
                tuple(settings),
                str(source),
                str(owner),
                frozenset(granted),
            )
        )
    trusted, ours, usage, inserts, messages_rls, readable = (await rows(_REST))[0]
    assert isinstance(trusted, list) and isinstance(ours, dict)
    return Live(
        tables=tables,
        functions=functions,
        roles=ours,
        usage=frozenset(usage if isinstance(usage, list) else ()),
        trusted=frozenset(trusted),
        publication_inserts=None if inserts is None else bool(inserts),
        messages_rls=None if messages_rls is None else bool(messages_rls),
        messages_policies=messages,
        messages_readable=bool(readable),
    )
