"""What an adoption can't end well with, each with its way out: statements, in the order in which PostgreSQL takes them. Pure.

Nothing of the operator's is dropped by us. What has to go, or go under another name, is said before a statement is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from migctl.errors import Refused
from migctl.schema.adoption import estimates
from migctl.schema.adoption.shape import Column, Index, Shape
from migctl.schema.adoption.wanted import POSITION, REQUIRED, WANTED, change
from migctl.schema.files import identifier


class Turn(IntEnum):
    """When a statement's turn is: what is made of a thing goes before the thing, a name is free before it is given anew."""

    RELEASE = 1
    KEY = 2
    GENERATION = 3
    NAME = 4
    NULLS = 5
    COLUMN = 6
    TYPE = 7
    DEFAULT = 8
    ROWS = 9


@dataclass(frozen=True, slots=True)
class Refusal:
    """what: one sentence. first: statements with their turn; afterwards: what makes again what had to go.

    words: where no SQL is known.
    """

    what: str
    first: tuple[tuple[Turn, str], ...] = ()
    afterwards: tuple[str, ...] = ()
    words: str = ""


def replaced(shape: Shape, in_place: frozenset[str]) -> tuple[str, ...]:
    """The columns whose type is changed by another column that takes their place, filled in batches."""
    return tuple(
        name
        for name, column in shape.columns.items()
        if name in WANTED and name not in in_place and change(name, column.type) == "rewritten"
    )


def way_out(refusals: Sequence[Refusal]) -> tuple[str, ...]:
    """The statements of all of them, in order, each once."""
    every = [statement for refusal in refusals for statement in refusal.first]
    return tuple(dict.fromkeys(f"{text};" for _, text in sorted(every, key=lambda one: one[0])))


def in_one(found: Sequence[Refusal]) -> Refused:
    """All of them in one, with the one order of all their statements."""
    lines = [one.words for one in found if one.words]
    if first := way_out(found):
        lines = [
            "run these in this order, then migctl schema apply again:",
            *(f"  {one}" for one in first),
            *lines,
        ]
    afterwards = [f"  {one}" for refusal in found for one in refusal.afterwards]
    if afterwards:
        lines += ["and when it is applied:", *afterwards]
    return Refused("; ".join(one.what for one in found), do="\n  ".join(lines))


def refusals(shape: Shape, *, in_place: frozenset[str]) -> tuple[Refusal, ...]:
    """All that stands in the way. in_place: columns whose type is changed where they stand, with the indexes that they have."""
    if not shape.ordinary:
        words = "rename it, and run this again"
        return (Refusal(f"{shape.name} is no ordinary table, so it can't be adopted", words=words),)
    found = [
        *_columns(shape),
        *_foreign(shape),
        *_key(shape),
        *_made_of(shape, in_place),
        *_filled(shape, in_place),
    ]
    return (*found, *_replicated(shape, found, in_place))


def _columns(shape: Shape) -> Iterator[Refusal]:
    for name in REQUIRED:
        if name not in shape.columns:
            yield Refusal(f"{shape.name} has no column {name}", _new(shape, name))
    for name, column in shape.columns.items():
        if name in POSITION:
            if (why := _not_ours(column)) is not None:
                what = f"{shape.name}.{name} {why}, and an adopted row has no {name} of ours"
                yield Refusal(what, _aside(shape, column))
        elif name in WANTED:
            yield from _event_column(shape, column)


def _not_ours(column: Column) -> str | None:
    if column.generated:
        return f"is {column.generated}"
    if column.type != WANTED[column.name]:
        return f"is {column.type}"
    if column.not_null:
        return "is not null"
    return "has a default" if column.default is not None else None


def _event_column(shape: Shape, column: Column) -> Iterator[Refusal]:
    full, table = f"{shape.name}.{column.name}", f"alter table {shape.name}"
    alter = f"{table} alter column {identifier(column.name)}"
    if change(column.name, column.type) == "impossible":
        converted = _converted(shape, column)
        yield converted
        if any(turn is Turn.NAME for turn, _ in converted.first):
            return
    elif "virtual" in column.generated:
        first = (*_aside(shape, column), *_new(shape, column.name))
        yield Refusal(f"{full} is {column.generated}: every insert of ours would fail", first)
    elif column.generated:
        rule = "identity" if "identity" in column.generated else "expression"
        first = ((Turn.GENERATION, f"{alter} drop {rule}"),)
        yield Refusal(f"{full} is {column.generated}: every insert of ours would fail", first)
    if column.nulls:
        update = _update(shape, column.name, _value(shape, column.name), f"{identifier(column.name)} is null")
        rows = "1 row" if column.nulls == 1 else f"{column.nulls} rows"
        yield Refusal(f"{full} is null in {rows}, and an event always has one", ((Turn.ROWS, update),))
    if column.name in shape.bad:
        yield _unreadable(shape, column)


