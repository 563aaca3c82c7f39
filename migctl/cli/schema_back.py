"""`migctl schema rollback` and `repair`: the way back, and the ledger mended by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, output
from migctl.cli.schema_shared import (
    LockOption,
    RetryOption,
    SchemaOption,
    files,
    head,
    patience_of,
    resolve,
    settings_of,
    where,
)

if TYPE_CHECKING:
    from migctl import schema as room
    from migctl.config import Target


def rollback(
    *,
    to: Annotated[
        int | None,
        typer.Option(
            "--to",
            min=0,
            help="Keep the files up to this number. Default: take back the last.",
            show_default=False,
        ),
    ] = None,
    drop_data: Annotated[
        bool,
        typer.Option(
            "--drop-data", help="Let rows go with their tables. The database's name is to be typed."
        ),
    ] = False,
    confirm: Annotated[
        str | None,
        typer.Option(
            "--confirm",
            metavar="DATABASE",
            help="The typed name, where there is no terminal.",
            show_default=False,
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="For the ledger.", show_default=False)
    ] = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    lock_timeout: LockOption = None,
    retry_for: RetryOption = None,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Take back applied files, the last first. Rows are never dropped without --drop-data and the typed name.

    \b
    migctl schema rollback --to 3 --dry-run
    """
    from migctl import schema as room
    from migctl.cli import prompt
    from migctl.config.person import operator
    from migctl.schema.taking_back import refuse_rows

    context.only_with("--confirm", confirm is not None, "--drop-data", drop_data)
    settings = settings_of(config, schema, lock_timeout, retry_for)
    name = settings.supabase.schema_

    async def work() -> tuple[Target, room.Rollback]:
        target, url = await resolve(settings, reads_only=dry_run)
        output.note(where(target, name))
        before = await room.rollback(url, name, who=operator(), to=to, dry_run=True)
        if dry_run or not before.files:
            return target, before
        if before.rows and not drop_data:
            refuse_rows(name, before.rows)
        what = f"take back {', '.join(m.file for m in before.files)}"
        if drop_data:
            rows = (
                ", ".join(f"{count} of {name}.{table}" for table, count in before.rows) or "none at present"
            )
            prompt.confirm_name(
                f"{what}, and drop rows ({rows})", target.database_name, given=confirm, target=target
            )
        else:
            prompt.confirm(what, yes=yes, target=target)
        done = await room.rollback(
            url,
            name,
            who=operator(),
            to=to,
            drop_data=drop_data,
            reason=reason,
            patience=patience_of(settings),
            notice=output.note,
        )
        return target, done

    target, result = context.run(work())
    if form == "json":
        output.document(
            head("rollback", target, name)
            | {
                "dry_run": dry_run,
                "reverted": [] if dry_run else [m.file for m in result.files],
                "would_revert": [m.file for m in result.files] if dry_run else [],
                "rows": dict(result.rows),
            }
        )
        return
    for migration in result.files:
        output.plain(f"{'would take back' if dry_run else 'took back'} {migration.file}")
    for table, count in result.rows:
        output.plain(f"{'would drop' if dry_run else 'dropped'} {name}.{table}, rows: {count}")
    if not result.files:
        output.note("nothing to do")
    else:
        output.note(
            "dry run: nothing was changed"
            if dry_run
            else f"{files(len(result.files))} taken back on {where(target, name)}"
        )


def repair(
    versions: Annotated[list[int], typer.Argument(metavar="NUMBER...", help="The numbers of the files.")],
    *,
    to: Annotated[
        Literal["applied", "reverted"], typer.Option("--status", help="What the ledger is to say of them.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the ledger.")],
    yes: context.YesOption = False,
    lock_timeout: LockOption = None,
    retry_for: RetryOption = None,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Mend the ledger by hand: note that files are applied, or are not. No file is run.

    \b
    migctl schema repair 7 --status applied --reason "applied by hand"
    """
    from migctl import schema as room
    from migctl.cli.prompt import confirm
    from migctl.config.person import operator

    settings = settings_of(config, schema, lock_timeout, retry_for)
    name = settings.supabase.schema_

    async def work() -> tuple[Target, tuple[room.Migration, ...]]:
        target, url = await resolve(settings)
        output.note(where(target, name))
        confirm(
            f"write {to} into the ledger for {', '.join(f'{v:04d}' for v in versions)}",
            yes=yes,
            target=target,
        )
        return target, await room.repair(
            url,
            name,
            versions,
            to,
            who=operator(),
            reason=reason,
            patience=patience_of(settings),
            notice=output.note,
        )

    target, changed = context.run(work())
    if form == "json":
        output.document(
            head("repair", target, name) | {"status": to, "changed": [m.version for m in changed]}
        )
        return
    for migration in changed:
        output.plain(f"{migration.version:04d}_{migration.name}: {to}")
    output.note(
        f"ledger of {where(target, name)} mended; migctl schema verify reads the database itself"
        if changed
        else "nothing to do"
    )
