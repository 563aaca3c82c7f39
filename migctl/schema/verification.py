"""Holds the live catalog against what the files make, and says each difference with the statement that mends it.

A table that can't be read is a difference, never a pass. Differences that do no harm (columns, indexes and grants to the owner
that somebody added) are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from migctl.config.roles import AUTHENTICATED
from migctl.schema import expected
from migctl.schema.catalog import Live, LiveTable
from migctl.schema.expected import PUBLICATION, Function, Policy, Table
from migctl.schema.files import identifier


@dataclass(frozen=True, slots=True)
class Difference:
    """what: the object; aspect: what about it; expected and found: as the server says it; do: the way out."""

    what: str
    aspect: str
    expected: str
    found: str
    do: str

    def __str__(self) -> str:
        return f"{self.what}: {self.aspect}: expected {self.expected}, found {self.found}"


def differences(live: Live, schema: str, *, sources: Mapping[str, str]) -> list[Difference]:
    """All differences, table by table. sources: the body that each of our functions should have, by name."""
    found = [
        Difference(f"role {role}", "presence", "there", "missing", f"create role {role} nologin;")
        for role in ("anon", AUTHENTICATED, "service_role")
        if role not in live.roles
    ]
    for table in expected.ALL:
        name = f"{schema}.{table.name}"
        state = live.tables.get(table.name)
        if state is None:
            found.append(Difference(name, "table", "there", "missing", "migctl schema apply"))
            continue
        found += _shape(name, table, state)
        found += _columns(name, table, state)
        found += _keys(name, table, state)
        found += _policies(name, table.policies, state.policies)
        found += _foreign_policies(name, table, state)
        found += _grants(name, table, state, live.trusted)
        found += _published(name, table, state, live)
    for wanted in expected.FUNCTIONS:
        found += _function(live, schema, wanted, sources[wanted.name])
    found += _schema_and_realtime(live, schema)
    return found


def _shape(name: str, table: Table, live: LiveTable) -> Iterator[Difference]:
    if live.kind != "r":
        yield Difference(
            name,
            "kind",
            "an ordinary table",
            f"relkind {live.kind}",
            f"rename {name}, then migctl schema apply",
        )
    if not live.logged:
        yield Difference(name, "persistence", "logged", "unlogged", f"alter table {name} set logged;")
    if not live.rls:
        yield Difference(
            name,
            "row level security",
            "enabled",
            "disabled",
            f"alter table {name} enable row level security;",
        )
    # Updates of a published table fail outright without an identity.
    if live.replica_identity == "n":
        yield Difference(
            name, "replica identity", "default", "nothing", f"alter table {name} replica identity default;"
        )
    for (kind, obstacle), text in live.obstacles.items():
        drop = (
            f"alter table {name} drop constraint {identifier(obstacle)};"
            if kind == "constraint"
            else f"drop {kind} {identifier(obstacle)} on {name};"
        )
        yield Difference(name, f"{kind} {obstacle}", "nothing that can refuse or change a row", text, drop)


def _columns(name: str, table: Table, live: LiveTable) -> Iterator[Difference]:
    for column in table.columns:
        full, quoted = f"{name}.{column.name}", identifier(column.name)
        alter = f"alter table {name} alter column {quoted}"
        found = live.columns.get(column.name)
        if found is None:
            constraint = " not null" if column.not_null else ""
            yield Difference(
                full,
                "column",
                "there",
                "missing",
                f"alter table {name} add column {quoted} {column.type}{constraint};",
            )
            continue
        if found.type != column.type:
            yield Difference(full, "type", column.type, found.type, f"{alter} type {column.type};")
        if found.not_null != column.not_null:
            yield Difference(
                full,
                "nullability",
                "not null" if column.not_null else "nullable",
                "not null" if found.not_null else "nullable",
                f"{alter} {'set' if column.not_null else 'drop'} not null;",
            )
        if column.default is not None and found.default != column.default:
            yield Difference(
                full,
                "default",
                column.default,
                found.default or "none",
                f"{alter} set default {column.default};",
            )
        if column.default is None and found.default == "generated always":
            yield Difference(
                full, "default", "none", found.default, f"{alter} drop identity; (or drop expression)"
            )
    ours = {column.name for column in table.columns}
    for column_name, found in live.columns.items():
        if column_name not in ours and found.not_null and not live.has_default[column_name]:
            yield Difference(
                f"{name}.{column_name}",
                "foreign column",
                "a default, or nullable",
                "not null without a default: every insert of ours fails",
                f"alter table {name} alter column {identifier(column_name)} drop not null;",
            )


def _keys(name: str, table: Table, live: LiveTable) -> Iterator[Difference]:
    primary = next((index for index in live.indexes if index.primary), None)
    key = f"({', '.join(table.primary_key)})"
    if primary is None or primary.columns != table.primary_key or not primary.usable:
        found = "none" if primary is None else f"({', '.join(primary.columns)})"
        yield Difference(name, "primary key", key, found, f"alter table {name} add primary key {key};")
    for columns in table.uniques:
        if not any(index.columns == columns and index.usable for index in live.indexes):
            text = f"({', '.join(columns)})"
            yield Difference(
                name, "unique", text, "none that is valid", f"alter table {name} add unique {text};"
            )
    for index in live.indexes:
        if not index.primary and index.columns not in (*table.uniques, table.primary_key):
            yield Difference(
                name,
                f"unique index {index.name}",
                "none beyond ours",
                f"({', '.join(index.columns)}): it can refuse events",
                f"drop index {name.rpartition('.')[0]}.{identifier(index.name)}; (or its constraint)",
            )


def _spell(policy: Policy) -> str:
    parts = [
        "permissive" if policy.permissive else "restrictive",
        f"for {policy.command} to {', '.join(policy.roles)}",
    ]
    if policy.using is not None:
        parts.append(f"using ({policy.using})")
    if policy.check is not None:
        parts.append(f"with check ({policy.check})")
    return " ".join(parts)


def _policies(name: str, wanted: tuple[Policy, ...], live: dict[str, Policy]) -> Iterator[Difference]:
    for policy in wanted:
        found = live.get(policy.name)
        if found != policy:
            file = _file_of_policies(name)
            yield Difference(
                name,
                f"policy {policy.name}",
                _spell(policy),
                "missing" if found is None else _spell(found),
                f"create it as in sql/{file:04d}_*.up.sql (drop the one that is there first)",
            )


def _file_of_policies(name: str) -> int:
    if name == "realtime.messages":
        return 5
    return 7 if name.rpartition(".")[2] in {table.name for table in expected.RECORDS} else 4


def _foreign_policies(name: str, table: Table, live: LiveTable) -> Iterator[Difference]:
    ours = {policy.name for policy in table.policies}
    for policy in live.policies.values():
        if policy.name not in ours:
            yield Difference(
                name,
                f"policy {policy.name}",
                "none beyond ours: a role reads all rows or none",
                _spell(policy),
                f"drop policy {identifier(policy.name)} on {name};",
            )


def _grants(name: str, table: Table, live: LiveTable, trusted: frozenset[str]) -> Iterator[Difference]:
    wanted = dict(table.grants)
    for role, privileges in wanted.items():
        missing = privileges - live.grants.get(role, frozenset())
        if missing:
            yield Difference(
                name,
                f"grants to {role}",
                _list(privileges),
                _list(live.grants.get(role, frozenset())),
                f"grant {_list(missing).lower()} on table {name} to {role};",
            )
    for role, privileges in live.grants.items():
        if role in ("service_role", live.owner) or role in trusted:
            continue
        # Reading by a role that is none of Supabase's is row level security's business; writing is nobody's but service_role's.
        known = role in ("public", "anon", AUTHENTICATED)
        extra = privileges - wanted.get(role, frozenset() if known else expected.READS)
        if extra:
            yield Difference(
                name,
                f"grants to {role}",
                _list(wanted.get(role, frozenset())),
                _list(privileges),
                f"revoke {_list(extra).lower()} on table {name} from {role};",
            )


def _list(privileges: frozenset[str]) -> str:
    return ", ".join(sorted(privileges)) or "none"


def _published(name: str, wanted: Table, table: LiveTable, live: Live) -> Iterator[Difference]:
    if live.publication_inserts is None:
        return  # said once, for the publication itself
    if not wanted.published:
        if table.published:
            yield Difference(
                name,
                f"publication {PUBLICATION}",
                "no member",
                "member",
                f"alter publication {PUBLICATION} drop table {name};",
            )
        return
    if not table.published:
        yield Difference(
            name,
            f"publication {PUBLICATION}",
            "member",
            "no member",
            f"alter publication {PUBLICATION} add table {name};",
        )
    elif not table.published_whole:
        yield Difference(
            name,
            f"publication {PUBLICATION}",
            "all rows and columns",
            "a row filter or a column list",
            f"alter publication {PUBLICATION} drop table {name}; alter publication {PUBLICATION} add table {name};",
        )


def _function(live: Live, schema: str, wanted: Function, source: str) -> Iterator[Difference]:
    name = f"{schema}.{wanted.name}"
    there = [function for function in live.functions if function.name == wanted.name]
    function = next((f for f in there if f.arguments == wanted.arguments), None)
    if function is None:
        yield Difference(
            name,
            "function",
            f"({wanted.arguments})",
            "; ".join(f"({f.arguments})" for f in there) or "missing",
            f"create it as in {wanted.file}",
        )
        return
    again = f"replace it by the one in {wanted.file}"
    result = wanted.result or f"{schema}.monitoring_heads"
    if function.result.replace('"', "") != result:
        yield Difference(name, "result", result, function.result, again)
    if function.definer:
        yield Difference(name, "security", "invoker", "definer", again)
    if 'search_path=""' not in function.settings:
        yield Difference(name, "search_path", "empty", ", ".join(function.settings) or "the caller's", again)
    if function.source.strip() != source.strip():
        yield Difference(name, "body", f"as in {wanted.file}", "another text", again)
    signature = f"{name}({wanted.arguments})"
    for role in sorted(function.grants - live.trusted - {function.owner, "service_role"}):
        yield Difference(
            name,
            f"EXECUTE for {role}",
            "not granted",
            "granted",
            f"revoke all on function {signature} from {role};",
        )
    if "service_role" not in function.grants:
        yield Difference(
            name,
            "EXECUTE for service_role",
            "granted",
            "not granted",
            f"grant execute on function {signature} to service_role;",
        )


def _schema_and_realtime(live: Live, schema: str) -> Iterator[Difference]:
    for role in (AUTHENTICATED, "service_role"):
        if role in live.roles and role not in live.usage:
            yield Difference(
                f"schema {schema}",
                f"USAGE for {role}",
                "granted",
                "not granted",
                f"grant usage on schema {schema} to {role};",
            )
    if live.roles.get("service_role") is False:
        yield Difference(
            "role service_role",
            "bypassrls",
            "yes: it sends broadcast",
            "no",
            "alter role service_role bypassrls;",
        )
    if live.publication_inserts is None:
        yield Difference(
            f"publication {PUBLICATION}",
            "presence",
            "there",
            "missing",
            f"create publication {PUBLICATION}; and add our tables to it",
        )
    elif not live.publication_inserts:
        yield Difference(
            f"publication {PUBLICATION}",
            "publishes",
            "inserts",
            "no inserts",
            f"alter publication {PUBLICATION} set (publish = 'insert, update, delete, truncate');",
        )
    messages = "realtime.messages"
    if live.messages_rls is None:
        yield Difference(messages, "table", "there", "missing", "start the project's realtime service once")
        return
    if not live.messages_rls:
        yield Difference(
            messages,
            "row level security",
            "enabled",
            "disabled",
            "as its owner: enable row level security on it",
        )
    if not live.messages_readable:
        yield Difference(
            messages,
            "SELECT for authenticated",
            "granted",
            "not granted",
            f"grant select on {messages} to authenticated;",
        )
    receive = expected.receive(schema)
    yield from _policies(messages, (receive,), live.messages_policies)
    for policy in live.messages_policies.values():
        # Other applications have policies here too. One that does not look at the topic also covers ours.
        open_to_all = bool({"public", "anon", AUTHENTICATED} & set(policy.roles)) and policy.permissive
        rules = [rule for rule in (policy.check or policy.using, policy.using) if rule is not None]
        if policy.name != receive.name and open_to_all and not any("topic" in rule for rule in rules):
            yield Difference(
                messages,
                f"policy {policy.name}",
                "no policy that opens every topic",
                _spell(policy),
                f"narrow it by realtime.topic(), or: drop policy {identifier(policy.name)} on {messages};",
            )
