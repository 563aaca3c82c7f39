"""The SQL of reads, writes and calls, in PostgREST's shapes. Pure.

A body goes to PostgreSQL whole, as `$1::json`, and its rows come back as one JSON text: no number, key or duplicate is touched
on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from migctl.stack.standin.database import quote_ident
from migctl.stack.standin.rest.catalog import Function, Table
from migctl.stack.standin.rest.filters import Logic, Params, Tree, to_sql
from migctl.stack.standin.rest.media import Media, body_sql
from migctl.stack.standin.rest.request import Asked, Selected

ARRAY = Media()

_SET = "nullif(current_setting('response.status', true), ''), nullif(current_setting('response.headers', true), '')"
_INSERTED = "coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0)"


@dataclass(frozen=True, slots=True)
class Statement:
    """Answers one row: how many rows there are in all (null if not asked), how many came, and the body they make; then the status
    and the headers that the database set for the answer, and how many an upsert inserted (null where it counts none).
    """

    sql: str
    params: Sequence[Any]


def read(table: Table, asked: Asked, *, max_rows: int, count: bool, media: Media = ARRAY) -> Statement:
    """SELECT. At most max_rows rows, whatever the request says."""
    params = Params()
    where = _where(table.types, asked, params)
    limit = max_rows if asked.limit is None else min(asked.limit, max_rows)
    source = _join(
        "SELECT",
        _items(asked.select, table.types),
        "FROM",
        _name(table.schema, table.name),
        where,
        _order(table.types, asked),
        f"LIMIT {limit} OFFSET {asked.offset}",
    )
    total = _join("SELECT 1 FROM", _name(table.schema, table.name), where) if count else None
    return Statement(_answer(source, total, media), params.values)


def insert(
    table: Table,
    asked: Asked,
    body: str,
    columns: Sequence[str],
    *,
    resolution: str | None,
    representation: bool,
    location: bool = False,
    missing_default: bool = False,
    media: Media = ARRAY,
) -> Statement:
    """INSERT, with `ON CONFLICT` where a resolution is preferred.

    columns: those of the body that count. missing_default: what a row leaves out gets its default and not null.
    location: the body is the key of the first row, as an object of text.
    """
    params = Params()
    params.add(body)
    names = ", ".join(quote_ident(column) for column in columns)
    rows = _recordset(table, columns, body, missing_default=missing_default)
    target = asked.on_conflict or table.key
    conflict = ""
    merges = resolution == "merge-duplicates" and bool(target)
    if resolution is not None and target:
        on = ", ".join(quote_ident(column) for column in target)
        if merges and columns:
            sets = ", ".join(f"{quote_ident(column)} = EXCLUDED.{quote_ident(column)}" for column in columns)
            conflict = f"ON CONFLICT ({on}) DO UPDATE SET {sets} WHERE {_count_inserted(-1)}"
        else:
            conflict = f"ON CONFLICT ({on}) DO NOTHING"
    source = _join(
        "INSERT INTO",
        _name(table.schema, table.name),
        f"({names})" if columns else "",
        "SELECT",
        names,
        rows,
        f"WHERE {_count_inserted(1)}" if merges else "",
        conflict,
        _returning_key(table) if location and table.key else _returning(asked, representation),
    )
    inserted = _INSERTED if merges else "null::int"
    if location and table.key:
        key = "(SELECT json_object_agg(key, value) FROM json_each_text((SELECT row_to_json(_) FROM pgrst_source _ LIMIT 1)))"
        select = f"SELECT null::bigint, count(_postgrest_t), {key}::text, {_SET}, {inserted}"
        return Statement(
            _join(f"WITH pgrst_source AS ({source})", select, "FROM pgrst_source _postgrest_t"), params.values
        )
    return Statement(_mutation(source, asked, table, representation, media, inserted), params.values)


def _count_inserted(by: int) -> str:
    """A condition that always holds, and counts: a row more that is to go in, one less that was there."""
    never = 0 if by > 0 else -1
    return f"set_config('pgrst.inserted', ({_INSERTED} + {by})::text, true) <> '{never}'"


def update(
    table: Table,
    asked: Asked,
    body: str,
    columns: Sequence[str],
    *,
    representation: bool,
    missing_default: bool = False,
    media: Media = ARRAY,
) -> Statement:
    """UPDATE of what the filters name, from one object. Without a column it is of nothing."""
    params = Params()
    if not columns:
        source = _join("SELECT * FROM", _name(table.schema, table.name), "WHERE false")
        return Statement(_mutation(source, asked, table, representation, media), params.values)
    params.add(body)
    sets = ", ".join(f"{quote_ident(column)} = pgrst_body.{quote_ident(column)}" for column in columns)
    where = _where(table.types, asked, params, of=table)
    source = _join(
        "UPDATE",
        _name(table.schema, table.name),
        "SET",
        sets,
        _recordset(table, columns, body, missing_default=missing_default),
        where,
        _returning(asked, representation, of=table),
    )
    return Statement(_mutation(source, asked, table, representation, media), params.values)


def delete(table: Table, asked: Asked, *, representation: bool, media: Media = ARRAY) -> Statement:
    """DELETE of what the filters name."""
    params = Params()
    source = _join(
        "DELETE FROM",
        _name(table.schema, table.name),
        _where(table.types, asked, params),
        _returning(asked, representation),
    )
    return Statement(_mutation(source, asked, table, representation, media), params.values)


def call(
    function: Function,
    body: str,
    names: Sequence[str],
    asked: Asked,
    *,
    max_rows: int,
    count: bool = False,
    media: Media = ARRAY,
) -> Statement:
    """A function with named arguments, taken from one JSON object; what it returns can be filtered and ordered.

    count: also of all rows that pass the filters.
    """
    params = Params()
    payload = ""
    if names:
        types = ", ".join(f"{quote_ident(name)} {function.arguments[name]}" for name in names)
        payload = _join(
            f"(SELECT {params.add(body)}::json AS json_data) pgrst_payload,",
            "LATERAL (SELECT * FROM json_to_record(pgrst_payload.json_data) AS _(",
            types,
            ") LIMIT 1) pgrst_body, LATERAL",
        )
    given = ", ".join(f"{quote_ident(name)} := pgrst_body.{quote_ident(name)}" for name in names)
    called = f"{_name(function.schema, function.name)}({given})"
    if function.returns_rows:
        inner = _join("SELECT", _columns_of_call(asked), "FROM", payload, called, "pgrst_call")
    else:
        inner = _join(
            "SELECT pgrst_call.pgrst_scalar FROM", payload, f"(SELECT {called} pgrst_scalar) pgrst_call"
        )
    result = body_sql(media, scalar=not function.returns_rows, single=not function.returns_set)
    where = _where({}, asked, params)
    outer = _join(
        "SELECT",
        _items(asked.select, {}),
        "FROM pgrst_source",
        where,
        _order({}, asked),
        f"LIMIT {max_rows if asked.limit is None else min(asked.limit, max_rows)} OFFSET {asked.offset}",
    )
    total = _join("SELECT 1 FROM pgrst_source", where) if count else None
    head, counted = _counted(inner, total)
    came = "count(_postgrest_t)" if function.returns_set else "1"
    sql = _join(
        head, f"SELECT {counted}, {came}, {result}, {_SET}, null::int", f"FROM ({outer}) _postgrest_t"
    )
    return Statement(sql, params.values)


def _columns_of_call(asked: Asked) -> str:
    """Those that the answer is made of, and those that it is filtered and ordered by."""
    selected = [item.field.name for item in asked.select]
    if not selected or "*" in selected:
        return "pgrst_call.*"
    names = dict.fromkeys([*selected, *_named(asked.where), *(item.field.name for item in asked.order)])
    return ", ".join(f"pgrst_call.{quote_ident(name)}" for name in names)


def _named(trees: Iterable[Tree]) -> Iterator[str]:
    for tree in trees:
        if isinstance(tree, Logic):
            yield from _named(tree.items)
        else:
            yield tree.field.name


def _recordset(table: Table, columns: Sequence[str], body: str, *, missing_default: bool = False) -> str:
    single = body.lstrip(" \t\r\n").startswith("{")
    kind = "jsonb" if missing_default else "json"
    source = "pgrst_payload.json_data"
    defaults = ""
    if missing_default:
        made = ", ".join(
            f"{_literal(column)}, {table.defaults[column]}" for column in columns if column in table.defaults
        )
        source = "pgrst_json_defs.val"
        value = (
            f"jsonb_build_object({made}) || pgrst_payload.json_data AS val"
            if single
            else f"jsonb_agg(jsonb_build_object({made}) || elem) AS val "
            "FROM jsonb_array_elements(pgrst_payload.json_data) elem"
        )
        defaults = f"LATERAL (SELECT {value}) pgrst_json_defs,"
    if columns:
        types = ", ".join(f"{quote_ident(column)} {table.types[column]}" for column in columns)
        function = f"{kind}_to_record" + ("" if single else "set")
        parsed = _join("SELECT * FROM", f"{function}({source}) AS _({types})")
    elif single:
        parsed = "SELECT FROM (VALUES (1)) _"
    else:
        parsed = f"SELECT FROM {kind}_array_elements({source}) _"
    return _join(
        f"FROM (SELECT $1::{kind} AS json_data) pgrst_payload,", defaults, f"LATERAL ({parsed}) pgrst_body"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _returning(asked: Asked, representation: bool, of: Table | None = None) -> str:
    if not representation:
        return "RETURNING 1"
    names = list(dict.fromkeys(item.field.name for item in asked.select)) or ["*"]
    # An UPDATE reads pgrst_body too, so its columns are named with their table.
    prefix = f"{_name(of.schema, of.name)}." if of is not None else ""
    return "RETURNING " + (
        f"{prefix}*" if "*" in names else ", ".join(prefix + quote_ident(name) for name in names)
    )


def _returning_key(table: Table) -> str:
    return "RETURNING " + ", ".join(quote_ident(column) for column in table.key)


def _mutation(
    source: str, asked: Asked, table: Table, representation: bool, media: Media, inserted: str = "null::int"
) -> str:
    if not representation:
        return _join(
            f"WITH pgrst_source AS ({source})",
            f"SELECT null::bigint, count(*), '', {_SET}, {inserted}",
            "FROM pgrst_source",
        )
    outer = _join(
        "SELECT", _items(asked.select, table.types), "FROM pgrst_source", _order(table.types, asked)
    )
    return _join(
        f"WITH pgrst_source AS ({source})",
        f"SELECT null::bigint, count(_postgrest_t), {body_sql(media)}, {_SET}, {inserted}",
        f"FROM ({outer}) _postgrest_t",
    )


def _answer(source: str, total: str | None, media: Media) -> str:
    head, counted = _counted(source, total)
    return _join(
        head,
        f"SELECT {counted}, count(_postgrest_t), {body_sql(media)}, {_SET}, null::int",
        "FROM (SELECT * FROM pgrst_source) _postgrest_t",
    )


def _counted(source: str, total: str | None) -> tuple[str, str]:
    """What a statement begins with, and the expression for how many rows there are in all."""
    head = f"WITH pgrst_source AS ({source})"
    if total is None:
        return head, "null::bigint"
    return f"{head}, pgrst_source_count AS ({total})", "(SELECT count(*) FROM pgrst_source_count)"


def _items(select: Sequence[Selected], types: dict[str, str]) -> str:
    if not select:
        return "*"
    items = []
    for item in select:
        text = "*" if item.field.name == "*" else item.field.sql(types)
        if item.cast is not None:
            text = f"CAST({text} AS {item.cast})"
        label = item.alias or (item.field.label if item.field.path else None)
        if item.cast is not None and label is None:
            label = item.field.name
        items.append(f"{text} AS {quote_ident(label)}" if label is not None else text)
    return ", ".join(items)


def _where(types: dict[str, str], asked: Asked, params: Params, *, of: Table | None = None) -> str:
    if not asked.where:
        return ""
    prefix = f"{_name(of.schema, of.name)}." if of is not None else ""
    return "WHERE " + " AND ".join(to_sql(tree, types, params, prefix) for tree in asked.where)


def _order(types: dict[str, str], asked: Asked) -> str:
    if not asked.order:
        return ""
    return "ORDER BY " + ", ".join(f"{item.field.sql(types)} {item.suffix}".rstrip() for item in asked.order)


def _name(schema: str, name: str) -> str:
    return f"{quote_ident(schema)}.{quote_ident(name)}"


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)
