"""What `schema plan` shows of locks, of the statements, and of a table that is adopted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migctl.cli import output

if TYPE_CHECKING:
    from migctl.schema import Migration, Plan
    from migctl.schema.locking import Held


def show_locks(plan: Plan) -> None:
    """Nothing where no table is there that could be locked."""
    from migctl.events.sizes import size
    from migctl.schema.adoption.estimates import HOW

    held = plan.locks
    if not held:
        return
    output.table(
        ["FILE", "DOES", "LOCK", "HOLDS UP", "ABOUT"],
        [[one.file[:4], one.statement, one.lock, one.holds_up, _seconds(one.about_s)] for one in held],
    )
    if plan.findings.adoption is not None:
        shape = plan.findings.adoption.shape
        output.note(f"{shape.name}: {shape.rows:,} rows, {size(shape.bytes)}; {HOW}")


def _seconds(about_s: float) -> str:
    return f"{about_s:.2f} s" if about_s < 10 else f"{about_s:.0f} s"


def show_sql(plan: Plan) -> None:
    for migration in plan.pending:
        output.plain(f"-- {migration.file}\n{sql_of(plan, migration)}")


def sql_of(plan: Plan, migration: Migration) -> str:
    """The text that would be run: of the file, or of the steps of an adoption instead of it."""
    from migctl.schema.files import render

    adoption = plan.findings.adoption
    if adoption is None or migration.version != 1:
        return render(migration.up, plan.schema)
    ways = {
        "transaction": "one transaction",
        "alone": "outside of a transaction",
        "batches": "for some pages after the other",
    }
    parts = [
        f"-- {step.what} ({ways[step.way]}; {step.lock}, holds up {step.holds_up}, about {_seconds(step.about_s)})\n"
        + "".join(f"{one};\n" for one in step.statements)
        for step in adoption.steps
    ]
    return "\n".join(parts)


def held_document(held: Held) -> dict[str, object]:
    return {
        "file": held.file,
        "does": held.statement,
        "sql": list(held.sql),
        "lock": held.lock,
        "holds_up": held.holds_up,
        "about_s": round(held.about_s, 3),
    }


def adoption_document(plan: Plan) -> dict[str, object]:
    """refusals: what stands in the way; way_out: all their statements, in the order in which PostgreSQL takes them."""
    from migctl.schema.adoption.refusals import way_out

    adoption = plan.findings.adoption
    if adoption is None:
        return {"adoption": None}
    return {
        "adoption": {
            "rows": adoption.shape.rows,
            "bytes": adoption.shape.bytes,
            "refusals": [one.what for one in adoption.refusals],
            "way_out": list(way_out(adoption.refusals)),
            "afterwards": [text for one in adoption.refusals for text in one.afterwards],
        }
    }
