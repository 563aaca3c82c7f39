"""How long a statement holds up whom, at this size: for `plan`, and for choosing the way that holds up nobody. Pure.

An estimate divides bytes or rows by what a small machine does a second. It is a guess with a margin; what holds is the bound that
the server is given with each statement that stops readers.
"""

from __future__ import annotations

from typing import Literal

from migctl.schema.adoption.shape import OURS, Index, Shape
from migctl.schema.adoption.wanted import TIME, WANTED, change

# As PostgreSQL names them in pg_locks, without `Lock`; weakest first.
Lock = Literal["none", "RowExclusive", "ShareUpdateExclusive", "ShareRowExclusive", "AccessExclusive"]

HOLDS_UP: dict[str, str] = {
    "none": "nobody",
    "RowExclusive": "nobody (writers of the same rows, for a batch)",
    "ShareUpdateExclusive": "nobody",
    "ShareRowExclusive": "writers",
    "AccessExclusive": "readers and writers",
}
CATALOG_S = 0.02
SCANNED_BYTES_S = 200e6
REWRITTEN_BYTES_S = 40e6
INDEXED_ROWS_S = 500e3
UPDATED_ROWS_S = 25e3
HOW = (
    f"estimates: bytes or rows of the table, over {SCANNED_BYTES_S / 1e6:g} MB/s read, {REWRITTEN_BYTES_S / 1e6:g} MB/s rewritten,"
    f" {INDEXED_ROWS_S / 1e3:g}k rows/s indexed, {UPDATED_ROWS_S / 1e3:g}k rows/s updated; the wait for a lock comes on top"
)


def scan_s(shape: Shape) -> float:
    return CATALOG_S + shape.bytes / SCANNED_BYTES_S


def index_s(shape: Shape) -> float:
    return scan_s(shape) + shape.rows / INDEXED_ROWS_S


def fill_s(shape: Shape) -> float:
    return scan_s(shape) + shape.rows / UPDATED_ROWS_S


def change_s(shape: Shape, column: str) -> float:
    """Of giving a column its type where it stands, under a lock that stops everybody."""
    how = change(column, shape.columns[column].type)
    if how == "rewritten":
        return CATALOG_S + shape.bytes / REWRITTEN_BYTES_S + index_s(shape) * len(shape.indexes)
    return CATALOG_S + index_s(shape) * len(rebuilt(shape, column))


def rebuilt(shape: Shape, column: str) -> list[Index]:
    """Indexes that are built anew for a type that is only noted: of times, and of expressions. One of texts stays."""
    found = [one for one in shape.indexes if column in one.made_of]
    return [one for one in found if WANTED[column] == TIME or not one.plain]


def in_place(shape: Shape, limit_s: float) -> frozenset[str]:
    """The columns whose type can be changed where they stand within this time."""
    return frozenset(
        name
        for name, column in shape.columns.items()
        if name in WANTED
        and f"{OURS}{name}" not in shape.columns  # another column takes its place already
        and change(name, column.type) in ("noted", "rewritten")
        and change_s(shape, name) <= CATALOG_S + limit_s
    )
