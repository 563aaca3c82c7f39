"""Decoder of pgoutput, protocol version 1: messages in, whole transactions out. Pure.

Format: PostgreSQL's "Logical Replication Message Formats". Values stay the text that PostgreSQL wrote.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final, Literal

Action = Literal["INSERT", "UPDATE", "DELETE"]


class Unchanged:
    """A large value that an UPDATE did not touch: the log does not repeat it."""


UNCHANGED: Final = Unchanged()
Value = bytes | None | Unchanged

# PostgreSQL counts microseconds from 2000-01-01.
_EPOCH_US = 946_684_800_000_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the log knows it. key: part of the replica identity."""

    name: str
    type_oid: int
    key: bool


@dataclass(frozen=True, eq=False, slots=True)
class Relation:
    """A table as the log knows it. A new one comes whenever the table, its grants or its policies changed."""

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One row's change. old: what the log says of the row before; with key_only just its replica identity."""

    action: Action
    relation: Relation
    new: tuple[Value, ...] | None
    old: tuple[Value, ...] | None
    key_only: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """Changes of the published tables that were committed together. commit_us: microseconds since 1970. xid: 32 bits."""

    xid: int
    changes: tuple[Change, ...]
    commit_us: int
    end_lsn: int


class BadMessage(Exception):
    """A message that this decoder does not know."""


@dataclass(slots=True)
class Decoder:
    """Keeps the relations and the open transaction."""

    _relations: dict[int, Relation] = field(default_factory=dict)
    _open: list[Change] = field(default_factory=list)
    _xid: int = 0

    def feed(self, message: bytes) -> Transaction | None:
        """Take one message; returns the transaction that it completes. Raises BadMessage."""
        kind = message[0:1]
        match kind:
            case b"I" | b"U" | b"D":
                self._open.append(self._change(kind, message))
            case b"B":
                self._open = []
                (self._xid,) = struct.unpack_from(">I", message, 17)
            case b"C":
                _, _, end_lsn, moment = struct.unpack_from(">bqqq", message, 1)
                done, self._open = self._open, []
                return Transaction(self._xid, tuple(done), moment + _EPOCH_US, end_lsn)
            case b"R":
                relation = _relation(message)
                self._relations[relation.oid] = relation
            case b"T" | b"Y" | b"O" | b"M":
                pass  # truncation, types, origins, messages: nobody gets these
            case _:
                raise BadMessage(f"pgoutput message {kind!r} is not known")
        return None

    def _change(self, kind: bytes, message: bytes) -> Change:
        (oid,) = struct.unpack_from(">I", message, 1)
        relation = self._relations[oid]
        at, old, key_only = 5, None, False
        if message[at : at + 1] in (b"K", b"O"):
            key_only = message[at : at + 1] == b"K"
            old, at = _tuple(message, at + 1)
        if kind == b"D":
            return Change("DELETE", relation, None, old, key_only)
        new, _ = _tuple(message, at + 1)
        return Change("INSERT" if kind == b"I" else "UPDATE", relation, new, old, key_only)


def _relation(message: bytes) -> Relation:
    (oid,) = struct.unpack_from(">I", message, 1)
    schema, at = _string(message, 5)
    name, at = _string(message, at)
    (count,) = struct.unpack_from(">H", message, at + 1)
    at += 3
    columns = []
    for _ in range(count):
        flags = message[at]
        column, at = _string(message, at + 1)
        type_oid, _ = struct.unpack_from(">Ii", message, at)
        at += 8
        columns.append(Column(column, type_oid, bool(flags & 1)))
    # pg_catalog is sent as an empty name.
    return Relation(oid, schema or "pg_catalog", name, tuple(columns))


def _string(message: bytes, at: int) -> tuple[str, int]:
    end = message.index(b"\0", at)
    return message[at:end].decode(), end + 1


def _tuple(message: bytes, at: int) -> tuple[tuple[Value, ...], int]:
    (count,) = struct.unpack_from(">H", message, at)
    at += 2
    values: list[Value] = []
    for _ in range(count):
        kind = message[at]
        at += 1
        if kind == 0x6E:  # n
            values.append(None)
        elif kind == 0x75:  # u
            values.append(UNCHANGED)
        elif kind == 0x74:  # t
            (size,) = struct.unpack_from(">I", message, at)
            at += 4
            values.append(message[at : at + size])
            at += size
        else:
            raise BadMessage(f"a value of kind {chr(kind)!r} is not known")
    return tuple(values), at