def _converted(shape: Shape, column: Column) -> Refusal:
    """Another type altogether, arrays among them."""
    name, quoted = column.name, identifier(column.name)
    alter = f"alter table {shape.name} alter column {quoted}"
    if column.is_array:
        using = {
            "text": f"array_to_string({quoted}, ',')",
            "jsonb": f"to_jsonb({quoted})",
        }.get(WANTED[name], f"{quoted}[1]::{WANTED[name]}")
    elif WANTED[name] == "text":
        using = f"{quoted}::text"
    elif column.type == "date":
        using = f"{quoted}::timestamp at time zone 'UTC'"
    else:
        # What the value would mean (a number as an id, or as a time) is not ours to guess: it is kept under another name.
        first = (*_aside(shape, column), *(_new(shape, name) if name in REQUIRED else ()))
        return Refusal(f"{shape.name}.{name} is {column.type}, which can't become {WANTED[name]}", first)
    first = (
        *_released(shape, name),
        *(((Turn.GENERATION, f"{alter} drop default"),) if column.default is not None else ()),
        (Turn.TYPE, f"{alter} type {WANTED[name]} using {using}"),
    )
    return Refusal(f"{shape.name}.{name} is {column.type}, which is not {WANTED[name]}", first)


def _released(shape: Shape, column: str) -> tuple[tuple[Turn, str], ...]:
    """What is made of a column, but for the primary key. It was made for another type, and would not fit again."""
    first = [(Turn.RELEASE, one.drop) for one in shape.dependents if one.column == column]
    schema = identifier(shape.schema)
    for index in shape.indexes:
        if column in index.made_of and not index.primary:
            if index.constraint is not None:
                first += _without(shape, index)
            else:
                drop = f"drop index concurrently {schema}.{identifier(index.name)}"
                first.append((Turn.RELEASE, drop))
    return tuple(first)


def _unreadable(shape: Shape, column: Column) -> Refusal:
    quoted = identifier(column.name)
    what = f"{shape.name}.{column.name} can't all become {WANTED[column.name]}: {shape.bad[column.name]}"
    if column.name == "id":
        # The same id for the same text, so that what refers to it can follow.
        hexadecimal = r"'^\{?([0-9a-f]{4}-?){7}[0-9a-f]{4}\}?$'"
        update = _update(shape, "id", f"md5({quoted})", f"{quoted} !~* {hexadecimal}")
        return Refusal(what, ((Turn.ROWS, update),))
    return Refusal(
        what, words=f"give {column.name} another value in those rows: what it names can't be kept as jsonb"
    )


def _aside(shape: Shape, column: Column) -> tuple[tuple[Turn, str], ...]:
    """Its values stay, under another name, and rows that are written without it go in."""
    name = shape.unused(f"old_{column.name}")
    rename = f"alter table {shape.name} rename column {identifier(column.name)} to {name}"
    first: list[tuple[Turn, str]] = [(Turn.NAME, rename)]
    if column.not_null and column.default is None and not column.generated:
        first.append((Turn.NULLS, f"alter table {shape.name} alter column {name} drop not null"))
        if shape.primary is not None and column.name in shape.primary.columns:
            first = [*_without_key(shape), *first]
    return tuple(first)


def _new(shape: Shape, name: str) -> tuple[tuple[Turn, str], ...]:
    quoted = identifier(name)
    column = f"alter table {shape.name} add column {quoted} {WANTED[name]}"
    fill = (Turn.ROWS, _update(shape, name, _value(shape, name), f"{quoted} is null"))
    if name != "id":
        return ((Turn.COLUMN, column), fill)
    default = f"alter table {shape.name} alter column {quoted} set default gen_random_uuid()"
    return ((Turn.COLUMN, column), (Turn.DEFAULT, default), fill)


def _update(shape: Shape, column: str, value: str, where: str) -> str:
    return f"update {shape.name} set {identifier(column)} = {value} where {where}"  # noqa: S608 - for a person to run


def _value(shape: Shape, name: str) -> str:
    if name == "timestamp":
        created = shape.columns.get("created_at")
        known = created is not None and change("created_at", created.type) != "impossible"
        return "coalesce(created_at, now())" if known else "now()"
    values = {"id": "gen_random_uuid()", "event_type": "'unknown'", "data": "'{}'", "source": "'unknown'"}
    return values[name]


def _foreign(shape: Shape) -> Iterator[Refusal]:
    for name, column in shape.columns.items():
        if name not in WANTED and column.not_null and column.default is None and not column.generated:
            first = [(Turn.NULLS, f"alter table {shape.name} alter column {identifier(name)} drop not null")]
            if shape.primary is not None and name in shape.primary.columns:
                first = [*_without_key(shape), *first]
            what = f"{shape.name}.{name} is not ours, not null and has no default: every insert of ours would fail"
            yield Refusal(what, tuple(first))


def _without_key(shape: Shape) -> list[tuple[Turn, str]]:
    assert shape.primary is not None
    return _without(shape, shape.primary)


def _without(shape: Shape, index: Index) -> list[tuple[Turn, str]]:
    """A constraint can't go while foreign keys of other tables need it."""
    key = identifier(index.constraint or index.name)
    return [
        *((Turn.RELEASE, drop) for needed, drop, _ in shape.referring if needed == index.name),
        (Turn.KEY, f"alter table {shape.name} drop constraint {key}"),
    ]


