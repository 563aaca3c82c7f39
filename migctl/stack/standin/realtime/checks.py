"""Is this filter one that can be asked of this table? PostgreSQL answers, as the real server's trigger asks it.

What it lets through can still fail when a row comes: a type that has no such operator (json, composites) is not looked into.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg

from migctl.stack.standin.database import Connection, fetch
from migctl.stack.standin.realtime.bindings import IS, BadBinding, Filter, Wanted
from migctl.stack.standin.realtime.records import Described

_MOST_VALUES = 100
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LIKE = "select 1 from pg_operator where oprname = '~~' and oprleft = $1::regtype"
_MATCH = (
    "select 1 from pg_operator where oprname = $2 and oprleft = $1::regtype and oprright = $1::regtype"
    " and oprresult = 'boolean'::regtype"
)


async def check(conn: Connection, wanted: Wanted, table: Described) -> None:
    """Raises BadBinding in the real server's words. conn: in autocommit mode."""
    for item in wanted.filters:
        if item.column not in table.readable:
            raise _refused(wanted, f"invalid column for filter {item.column}")
        try:
            flaw = await _flaw(conn, item, table.bare[item.column])
        except psycopg.Error as error:
            if error.sqlstate is None or conn.broken:
                raise
            raise _refused(wanted, _words(error), code=_code(error.sqlstate)) from None
        if flaw is not None:
            raise _refused(wanted, flaw)
    for name in wanted.columns or ():
        if name not in table.readable:
            raise _refused(wanted, f"invalid column for select {name}")


async def _flaw(conn: Connection, item: Filter, type_name: str) -> str | None:
    """Raises psycopg.Error where the value is none of the type."""
    match item.operator:
        case "in":
            count = f"select coalesce(jsonb_array_length(to_jsonb($1::{type_name}[])), 0)"
            if int(await _one(conn, count, [item.value]) or 0) > _MOST_VALUES:
                return f"too many values for `in` filter. Maximum {_MOST_VALUES}"
        case "is":
            if item.value not in IS:
                return "invalid value for is filter: must be null, true, false, or unknown"
            if item.value != "null" and type_name != "boolean":
                return f"is {item.value} filter requires a boolean column, got {type_name}"
        case "like" | "ilike" | "match" | "imatch":
            return await _pattern_flaw(conn, item, type_name)
        case _ if type_name != "bytea":  # any text is one, until a row is compared with it
            await fetch(conn, f"select to_jsonb($1::{type_name})", [item.value])
    return None


async def _pattern_flaw(conn: Connection, item: Filter, type_name: str) -> str | None:
    by_word = item.operator in ("like", "ilike")
    sign = "~*" if item.operator == "imatch" else "~"
    there = await (_one(conn, _LIKE, [type_name]) if by_word else _one(conn, _MATCH, [type_name, sign]))
    if there is None:
        return f"operator {item.operator} requires a text-compatible column type, got {type_name}"
    if not by_word:
        try:
            await fetch(conn, "select '' ~ $1", [item.value])
        except psycopg.Error as error:
            if error.sqlstate is None or conn.broken:
                raise
            return f"invalid regular expression for {item.operator} filter: {error.diag.message_primary}"
    return None


async def _one(conn: Connection, sql: str, params: Sequence[Any]) -> Any:
    rows = await fetch(conn, sql, params)
    return rows[0][0] if rows else None


def _refused(wanted: Wanted, words: str, code: str = "P0001 (raise_exception)") -> BadBinding:
    return BadBinding(
        "Unable to subscribe to changes with given parameters. An exception happened so please check "
        f"your connect parameters: [{wanted}]. Exception: ERROR {code} {words}"
    )


def _code(sqlstate: str) -> str:
    """The code and its name, as `22P02 (invalid_text_representation)`."""
    try:
        name = psycopg.errors.lookup(sqlstate).__name__
    except KeyError:
        return sqlstate
    return f"{sqlstate} ({_HUMP.sub('_', name).lower()})"


def _words(error: psycopg.Error) -> str:
    detail = error.diag.message_detail
    return f"{error.diag.message_primary}" + (f"\n\n    detail: {detail}" if detail else "")
