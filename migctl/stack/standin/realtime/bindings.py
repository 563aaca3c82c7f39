"""What a postgres_changes binding asks for: event, table, filters, columns. Pure; grammar and words are the real server's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_OPERATORS = {
    "eq": "=",
    "neq": "!=",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
    "like": "LIKE",
    "ilike": "ILIKE",
    "match": "~",
    "imatch": "~*",
    "in": "= any",
    "is": "IS",
    "isdistinct": "IS DISTINCT FROM",
}
IS = {"null": "NULL", "true": "TRUE", "false": "FALSE", "unknown": "UNKNOWN"}
_NOTHING_ASKED = (
    "No subscription params provided. Please provide at least a `schema` or `table` to subscribe to: "
)


class BadBinding(Exception):
    """A binding that can't be served: asking again would not help."""


@dataclass(frozen=True, slots=True)
class Filter:
    """`column=operator.value`, perhaps negated."""

    column: str
    operator: str
    value: str
    negated: bool

    def sql(self, column: str, type_name: str, value: str) -> str:
        """The condition, where `column` and `value` are expressions of type text. Of a filter that was checked."""
        left = f"({column})::{type_name}"
        match self.operator:
            case "is":
                text = f"{left} IS {IS[self.value]}"
            case "in":
                text = f"{left} = any (({value})::{type_name}[])"
            case "isdistinct":
                text = f"{left} IS DISTINCT FROM ({value})::{type_name}"
            case _:
                text = f"{left} {_OPERATORS[self.operator]} ({value})::{type_name}"
        return f"coalesce({'not ' if self.negated else ''}({text}), false)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A binding that was understood. `*` stands for any event, schema or table."""

    event: str
    schema: str
    table: str
    filters: tuple[Filter, ...]
    columns: tuple[str, ...] | None

    def __str__(self) -> str:
        filters = ", ".join(f"{f.column} {f.operator} {f.value}" for f in self.filters)
        return (
            f"event: {self.event}, schema: {self.schema}, table: {self.table}, "
            f"filters: [{filters}], select: {list(self.columns) if self.columns else 'nil'}"
        )


def parse(asked: dict[str, Any]) -> Wanted:
    """Raises BadBinding."""
    schema, table, text = asked.get("schema"), asked.get("table"), asked.get("filter")
    columns = _columns(asked.get("select"))
    event = asked.get("event")
    word = event.upper() if isinstance(event, str) else "*"
    if word not in ("INSERT", "UPDATE", "DELETE"):
        word = "*"
    filters: tuple[Filter, ...] = ()
    if isinstance(schema, str) and isinstance(table, str) and isinstance(text, str):
        filters = parse_filters(text)
    elif "filter" in asked or not (isinstance(schema, str) or isinstance(table, str)):
        raise BadBinding(f"{_NOTHING_ASKED}{asked}")
    wanted = Wanted(
        word,
        schema if isinstance(schema, str) else "public",
        table if isinstance(table, str) else "*",
        filters,
        columns,
    )
    if columns is not None and "*" in (wanted.schema, wanted.table):
        raise BadBinding(
            "Column selection is not supported for wildcard subscriptions. Provide an explicit schema and table name."
        )
    return wanted


def _columns(select: Any) -> tuple[str, ...] | None:
    if isinstance(select, str):
        raise BadBinding(
            "Error parsing `select` params: expected a list of column name strings, "
            'e.g. select: ["col1", "col2"]'
        )
    if isinstance(select, list):
        return tuple(item for item in select if isinstance(item, str)) or None
    return None


def parse_filters(text: str) -> tuple[Filter, ...]:
    """`id=gt.5,kind=not.in.(a,b)`: all must hold. Raises BadBinding."""
    if not text.strip():
        return ()
    return tuple(_filter(segment.strip()) for segment in _segments(text.strip()))


def _segments(text: str) -> list[str]:
    """Split at commas that stand in no parentheses and no quotes."""
    segments, current, depth, quoted, before = [], "", 0, False, ""
    at = 0
    while at < len(text):
        char = text[at]
        if quoted and char == "\\":
            current += text[at : at + 2]
            at += 2
            continue
        if char == '"' and (quoted or before in (".", "(", ",")):
            quoted = not quoted
        elif not quoted and char == "(":
            depth += 1
        elif not quoted and char == ")":
            depth = max(0, depth - 1)
        elif not quoted and char == "," and depth == 0:
            segments.append(current)
            current, before = "", ""
            at += 1
            continue
        current += char
        before = char
        at += 1
    return [*segments, current]


def _filter(segment: str) -> Filter:
    if not segment:
        raise _bad("filter must not contain empty segments (check for extra commas)")
    column, equals, rest = segment.partition("=")
    negated = rest.startswith("not.")
    operator, dot, value = rest.removeprefix("not.").partition(".")
    if not equals:
        raise _bad(f'["{segment}"]')
    if not dot or operator not in _OPERATORS:
        raise _bad(f'["{operator}", "{value}"]')
    if operator == "in":
        if not (len(value) >= 2 and value[0] == "(" and value[-1] == ")"):
            raise _bad("`in` filter value must be wrapped by parentheses")
        value = "{" + value[1:-1] + "}"
    else:
        value = _unquoted(value)
    return Filter(column, operator, value, negated)


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    out, at = "", 1
    while at < len(value):
        if value[at] == '"':
            return out if at == len(value) - 1 else value
        if value[at] == "\\" and at + 1 < len(value):
            at += 1
        out += value[at]
        at += 1
    return value


def _bad(reason: str) -> BadBinding:
    return BadBinding(f"Error parsing `filter` params: {reason}")
