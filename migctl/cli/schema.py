"""`migctl schema`: plan, apply, status, verify, rollback, repair, prune, export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output, schema_back, schema_export, schema_prune, schema_verify
from migctl.cli.schema_plan import adoption_document, held_document, show_locks, show_sql, sql_of
from migctl.cli.schema_shared import (
    LockOption,
    RetryOption,
    SchemaOption,
    files,
    head,
    patience_of,
    resolve,
    settings_of,
    show_steps,
    step_document,
    where,
)
from migctl.errors import Wanting

if TYPE_CHECKING:
    from migctl.config import Target
    from migctl.schema import Plan, Step

app = typer.Typer(no_args_is_help=True, help="The target's tables: plan, apply, check, take back.")


@app.command()
def plan(
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements that would be run.")] = False,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Say what apply would do, and what stands in its way. Changes nothing.

    \b
    migctl schema plan --sql
    """
    from migctl import schema as room

    settings = settings_of(config, schema)
    name = settings.supabase.schema_

    async def work() -> tuple[Target, Plan]:
        target, url = await resolve(settings, reads_only=True)
        return target, await room.plan(url, name, patience=patience_of(settings))

    target, found = context.run(work())
    blocked = found.blocker()
    if form == "json":
        output.document(
            head("plan", target, name)
            | {
                "pending": [
                    {"version": m.version, "file": m.file, "sha256": m.sha256}
                    | ({"sql": sql_of(found, m)} if sql else {})
                    for m in found.pending
                ],
                "recognised": [m.version for m in found.recognised],
                "steps": [step_document(step) for step in found.steps],
                "lacks": [{"what": lack.what, "do": lack.do} for lack in found.findings.lacks],
                **adoption_document(found),
                "locks": [held_document(held) for held in found.locks],
                "remarks": list(found.findings.remarks),
                "blocked": blocked is not None,
            }
        )
    else:
        output.note(where(target, name))
        if sql:
            show_sql(found)
        else:
            show_steps(found.steps)
            show_locks(found)
        for remark in found.findings.remarks:
            output.note(remark)
        if blocked is None:
            if found.recognised:
                what = (
                    f"{files(len(found.recognised))} made what is there, and the ledger does not know of it"
                )
                output.note(f"{what}: migctl schema apply records it, and runs nothing of it")
            if found.pending:
                output.note(f"{files(len(found.pending))} to apply: migctl schema apply")
            elif not found.recognised:
                output.note("nothing to do")
    if blocked is not None:
        raise blocked


@app.command()
def apply(
    *,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    lock_timeout: LockOption = None,
    retry_for: RetryOption = None,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Apply the pending files, each whole or not at all.

    \b
    migctl schema apply --dry-run
    migctl schema apply --yes
    """
    from migctl import schema as room
    from migctl.cli.prompt import confirm
    from migctl.config.person import operator

    settings = settings_of(config, schema, lock_timeout, retry_for)
    name = settings.supabase.schema_

    async def work() -> tuple[Target, room.Applied]:
        target, url = await resolve(settings, reads_only=dry_run)
        output.note(where(target, name))
        before = await room.apply(url, name, who=operator(), dry_run=True, patience=patience_of(settings))
        for remark in before.plan.findings.remarks:
            output.note(remark)
        if dry_run or not (before.plan.pending or before.plan.recognised):
            return target, before
        acts = [("record", before.plan.recognised), ("apply", before.plan.pending)]
        what = "; ".join(f"{act} {', '.join(m.file for m in these)}" for act, these in acts if these)
        confirm(what, yes=yes, target=target)
        done = await room.apply(url, name, who=operator(), patience=patience_of(settings), notice=output.note)
        return target, done

    target, result = context.run(work())
    if form == "json":
        output.document(
            head("apply", target, name)
            | {
                "dry_run": dry_run,
                "pending": [m.file for m in result.plan.pending],
                "recorded": [m.file for m in (result.plan.recognised if dry_run else result.recorded)],
                "applied": [
                    {"file": d.migration.file, "sha256": d.migration.sha256, "statements": d.statements}
                    for d in result.done
                ],
            }
        )
    elif dry_run:
        for migration in result.plan.recognised:
            output.plain(f"would record {migration.file}, which is there")
        for migration in result.plan.pending:
            output.plain(f"would apply {migration.file}")
        some = result.plan.pending or result.plan.recognised
        output.note("dry run: nothing was changed" if some else "nothing to do")
    else:
        for migration in result.recorded:
            output.plain(f"recorded {migration.file}, which is there")
        for done in result.done:
            output.plain(f"applied {done.migration.file} ({done.statements} statements)")
        outcomes = [(len(result.recorded), "recorded of"), (len(result.done), "applied to")]
        words = [f"{files(count)} {what} {where(target, name)}" for count, what in outcomes if count]
        output.note("; ".join(words) or "nothing to do")


@app.command()
def status(
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Leave with 1 unless every file is applied as it is.")
    ] = False,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Show the files beside the ledger.

    \b
    migctl schema status --exit-code
    """
    from migctl import schema as room

    settings = settings_of(config, schema)
    name = settings.supabase.schema_

    async def work() -> tuple[Target, tuple[Step, ...]]:
        target, url = await resolve(settings, reads_only=True)
        return target, await room.status(url, name)

    target, steps = context.run(work())
    if form == "json":
        output.document(head("status", target, name) | {"steps": [step_document(step) for step in steps]})
    else:
        output.note(where(target, name))
        show_steps(steps)
    open_steps = [step for step in steps if step.state != "applied"]
    if exit_code and open_steps:
        states = ", ".join(f"{step.version:04d} {step.state}" for step in open_steps)
        raise Wanting(f"{where(target, name)}: {states}", do="migctl schema plan says what to do")


app.command("verify", short_help="Check the live database; exit 1 where it differs.")(schema_verify.verify)
app.command("rollback")(schema_back.rollback)
app.command("repair", short_help="Mend the ledger of applied files by hand.")(schema_back.repair)
app.command("prune")(schema_prune.prune)
app.command("export", short_help="Write the files as migrations of the Supabase CLI.")(schema_export.export)
