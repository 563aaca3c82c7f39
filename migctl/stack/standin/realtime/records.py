"""The JSON of a change, as the real server words it. Pure: values are PostgreSQL's own text, put in place and not read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from migctl.stack.standin.wal.pgoutput import Change, Relation, Unchanged, Value

TOO_LARGE = "Error 413: Payload Too Large"
NO_KEY = "Error 400: Bad Request, no primary key"
UNAUTHORIZED = "Error 401: Unauthorized"

_quote = msgspec.json.Encoder().encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = frozenset({20, 21, 23, 700, 701, 1700})
JSON = 114
_BOOL, _BYTEA, _JSONB, _TIMESTAMP, _TIMESTAMPTZ = 16, 17, 3802, 1114, 1184
# The real server casts to the type without its length, and char and bit without one are of length 1.
_OF_LENGTH_1 = frozenset({1042, 1560})
_SHORT = 64


@dataclass(frozen=True, slots=True)
class Described:
    """A table as the catalogue describes it to one role.

    columns: name and type, in their order. key: its primary key. readable: the columns that the role may select.
    cast: columns whose text only PostgreSQL can turn into JSON (arrays, composites, domains, json itself), with their types.
    bare: each type without its length, which filters go by.
    """

    columns: tuple[tuple[str, str], ...]
    types: Mapping[str, str]
    key: tuple[str, ...]
    readable: frozenset[str]
    rls: bool
    cast: Mapping[str, str]
    bare: Mapping[str, str]


Row = dict[str, bytes]


def rows_of(change: Change, key: Collection[str]) -> tuple[dict[str, Value] | None, dict[str, Value] | None]:
    """The new and the old row of a change, by column.

    old: of an UPDATE the log says nothing where the key stayed the same; then it is the key, as on the real server.
    """
    names = [column.name for column in change.relation.columns]
    new = dict(zip(names, change.new, strict=True)) if change.new is not None else None
    old = dict(zip(names, change.old, strict=True)) if change.old is not None else None
    identity = {column.name for column in change.relation.columns if column.key}
    if old is not None and change.key_only:
        old = {name: value for name, value in old.items() if name in identity}
    if change.action == "UPDATE" and old is None and new is not None:
        old = {name: value for name, value in new.items() if name in (identity or set(key))}
    if new is not None:
        # An untouched large value is taken from the old row where that has it, and is left out where not.
        kept = ((n, (old or {}).get(n, v) if isinstance(v, Unchanged) else v) for n, v in new.items())
        new = {name: value for name, value in kept if not isinstance(value, Unchanged)}
    return new, old


def to_json(type_oid: int, value: bytes | None) -> bytes:
    """A value's text as JSON. Types that are not known here become strings, as to_jsonb makes of most of them.

    What the real server's decoder does to a value before that is done here too: NaN and infinity are null, bytea is bare hex.
    """
    if value is None:
        return b"null"
    if type_oid in _NUMBERS:
        return value if value[-1:].isdigit() else b"null"
    if type_oid == _BOOL:
        return b"true" if value == b"t" else b"false"
    if type_oid in (JSON, _JSONB):
        return value
    if type_oid in (_TIMESTAMP, _TIMESTAMPTZ) and value[:1].isdigit():
        text = value.replace(b" ", b"T", 1)
        # to_jsonb writes the minutes of an offset, the log does not.
        if type_oid == _TIMESTAMPTZ and text[-3:-2] in (b"+", b"-"):
            text += b":00"
        return b'"' + text + b'"'
    shown = value.decode()
    if type_oid == _BYTEA:
        shown = shown.removeprefix("\\x")
    return _quote(shown[:1] if type_oid in _OF_LENGTH_1 else shown)


def envelope_bytes(change: Change) -> int:
    """How large the real server's decoder would make this change: its limit is on that text, not on the row.

    wal2json's format 2, as jsonb text: each value once more quoted, with name, type and the words around them.
    """
    total = 160 + len(change.relation.schema) + len(change.relation.name)
    for values in (change.new, change.old):
        for column, value in zip(change.relation.columns, values or (), strict=False):
            if not isinstance(value, Unchanged):
                total += 62 + len(column.name) + _quoted_bytes(value)
    return total


def _quoted_bytes(value: bytes | None) -> int:
    if value is None:
        return 4
    return len(value) + 2 + sum(map(value.count, (b'"', b"\\", b"\n", b"\t", b"\r")))


@dataclass(frozen=True, slots=True)
class Rendered:
    """A change whose values are JSON already."""

    action: str
    relation: Relation
    commit: bytes
    new: Row | None
    old: Row | None
    oversize: bool


def render(
    change: Change,
    key: Collection[str],
    commit_us: int,
    max_bytes: int,
    cast: Mapping[str, Mapping[bytes, bytes]],
) -> Rendered:
    """cast: for columns that PostgreSQL had to turn into JSON, what it made of each value."""
    types = {column.name: column.type_oid for column in change.relation.columns}
    new, old = rows_of(change, key)
    oversize = envelope_bytes(change) > max_bytes

    def row(values: dict[str, Value] | None) -> Row | None:
        if values is None:
            return None
        made: Row = {}
        for name, value in values.items():
            if isinstance(value, Unchanged) or (oversize and value is None):
                continue
            known = cast.get(name, {}).get(value) if value is not None else None
            made[name] = to_json(types[name], value) if known is None else known
        return made

    moment = (_EPOCH + timedelta(microseconds=commit_us)).isoformat(timespec="milliseconds")
    return Rendered(
        action=change.action,
        relation=change.relation,
        commit=_quote(moment.replace("+00:00", "Z")),
        new=row(new),
        old=row(old),
        oversize=oversize,
    )


def data(rendered: Rendered, table: Described, selected: Sequence[str] | None) -> bytes:
    """The `data` of a postgres_changes message for one role and one choice of columns."""
    shown = {
        name
        for name, _ in table.columns
        if name in table.readable and (selected is None or name in selected or name in table.key)
    }
    members = [
        b'"schema":' + _quote(rendered.relation.schema),
        b'"table":' + _quote(rendered.relation.name),
        b'"type":' + _quote(rendered.action),
        b'"commit_timestamp":' + rendered.commit,
        b'"columns":' + _quote([{"name": n, "type": t} for n, t in table.columns if n in shown]),
        b'"errors":' + (_quote([TOO_LARGE]) if rendered.oversize else b"null"),
    ]
    if rendered.action != "DELETE":
        members.append(b'"record":' + _object(rendered.new, shown, short=rendered.oversize))
    if rendered.action != "INSERT":
        # Nobody can check a deleted row against a policy, so with policies only its key is sent.
        sent = shown & set(table.key) if rendered.action == "DELETE" and table.rls else shown
        members.append(b'"old_record":' + _object(rendered.old, sent, short=rendered.oversize))
    return b"{" + b",".join(members) + b"}"


def refusal(change: Change, error: str) -> bytes:
    """The `data` of a change that may not be sent."""
    old: dict[str, object] = {"old_record": {}} if change.action == "UPDATE" else {}
    return _quote(
        {
            "schema": change.relation.schema,
            "table": change.relation.name,
            "type": change.action,
            "commit_timestamp": None,
            "columns": [],
            "record": {},
            **old,
            "errors": [error],
        }
    )


def _object(row: Row | None, shown: Collection[str], *, short: bool) -> bytes:
    kept = (
        _quote(name) + b":" + value
        for name, value in (row or {}).items()
        if name in shown and not (short and len(value) > _SHORT)
    )
    return b"{" + b",".join(kept) + b"}"
