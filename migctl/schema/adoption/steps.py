"""The way from the table as it is to the one of 0001: steps, each short under its lock, or under one that holds up nobody. Pure.

Each is a transaction of its own, a statement that PostgreSQL runs outside of one, or batches of updates. Those that are done don't
come again when the shape is read anew, so a run that was killed at any moment is finished by the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from migctl.schema.adoption import estimates
from migctl.schema.adoption.estimates import Lock
from migctl.schema.adoption.refusals import replaced
from migctl.schema.adoption.shape import OURS, Check, Shape
from migctl.schema.adoption.wanted import REQUIRED, WANTED, change
from migctl.schema.files import identifier, literal

# An index is called as its constraint from the moment on when it is one.
KEY, KEY_INDEX = "monitoring_events_pkey", f"{OURS}id_key"
POSITIONS, POSITIONS_INDEX = "monitoring_events_epoch_seq_key", f"{OURS}epoch_seq_key"
FIRST, NEXT = "{first}", "{next}"


@dataclass(frozen=True, slots=True)
class Step:
    """lock: the strongest that it takes on the table; about_s: how long it holds it, at this size.

    way: in one transaction; alone, outside of any; or batches: one statement, run for the rows of some pages after the other.
    may_fail: on rows that contradict it. column: whose type it changes where it stands.
    """

    what: str
    statements: tuple[str, ...]
    lock: Lock
    about_s: float
    way: Literal["transaction", "alone", "batches"] = "transaction"
    may_fail: bool = False
    column: str | None = None

    @property
    def holds_up(self) -> str:
        return estimates.HOLDS_UP[self.lock]


def steps(shape: Shape, in_place: frozenset[str]) -> tuple[Step, ...]:
    """What is left to do, in order. The shape has nothing that `refusals` would name."""
    return tuple(_steps(shape, in_place))


def _steps(shape: Shape, in_place: frozenset[str]) -> Iterator[Step]:
    for name in WANTED:
        if name in in_place:
            yield _changed(shape, name)
    yield from _added(shape)
    later = replaced(shape, in_place)
    for name in REQUIRED:
        if name not in later:
            yield from _not_null(shape, name, name)
    if "id" not in later:
        yield from _keyed(shape)
    for name in later:
        yield from _beside(shape, name)
    yield from _filled(shape, later)
    yield from _not_null(shape, "created_at", "created_at")
    for name in later:
        yield from _replaced(shape, name)
    yield from _positions(shape)
    yield from _proven(shape, in_place)
    yield _closed(shape)


def _short(what: str, *statements: str) -> Step:
    return Step(what, statements, "AccessExclusive", estimates.CATALOG_S)


def _changed(shape: Shape, name: str) -> Step:
    """Where it stands. A check of the operator's would be tried on all rows again under the lock: it is put back unproven, and
    proven afterwards, like all that are.
    """
    column, quoted = shape.columns[name], identifier(name)
    acts: list[str] = []
    checks = [check for check in shape.checks if name in check.columns]
    default = column.default if change(name, column.type) == "rewritten" else None
    if change(name, column.type) == "rewritten":
        checks = []  # the rewriting tries them on each row as it goes
    if default is not None:
        acts.append(f"alter column {quoted} drop default")
    acts += [f"drop constraint {identifier(check.name)}" for check in checks]
    acts.append(f"alter column {quoted} type {WANTED[name]} using {quoted}::{WANTED[name]}")
    if default is not None:
        acts.append(f"alter column {quoted} set default ({default})::{WANTED[name]}")
    acts += [f"add constraint {identifier(check.name)} {_unproven(check)}" for check in checks]
    what = f"{name}: {column.type} becomes {WANTED[name]}"
    statement = f"alter table {shape.name} {', '.join(acts)}"
    return Step(what, (statement,), "AccessExclusive", estimates.change_s(shape, name), column=name)


def _unproven(check: Check) -> str:
    return check.definition if check.definition.endswith(" NOT VALID") else f"{check.definition} not valid"


def _added(shape: Shape) -> Iterator[Step]:
    """Null in the rows that are there; `created_at` is filled afterwards."""
    missing = [name for name in ("created_at", "epoch", "seq", "committed_at") if name not in shape.columns]
    statements = []
    if missing:
        columns = ", ".join(f"add column {name} {WANTED[name]}" for name in missing)
        statements.append(f"alter table {shape.name} {columns}")
    created = shape.columns.get("created_at")
    if created is None or created.default != "now()":
        statements.append(f"alter table {shape.name} alter column created_at set default now()")
    if statements:
        yield _short(f"columns {', '.join(missing)}" if missing else "default of created_at", *statements)


def _filled(shape: Shape, later: Sequence[str]) -> Iterator[Step]:
    """All columns in one pass. Also those with a check that is not proven: a writer's null may have come before it."""
    created = shape.columns.get("created_at")
    values = {f"{OURS}{name}": _cast(name) for name in later if not _is_proven(shape, name)}
    if (created is None or not created.not_null) and not _is_proven(shape, "created_at"):
        values["created_at"] = 'coalesce(created_at, "timestamp")'
    if values:
        acts = ", ".join(f"{name} = {value}" for name, value in values.items())
        pages = f"ctid >= '({FIRST},0)' and ctid < '({NEXT},0)'"
        empty = " or ".join(f"{name} is null" for name in values)
        statement = f"update {shape.name} set {acts} where {pages} and ({empty})"  # noqa: S608 - quoted
        about_s = estimates.fill_s(shape)
        yield Step(f"fill {', '.join(values)}", (statement,), "RowExclusive", about_s, "batches")


