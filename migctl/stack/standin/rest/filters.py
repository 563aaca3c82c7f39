"""PostgREST's query language to SQL: fields, conditions and their trees. Pure; values always travel as parameters.

Grammar and operators as in PostgREST (`ApiRequest.QueryParams`, `Query.SqlFragment`); full text search and embedding are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from migctl.stack.standin.database import quote_ident, quote_literal

_QUANTIFIED = {
    "eq": "=",
    "gte": ">=",
    "gt": ">",
    "lte": "<=",
    "lt": "<",
    "like": "like",
    "ilike": "ilike",
    "match": "~",
    "imatch": "~*",
}
_SIMPLE = {
    "neq": "<>",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
}
_IS = {"null": "NULL", "not_null": "NOT NULL", "true": "TRUE", "false": "FALSE", "unknown": "UNKNOWN"}
_JSON_TYPES = ("json", "jsonb")
_INDEX = re.compile(r"-?[0-9]{1,9}", re.ASCII)


class BadQuery(Exception):
    """A query string that PostgREST would not parse (PGRST100)."""

    def __init__(self, what: str, details: str) -> None:
        super().__init__(what)
        self.what = what
        self.details = details


@dataclass(slots=True)
class Params:
    """The parameters of one statement: `$1`, `$2` ... in the order they were added."""

    values: list[Any] = field(default_factory=list)

    def add(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


@dataclass(frozen=True, slots=True)
class Field:
    """A column, and the way into its JSON."""

    name: str
    path: tuple[tuple[str, str], ...] = ()

    def sql(self, types: Mapping[str, str], prefix: str = "") -> str:
        """types: the type of each column, so that only what is not JSON is made JSON before a path is taken.

        prefix: the table with its dot, where a bare name could be another's.
        """
        text = prefix + quote_ident(self.name)
        if self.path and types.get(self.name) not in _JSON_TYPES:
            text = f"to_jsonb({text})"
        for arrow, key in self.path:
            text += arrow + (key if _INDEX.fullmatch(key) else quote_literal(key))
        return text

    @property
    def label(self) -> str | None:
        """What a selected JSON path is called: its last key that is no index."""
        for _, key in reversed(self.path):
            if not _INDEX.fullmatch(key):
                return key
        return self.name if self.path else None


@dataclass(frozen=True, slots=True)
class Condition:
    """`field operator value`, perhaps negated. The value of `in` is a list."""

    field: Field
    operator: str
    value: str | tuple[str, ...]
    negated: bool = False
    quantifier: str | None = None


@dataclass(frozen=True, slots=True)
class Logic:
    """`and(...)` or `or(...)`, perhaps negated."""

    word: Literal["and", "or"]
    items: tuple[Tree, ...]
    negated: bool = False


Tree = Condition | Logic


class Cursor:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    def peek(self, start: str) -> bool:
        return self.text.startswith(start, self.at)

    def take(self, start: str) -> bool:
        if self.peek(start):
            self.at += len(start)
            return True
        return False

    def expect(self, start: str) -> None:
        if not self.take(start):
            raise self.bad(f'expecting "{start}"')

    def until(self, stops: str) -> str:
        begin = self.at
        while self.at < len(self.text) and self.text[self.at] not in stops:
            self.at += 1
        return self.text[begin : self.at]

    def quoted(self) -> str | None:
        """A value in double quotes, if one stands here and a `,` or `)` or the end follows it."""
        if not self.peek('"'):
            return None
        at, out = self.at + 1, []
        while at < len(self.text) and self.text[at] != '"':
            if self.text[at] == "\\":
                at += 1
            out.append(self.text[at : at + 1])
            at += 1
        if at >= len(self.text) or (at + 1 < len(self.text) and self.text[at + 1] not in ",)"):
            return None
        self.at = at + 1
        return "".join(out)

    def bad(self, details: str) -> BadQuery:
        unexpected = f'"{self.text[self.at]}"' if not self.done else "end of input"
        return BadQuery(
            f'"failed to parse ({self.text})" (line 1, column {self.at + 1})',
            f"unexpected {unexpected} {details}",
        )


def read_field(cursor: Cursor, stops: str) -> Field:
    """A column name, plain or quoted, and its JSON path."""
    if cursor.take('"'):
        name = cursor.until('"')
        cursor.expect('"')
    else:
        begin = cursor.at
        while not cursor.done and cursor.text[cursor.at] not in stops and not cursor.peek("->"):
            cursor.at += 1
        name = cursor.text[begin : cursor.at].strip()
    if not name:
        raise cursor.bad("expecting field name")
    path = []
    while cursor.peek("->"):
        arrow = "->>" if cursor.take("->>") else "->"
        if arrow == "->":
            cursor.expect("->")
        begin = cursor.at
        while not cursor.done and cursor.text[cursor.at] not in stops + ":" and not cursor.peek("->"):
            cursor.at += 1
        key = cursor.text[begin : cursor.at].strip()
        if not key:
            raise cursor.bad("expecting a key")
        path.append((arrow, key))
    return Field(name, tuple(path))


def parse_condition(key: str, value: str) -> Condition:
    """`?key=value` as a condition: `seq=gt.5`, `data->>a=not.eq.x`. Raises BadQuery."""
    cursor = Cursor(key)
    column = read_field(cursor, stops="")
    return _condition(column, Cursor(value), nested=False)


def parse_logic(key: str, value: str) -> Logic:
    """`?or=(...)`, `?not.and=(...)`. Raises BadQuery."""
    cursor = Cursor(key + value)
    tree = _tree(cursor)
    if not cursor.done or not isinstance(tree, Logic):
        raise cursor.bad("expecting end of input")
    return tree


def _tree(cursor: Cursor) -> Tree:
    begin = cursor.at
    negated = cursor.take("not.")
    for word in ("and", "or"):
        if cursor.peek(word + "("):
            cursor.take(word + "(")
            items = [_tree(cursor)]
            while cursor.take(","):
                while cursor.take(" "):
                    pass
                items.append(_tree(cursor))
            cursor.expect(")")
            return Logic("and" if word == "and" else "or", tuple(items), negated)
    cursor.at = begin
    column = read_field(cursor, stops=".,()")
    cursor.expect(".")
    return _condition(column, cursor, nested=True)


def _condition(column: Field, cursor: Cursor, *, nested: bool) -> Condition:
    negated = cursor.take("not.")
    begin = cursor.at
    operator = cursor.until(".(")
    if operator == "in" and cursor.take("."):
        return Condition(column, "in", _list(cursor), negated)
    quantifier = None
    if operator in _QUANTIFIED and cursor.take("("):
        quantifier = cursor.until(")")
        cursor.expect(")")
        if quantifier not in ("any", "all"):
            cursor.at = begin
            raise cursor.bad("expecting operator (eq, gt, ...)")
    if operator not in _QUANTIFIED and operator not in _SIMPLE and operator not in ("is", "isdistinct"):
        cursor.at = begin
        raise cursor.bad("expecting operator (eq, gt, ...)")
    cursor.expect(".")
    begin = cursor.at
    value = _value(cursor, nested)
    if operator == "is" and value.lower() not in _IS:
        cursor.at = begin
        raise cursor.bad("expecting isVal: (null, not_null, true, false, unknown)")
    return Condition(column, operator, value, negated, quantifier)


def _value(cursor: Cursor, nested: bool) -> str:
    if not nested:
        rest = cursor.text[cursor.at :]
        cursor.at = len(cursor.text)
        return rest
    quoted = cursor.quoted()
    if quoted is not None:
        return quoted
    if cursor.peek("{") and "}" in cursor.text[cursor.at :]:
        inner = cursor.until("}")
        cursor.expect("}")
        return inner + "}"
    return cursor.until(",)")


def _list(cursor: Cursor) -> tuple[str, ...]:
    cursor.expect("(")
    items = []
    while True:
        quoted = cursor.quoted()
        items.append(cursor.until(",)") if quoted is None else quoted)
        if not cursor.take(","):
            break
    cursor.expect(")")
    return tuple(items)


def to_sql(tree: Tree, types: Mapping[str, str], params: Params, prefix: str = "") -> str:
    """The tree as a boolean expression; its values are added to `params`."""
    negation = "NOT " if tree.negated else ""
    if isinstance(tree, Logic):
        inner = f" {tree.word.upper()} ".join(to_sql(item, types, params, prefix) for item in tree.items)
        return f"{negation}({inner})"
    return f"{negation}{tree.field.sql(types, prefix)} {_comparison(tree, params)}"


def _comparison(condition: Condition, params: Params) -> str:
    value = condition.value
    if isinstance(value, tuple):
        items = () if value == ("",) else value
        return f"= ANY ({params.add(array_literal(items))})"
    if condition.operator == "is":
        return "IS " + _IS[value.lower()]
    if condition.operator == "isdistinct":
        return f"IS DISTINCT FROM {params.add(value)}"
    if condition.operator in _SIMPLE:
        return f"{_SIMPLE[condition.operator]} {params.add(value)}"
    if condition.operator in ("like", "ilike"):
        value = value.replace("*", "%")
    text = params.add(value)
    if condition.quantifier is not None:
        text = f"{condition.quantifier.upper()}({text})"
    return f"{_QUANTIFIED[condition.operator]} {text}"


def array_literal(items: tuple[str, ...]) -> str:
    """An array in PostgreSQL's own spelling, so that its type is inferred from the column."""
    quoted = ('"' + item.replace("\0", "").replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items)
    return "{" + ",".join(quoted) + "}"
