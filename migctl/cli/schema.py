"""`migctl schema`: plan, apply, status, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from migctl.cli import context, output
from migctl.errors import Wanting

if TYPE_CHECKING:
    from migctl.config import Settings, Target
    from migctl.schema import Plan, Step

app = typer.Typer(no_args_is_help=True, help="The target's tables: plan, apply, status, verify.")

SchemaOption = Annotated[
    str | None,
    typer.Option(
        "--schema", help="The schema to work in. Default: supabase.schema, else public.", show_default=False
    ),
]
LockOption = Annotated[
    float, typer.Option("--lock-timeout", min=0.1, metavar="SECONDS", help="How long to wait for any lock.")
]


async def _target(settings: Settings) -> tuple[Target, str]:
    from migctl.runtime.target import resolve

    target = await resolve(settings, need=("database_url",), say=output.note)
    return target, target.need("database_url")


def _settings(config: Any, schema: str | None) -> Settings:
    from migctl.config import load

    return load(file=config, flags={("supabase", "schema"): schema})


def _head(kind: str, target: Target, schema: str) -> dict[str, Any]:
    return {
        "schema": f"migctl.schema.{kind}/1",
        "target": target.name,
        "database": target.database_name,
        "database_schema": schema,
    }


def _where(target: Target, schema: str) -> str:
    return f"{target.name}, database {target.database_name}, schema {schema}"


@app.command()
def plan(
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements that would be run.")] = False,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Say what apply would do, and what stands in its way. Changes nothing."""
    from migctl import schema as room
    from migctl.schema.files import render

    settings = _settings(config, schema)
    name = settings.supabase.schema_

    async def work() -> tuple[Target, Plan]:
        target, url = await _target(settings)
        return target, await room.plan(url, name)

    target, found = context.run(work())
    blocked = found.blocker()
    if form == "json":
        output.document(
            _head("plan", target, name)
            | {
                "pending": [
                    {"version": m.version, "file": m.file, "sha256": m.sha256}
                    | ({"sql": render(m.up, name)} if sql else {})
                    for m in found.pending
                ],
                "steps": [_step(step) for step in found.steps],
                "lacks": [{"what": lack.what, "do": lack.do} for lack in found.findings.lacks],
                "remarks": list(found.findings.remarks),
                "blocked": blocked is not None,
            }
        )
    else:
        output.note(_where(target, name))
        if sql:
            for migration in found.pending:
                typer.echo(f"-- {migration.file}\n{render(migration.up, name)}")
        else:
            _show_steps(found.steps)
        for remark in found.findings.remarks:
            output.note(remark)
        if blocked is None:
            output.note(
                f"{len(found.pending)} files to apply: migctl schema apply"
                if found.pending
                else "nothing to do"
            )
    if blocked is not None:
        raise blocked