def _is_proven(shape: Shape, column: str) -> bool:
    proof = shape.check(f"{OURS}{column}_not_null")
    return proof is not None and proof.valid


def _not_null(shape: Shape, column: str, of: str) -> Iterator[Step]:
    """Proven by a check, under a lock that stops nobody; then PostgreSQL takes its word for it."""
    name = f"{OURS}{column}_not_null"
    proof, there = shape.check(name), shape.columns.get(of)
    if there is not None and there.not_null and proof is None:
        return
    if proof is None:
        add = f"alter table {shape.name} add constraint {name} check ({identifier(of)} is not null) not valid"
        yield _short(f"{column}: no new null", add)
    if proof is None or not proof.valid:
        yield _validated(shape, name)
    if of == column:
        yield _short(f"{column} not null", *_from_proof(shape, column, name))


def _from_proof(shape: Shape, column: str, proof: str) -> tuple[str, str]:
    return (
        f"alter table {shape.name} alter column {identifier(column)} set not null",
        f"alter table {shape.name} drop constraint {proof}",
    )


def _validated(shape: Shape, constraint: str) -> Step:
    statement = f"alter table {shape.name} validate constraint {identifier(constraint)}"
    return Step(f"prove {constraint}", (statement,), "ShareUpdateExclusive", estimates.scan_s(shape))


def _proven(shape: Shape, in_place: frozenset[str]) -> Iterator[Step]:
    """Checks of the operator's. One that is not true of all rows stays as it is, and holds for those to come."""
    for check in shape.checks:
        if not check.name.startswith(OURS) and (not check.valid or in_place & set(check.columns)):
            yield replace(_validated(shape, check.name), may_fail=True)


def _index(shape: Shape, name: str, columns: str) -> Iterator[Step]:
    """Unique, made beside readers and writers. One that was left half made is made anew."""
    found = shape.index(name)
    if found is not None and found.valid:
        return
    about = estimates.index_s(shape)
    if found is not None:
        drop = f"drop index concurrently {identifier(shape.schema)}.{name}"
        yield Step(f"half-made index {name}", (drop,), "ShareUpdateExclusive", estimates.CATALOG_S, "alone")
    create = f"create unique index concurrently {name} on {shape.name} ({columns})"
    yield Step(f"index {name}", (create,), "ShareUpdateExclusive", about, "alone")


def _keyed(shape: Shape) -> Iterator[Step]:
    if shape.primary is None:
        yield from _index(shape, KEY_INDEX, "id")
        yield _short("primary key", _key_from_index(shape))


