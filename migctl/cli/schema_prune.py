"""`migctl schema prune`: old rows out of the tables, slowly, and never under a reader that does not know."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output, quantities
from migctl.cli.schema_shared import SchemaOption, head, resolve, settings_of, where

if TYPE_CHECKING:
    from migctl.config import Target
    from migctl.schema import Prune


def prune(
    *,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Such as 30d, 12h, 90m: what is older may go.")
    ],
    adopted: Annotated[
        bool,
        typer.Option(
            "--adopted", help="Also rows without a position: those that were there before the journal."
        ),
    ] = False,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=100_000, metavar="ROWS", help="Rows a transaction.")
    ] = 2000,
    pause: Annotated[
        float,
        typer.Option(
            "--pause", metavar="TIME", parser=quantities.seconds(), help="Rest between two batches."
        ),
    ] = 0.1,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Delete old rows and tombstones, in paced batches.

    table_tail of each epoch is moved first, so that a late reader gets a discontinuity `pruned`. The newest row of an epoch stays,
    and what the relay has not confirmed. Interrupted or killed, the same command finishes it.

    \b
    migctl schema prune --older-than 30d --dry-run
    """
    from migctl import schema as room
    from migctl.cli.prompt import confirm
    from migctl.schema.pruning import age_s

    age = age_s(older_than)
    settings = settings_of(config, schema)
    name = settings.supabase.schema_

    async def work() -> tuple[Target, Prune]:
        target, url = await resolve(settings, reads_only=dry_run)
        output.note(where(target, name))
        chosen = await room.prune_plan(url, name, age, adopted=adopted)
        if dry_run or not (chosen.epochs or chosen.total):
            return target, chosen
        confirm(f"delete {_counted(chosen)} of {name}, older than {older_than}", yes=yes, target=target)
        with _progress(chosen.total) as progress:
            done = await room.prune(url, name, chosen, room.Pace(batch_size, pause), progress=progress)
        return target, done

    target, result = context.run(work())
    if form == "json":
        output.document(head("prune", target, name) | _document(result, dry_run=dry_run))
        return
    _show(result)
    if not (result.epochs or result.total):
        output.note(f"nothing is older than {older_than}")
    elif dry_run:
        output.note(f"dry run: {_counted(result)} would go; nothing was changed")
    else:
        output.note(f"{_counted(result)} deleted on {where(target, name)}")


def _counted(prune: Prune) -> str:
    rows, tombstones = sum(e.rows for e in prune.epochs), sum(e.tombstones for e in prune.epochs)
    parts = [f"{rows} rows", f"{tombstones} tombstones"]
    if prune.adopted is not None:
        parts.append(f"{prune.adopted} adopted rows")
    return ", ".join(parts)


def _show(prune: Prune) -> None:
    if prune.epochs:
        output.table(
            ["EPOCH", *((title, "right") for title in ("TAIL", "NEW TAIL", "HEAD", "ROWS", "TOMBSTONES"))],
            [[e.epoch, e.tail, e.new_tail, e.head, e.rows, e.tombstones] for e in prune.epochs],
        )
    if prune.adopted is not None:
        output.plain(f"adopted rows: {prune.adopted}")


def _document(prune: Prune, *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "before": prune.before.isoformat(),
        "epochs": [
            {
                "epoch": e.epoch,
                "table_tail_before": e.tail,
                "table_tail": e.new_tail,
                "table_head": e.head,
                "rows": e.rows,
                "tombstones": e.tombstones,
            }
            for e in prune.epochs
        ],
        "adopted": prune.adopted,
        "total": prune.total,
    }


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty() or output.is_quiet():
        yield lambda _: None
        return
    from rich.progress import Progress

    with Progress(console=output.console_err(), transient=True) as bar:
        task = bar.add_task("deleting", total=total)
        yield lambda gone: bar.update(task, completed=gone)