@app.command()
def apply(
    *,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    lock_timeout: LockOption = 10.0,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Apply the pending files, each whole or not at all."""
    from migctl import schema as room
    from migctl.cli.prompt import confirm

    settings = _settings(config, schema)
    name = settings.supabase.schema_

    async def work() -> tuple[Target, room.Applied]:
        target, url = await _target(settings)
        output.note(_where(target, name))
        before = await room.apply(url, name, who=room.operator(), dry_run=True)
        for remark in before.plan.findings.remarks:
            output.note(remark)
        if dry_run or not before.plan.pending:
            return target, before
        confirm(f"apply {', '.join(m.file for m in before.plan.pending)}", yes=yes, target=target)
        done = await room.apply(url, name, who=room.operator(), lock_timeout_s=lock_timeout, say=output.note)
        return target, done

    target, result = context.run(work())
    if form == "json":
        output.document(
            _head("apply", target, name)
            | {
                "dry_run": dry_run,
                "pending": [m.file for m in result.plan.pending],
                "applied": [
                    {"file": d.migration.file, "sha256": d.migration.sha256, "statements": d.statements}
                    for d in result.done
                ],
            }
        )
    elif dry_run:
        for migration in result.plan.pending:
            typer.echo(f"would apply {migration.file}")
        output.note("dry run: nothing was changed" if result.plan.pending else "nothing to do")
    else:
        for done in result.done:
            typer.echo(f"applied {done.migration.file} ({done.statements} statements)")
        output.note(
            f"{len(result.done)} files applied to {_where(target, name)}" if result.done else "nothing to do"
        )


@app.command()
def status(
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Leave with 1 unless every file is applied as it is.")
    ] = False,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Show the files beside the ledger."""
    from migctl import schema as room

    settings = _settings(config, schema)
    name = settings.supabase.schema_

    async def work() -> tuple[Target, tuple[Step, ...]]:
        target, url = await _target(settings)
        return target, await room.status(url, name)

    target, steps = context.run(work())
    if form == "json":
        output.document(_head("status", target, name) | {"steps": [_step(step) for step in steps]})
    else:
        output.note(_where(target, name))
        _show_steps(steps)
    open_steps = [step for step in steps if step.state != "applied"]
    if exit_code and open_steps:
        states = ", ".join(f"{step.version:04d} {step.state}" for step in open_steps)
        raise Wanting(f"{_where(target, name)}: {states}", do="migctl schema plan says what to do")


@app.command()
def verify(
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Check the live database against what the files make; exit 1 and a line for each difference."""
    from migctl import schema as room

    settings = _settings(config, schema)
    name = settings.supabase.schema_

    async def work() -> tuple[Target, list[room.Difference]]:
        target, url = await _target(settings)
        return target, await room.verify(url, name)

    target, found = context.run(work())
    if form == "json":
        output.document(
            _head("verify", target, name)
            | {
                "verdict": "fail" if found else "pass",
                "differences": [
                    {"what": d.what, "aspect": d.aspect, "expected": d.expected, "found": d.found, "do": d.do}
                    for d in found
                ],
            }
        )
    else:
        output.note(_where(target, name))
        for difference in found:
            typer.echo(f"{difference}\n  {difference.do}")
        if not found:
            typer.echo("the database is as the files make it")
    if found:
        count = "1 difference" if len(found) == 1 else f"{len(found)} differences"
        raise Wanting(
            f"{_where(target, name)}: {count}", do="each has its way out below it; then verify again"
        )


def _step(step: Step) -> dict[str, Any]:
    row = step.row
    return {
        "version": step.version,
        "name": step.name,
        "state": step.state,
        "file_sha256": step.file.sha256 if step.file is not None else None,
        "applied_sha256": row.sha256 if row is not None else None,
        "started_at": row.started_at if row is not None else None,
        "finished_at": row.finished_at if row is not None else None,
        "who": row.who if row is not None else None,
        "reason": row.reason if row is not None else None,
        "tool_version": row.tool_version if row is not None else None,
        "failed_statement": row.failed_statement if row is not None else None,
        "error": row.error if row is not None else None,
    }


def _show_steps(steps: tuple[Step, ...]) -> None:
    def checksum(step: Step) -> str:
        if step.file is None or step.row is None or step.row.state != "applied":
            return "-"
        return "same" if step.file.sha256 == step.row.sha256 else "differs"

    output.table(
        ["FILE", "DB", "CHECKSUM", "WHEN", "WHO"],
        [
            [
                step.file.file if step.file is not None else f"{step.version:04d}_{step.name} (no file)",
                step.state,
                checksum(step),
                step.row.finished_at.strftime("%Y-%m-%d %H:%M:%S") if step.row is not None else "-",
                step.row.who if step.row is not None else "-",
            ]
            for step in steps
        ],
    )
    for step in steps:
        if step.state == "failed" and step.row is not None:
            output.note(
                f"{step.version:04d}: statement {step.row.failed_statement} failed: {step.row.error}; nothing of it was kept"
            )