def _key_from_index(shape: Shape) -> str:
    return f"alter table {shape.name} add constraint {KEY} primary key using index {KEY_INDEX}"


def _cast(name: str) -> str:
    return f"{identifier(name)}::{WANTED[name]}"


def _trigger(name: str) -> str:
    # Triggers are fired in the order of their names: this one after those that still change the row.
    return identifier(f"~{OURS}fill_{name}")


def _function(shape: Shape, name: str) -> str:
    return f"{identifier(shape.schema)}.{OURS}fill_{name}"


def _beside(shape: Shape, name: str) -> Iterator[Step]:
    """Another column, which writers fill by a trigger and we fill for the rows that are there."""
    new, function = f"{OURS}{name}", _function(shape, name)
    if new not in shape.columns:
        yield _short(
            f"column {new}, filled by writers",
            f"alter table {shape.name} add column {new} {WANTED[name]}",
            f"create or replace function {function}() returns trigger language plpgsql set search_path = '' as"
            f" $fill$ begin new.{new} := new.{_cast(name)}; return new; end $fill$",
            f"revoke all on function {function}() from public, anon, authenticated",
            f"create trigger {_trigger(name)} before insert or update of {identifier(name)} on {shape.name}"
            f" for each row execute function {function}()",
        )


def _replaced(shape: Shape, name: str) -> Iterator[Step]:
    """The other column takes its place."""
    new = f"{OURS}{name}"
    yield from _not_null(shape, name, new)
    key, default = name == "id", shape.columns[name].default
    if key:
        yield from _index(shape, KEY_INDEX, new)
    yield _short(
        f"{new} becomes {name}",
        f"drop trigger {_trigger(name)} on {shape.name}",
        f"drop function {_function(shape, name)}()",
        f"alter table {shape.name} drop column {identifier(name)}",
        f"alter table {shape.name} rename column {new} to {identifier(name)}",
        *_from_proof(shape, name, f"{OURS}{name}_not_null"),
        *(
            (
                f"alter table {shape.name} alter column {identifier(name)} set default ({default})::{WANTED[name]}",
            )
            if default is not None
            else ()
        ),
        *((_key_from_index(shape),) if key else ()),
    )


def _positions(shape: Shape) -> Iterator[Step]:
    """Two rows for one position would be two histories. It is also the index that catch-up pages along."""
    if any(
        one.columns == ("epoch", "seq") and one.unique and one.constraint and one.plain
        for one in shape.indexes
    ):
        return
    yield from _index(shape, POSITIONS_INDEX, "epoch, seq")
    add = f"alter table {shape.name} add constraint {POSITIONS} unique using index {POSITIONS_INDEX}"
    yield _short("positions are unique", add)


def _closed(shape: Shape) -> Step:
    """Row level security, and who may read, in one moment: `authenticated` is not shut out until 0004 comes."""
    table = shape.name
    comments = {
        "id": "the producer's id; a repeat of it is dropped",
        "timestamp": "when it happened, as the producer says",
        "epoch": "one unbroken history of one journal; null in rows older than the journal",
        "seq": "contiguous from 1 within the epoch; each is a row here or a tombstone",
        "committed_at": "when the journal had it on disk; latency counts from here",
        "created_at": "when this row was written; not commit order, never page by it",
    }
    about = "Events, written by the relay of migctl. A position is (epoch, seq). Rows are inserted, never changed."
    return _short(
        "who may read it",
        f"alter table {table} enable row level security",
        f"drop policy if exists migctl_read on {table}",
        f"drop policy if exists migctl_write on {table}",
        f"create policy migctl_read on {table} for select to authenticated using (true)",
        f"create policy migctl_write on {table} for all to service_role using (true) with check (true)",
        f"revoke all on table {table} from public, anon, authenticated",
        f"grant select on table {table} to authenticated",
        f"comment on table {table} is {literal(about)}",
        *(
            f"comment on column {table}.{identifier(name)} is {literal(text)}"
            for name, text in comments.items()
        ),
    )
