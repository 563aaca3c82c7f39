"""What a REST request asks for, read from its query string and headers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from migctl.stack.standin.rest.errors import RestError, bad_preferences
from migctl.stack.standin.rest.filters import (
    BadQuery,
    Cursor,
    Field,
    Tree,
    parse_condition,
    parse_logic,
    read_field,
)

_RESERVED = {"select", "order", "limit", "offset", "columns", "on_conflict", "apikey"}
_LOGIC = {"and", "or", "not.and", "not.or"}
_CAST = re.compile(r"[A-Za-z0-9_ $]+", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_RANGE = re.compile(r"(\d+)-(\d*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selected:
    """One item of `select=`: `alias:field::cast`, or `*`."""

    field: Field
    alias: str | None = None
    cast: str | None = None


@dataclass(frozen=True, slots=True)
class Ordered:
    """One item of `order=`."""

    field: Field
    suffix: str


_PREFERENCES = {
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "tx": ("commit", "rollback"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
}
_OPEN = ("timezone", "max-affected")


@dataclass(frozen=True, slots=True)
class Prefer:
    """The `Prefer` header: a list, in any order, with or without spaces."""

    returned: str | None = None
    resolution: str | None = None
    count: str | None = None
    missing: str | None = None
    max_affected: int | None = None
    handling: str | None = None
    timezone: str | None = None

    @classmethod
    def parse(cls, headers: Iterable[str]) -> Prefer:
        """max_affected: with `handling=strict` alone, as PostgREST does. Raises RestError for what it then does not know."""
        found: dict[str, str] = {}
        for header in headers:
            for item in header.split(","):
                name, _, value = item.strip().partition("=")
                found.setdefault(name.strip(), value.strip())
        strict = found.get("handling") == "strict"
        unknown = [
            f"{name}={value}" if value else name
            for name, value in found.items()
            if name not in _OPEN and value not in _PREFERENCES.get(name, ())
        ]
        if strict and unknown:
            raise bad_preferences(unknown)
        most = found.get("max-affected", "")
        return cls(
            found.get("return"),
            found.get("resolution"),
            found.get("count"),
            found.get("missing"),
            int(most) if strict and most.isdigit() else None,
            found.get("handling"),
            found.get("timezone"),
        )

    @property
    def counts(self) -> bool:
        return self.count in _PREFERENCES["count"]

    def applied(self, method: str, *, rpc: bool) -> str:
        """What `Preference-Applied` says of them for a request."""
        names = ["count", "handling"]
        if not rpc and method in ("POST", "PATCH"):
            names.append("missing")
        if not rpc and method == "POST":
            names.append("resolution")
        if not rpc and method in ("POST", "PATCH", "DELETE"):
            names.append("return")
        values = {
            "resolution": self.resolution,
            "missing": self.missing,
            "return": self.returned,
            "count": self.count,
            "handling": self.handling,
        }
        taken = [f"{n}={v}" for n, v in values.items() if n in names and v in _PREFERENCES[n]]
        if self.timezone is not None:
            taken.append(f"timezone={self.timezone}")
        if self.max_affected is not None and (rpc or method in ("PATCH", "DELETE")):
            taken.append(f"max-affected={self.max_affected}")
        return ", ".join(taken)


@dataclass(frozen=True, slots=True)
class Asked:
    """A whole query string."""

    select: tuple[Selected, ...] = ()
    where: tuple[Tree, ...] = ()
    order: tuple[Ordered, ...] = ()
    limit: int | None = None
    offset: int = 0
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)


def parse(query: Iterable[tuple[str, str]], *, range_header: str | None = None, rpc: bool = False) -> Asked:
    """Read a query string. rpc: what is no filter of the result is an argument of the function.

    Raises BadQuery, or RestError for a range that can't be.
    """
    pairs = list(query)
    values = dict(pairs)
    where: list[Tree] = []
    arguments: dict[str, str] = {}
    for key, value in pairs:
        if key in _RESERVED:
            continue
        if key in _LOGIC:
            where.append(parse_logic(key, value))
        elif rpc:
            arguments[key] = value
        else:
            where.append(parse_condition(key, value))
    limit, offset = _window(values, range_header)
    return Asked(
        select=parse_select(values["select"]) if values.get("select") else (),
        where=tuple(where),
        order=parse_order(values["order"]) if values.get("order") else (),
        limit=limit,
        offset=offset,
        columns=_names(values["columns"]) if values.get("columns") else None,
        on_conflict=_names(values["on_conflict"]) if values.get("on_conflict") else None,
        arguments=arguments,
    )


def _window(values: Mapping[str, str], range_header: str | None) -> tuple[int | None, int]:
    limit, offset = _integer(values.get("limit")), _integer(values.get("offset")) or 0
    match = _RANGE.fullmatch(range_header or "")
    if match is not None:
        first, last = int(match[1]), int(match[2]) if match[2] else None
        if last is not None and last < first:
            raise RestError(
                416,
                "PGRST103",
                "Requested range not satisfiable",
                details="The lower boundary must be lower than or equal to the upper boundary in the Range header.",
            )
        offset = max(offset, first)
        if last is not None:
            limit = last - first + 1 if limit is None else min(limit, last - first + 1)
    if (limit is not None and limit < 0) or offset < 0:
        raise RestError(
            416,
            "PGRST103",
            "Requested range not satisfiable",
            details="Limit should be greater than or equal to zero.",
        )
    return limit, offset


def _integer(text: str | None) -> int | None:
    # PostgREST ignores a limit that is no number; the row cap still holds.
    return int(text) if text is not None and _INTEGER.fullmatch(text) else None


def parse_select(text: str) -> tuple[Selected, ...]:
    """`id,kind:event_type,data->>host,seq::text`. Raises BadQuery."""
    cursor = Cursor(text)
    items = []
    while True:
        while cursor.take(" "):
            pass
        items.append(_selected(cursor))
        if not cursor.take(","):
            break
    if not cursor.done:
        raise cursor.bad('expecting "," or end of input')
    return tuple(items)


def _selected(cursor: Cursor) -> Selected:
    if cursor.take("*"):
        return Selected(Field("*"))
    alias = None
    found = read_field(cursor, stops=",:(")
    if cursor.peek(":") and not cursor.peek("::"):
        cursor.expect(":")
        alias = found.name
        found = read_field(cursor, stops=",:(")
    if cursor.peek("("):
        raise BadQuery(
            f'"failed to parse select parameter ({cursor.text})"',
            "embedded resources and aggregates are not part of the stand-in",
        )
    cast = None
    if cursor.take("::"):
        cast = cursor.until(",")
        if not _CAST.fullmatch(cast):
            raise cursor.bad("expecting a type name")
    return Selected(found, alias, cast)


def parse_order(text: str) -> tuple[Ordered, ...]:
    """`epoch,seq.desc.nullslast`. Raises BadQuery."""
    cursor = Cursor(text)
    items = []
    while True:
        found = read_field(cursor, stops=".,()")
        words: list[str] = []
        if cursor.take(".asc"):
            words.append("ASC")
        elif cursor.take(".desc"):
            words.append("DESC")
        if cursor.take(".nullsfirst"):
            words.append("NULLS FIRST")
        elif cursor.take(".nullslast"):
            words.append("NULLS LAST")
        items.append(Ordered(found, " ".join(words)))
        if not cursor.take(","):
            break
    if not cursor.done:
        raise cursor.bad('expecting "asc", "desc", "nullsfirst" or "nullslast"')
    return tuple(items)


def _names(text: str) -> tuple[str, ...]:
    cursor = Cursor(text)
    names = []
    while True:
        while cursor.take(" "):
            pass
        names.append(read_field(cursor, stops=",").name)
        if not cursor.take(","):
            break
    if not cursor.done:
        raise cursor.bad('expecting "," or end of input')
    return tuple(dict.fromkeys(names))