def _key(shape: Shape) -> Iterator[Refusal]:
    primary = shape.primary
    id_ = shape.columns.get("id")
    renamed = id_ is not None and change("id", id_.type) == "impossible" and not id_.is_array
    if primary is not None and (primary.columns != ("id",) or not primary.plain or renamed):
        of = ", ".join(primary.columns) + ("" if primary.plain else ", deferrable")
        what = f"the primary key of {shape.name} is ({of}), and repeats are dropped by one of (id)"
        referring = [one for one in shape.referring if one[0] == primary.name]
        if referring:
            what += f"; {len(referring)} foreign keys of other tables go with it"
        yield Refusal(what, tuple(_without_key(shape)))
    if shape.repeated_ids:
        same = "a.id::uuid = b.id::uuid" if id_ is not None and id_.type != "uuid" else "a.id = b.id"
        delete = f"delete from {shape.name} a using {shape.name} b where {same} and a.ctid > b.ctid"  # noqa: S608 - as above
        what = f"{shape.repeated_ids} rows of {shape.name} repeat the id of another row"
        yield Refusal(what, ((Turn.ROWS, delete),))


def _made_of(shape: Shape, in_place: frozenset[str]) -> Iterator[Refusal]:
    """What PostgreSQL refuses to change a type under, and what would go with a column that is replaced."""
    dropped: set[str] = set()
    for name, column in shape.columns.items():
        how = change(name, column.type) if name in WANTED else "none"
        if how not in ("noted", "rewritten"):
            continue
        for one in shape.dependents:
            follows = one.follows and (how == "noted" or name in in_place)
            if one.column == name and not follows and one.drop not in dropped:
                dropped.add(one.drop)
                what = f"{one.what} is made of {shape.name}.{name}, whose type has to change"
                yield _again(what, (Turn.RELEASE, one.drop), one.again)
        indexes = estimates.rebuilt(shape, name) if how == "noted" else shape.indexes
        for index in indexes if name not in in_place else ():
            if name in index.made_of and not index.primary:
                yield _replaced(shape, name, index)
        if shape.primary is not None and name == "id":
            for of, drop, _ in shape.referring:
                if of == shape.primary.name:
                    what = f"a foreign key refers to {shape.name}.id, whose type has to change"
                    words = "make it again when the column that refers is a uuid"
                    yield Refusal(what, ((Turn.RELEASE, drop),), words=words)


def _replaced(shape: Shape, column: str, index: Index) -> Refusal:
    what = f"index {index.name} is made of {shape.name}.{column}, whose type has to change"
    if index.constraint is not None:
        return Refusal(what, tuple(_without(shape, index)), words="make it again afterwards")
    drop = f"drop index concurrently {identifier(shape.schema)}.{identifier(index.name)}"
    return _again(what, (Turn.RELEASE, drop), index.definition.replace(" INDEX ", " INDEX CONCURRENTLY ", 1))


def _again(what: str, first: tuple[Turn, str], again: str | None) -> Refusal:
    if again is None:
        return Refusal(what, (first,), words="make it again afterwards")
    return Refusal(what, (first,), (f"{again};",))


def _filled(shape: Shape, in_place: frozenset[str]) -> Iterator[Refusal]:
    """Rows that have to be updated, one batch after the other."""
    if shape.hides_rows:
        off = f"alter table {shape.name} no force row level security"
        what = f"{shape.name} hides rows from its owner (force row level security)"
        yield Refusal(what, ((Turn.RELEASE, off),))
    created = shape.columns.get("created_at")
    if created is not None and created.not_null and not replaced(shape, in_place):
        return
    for one in shape.updated_by:
        kind, _, name = one.partition(" ")
        able = f"able {kind} {identifier(name)}"
        what = f"{one} of {shape.name} acts on updates, and each of its rows has to be updated"
        disable = (Turn.RELEASE, f"alter table {shape.name} dis{able}")
        yield _again(what, disable, f"alter table {shape.name} en{able}")


def _replicated(shape: Shape, found: Sequence[Refusal], in_place: frozenset[str]) -> Iterator[Refusal]:
    """Updates of a published table without a key are refused by PostgreSQL, its owner's own ones too."""
    statements = [one for refusal in found for one in refusal.first]
    drops_key = any(turn is Turn.KEY for turn, _ in statements) and shape.primary is not None
    keyed = shape.primary is not None and not drops_key
    # Its own key is made before any row is updated, but for one of a column that is yet to be filled.
    updates = "id" in replaced(shape, in_place) or any(turn is Turn.ROWS for turn, _ in statements)
    if (
        shape.publishes_updates
        and updates
        and (shape.known_by == "none" or (shape.known_by == "key" and not keyed))
    ):
        full = f"alter table {shape.name} replica identity full"
        what = f"{shape.name} is in a publication, and updates of its rows would have no key to be known by"
        yield Refusal(what, ((Turn.RELEASE, full),))
