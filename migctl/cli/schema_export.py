"""`migctl schema export`: the files as migrations of another tool that owns the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migctl.cli import context, output
from migctl.cli.schema_shared import SchemaOption, files, settings_of


def export(
    supabase: Annotated[
        Path,
        typer.Option(
            "--supabase", metavar="DIR", help="The folder `supabase` of a project of the Supabase CLI."
        ),
    ],
    *,
    dry_run: context.DryRunOption = False,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Write the files as timestamped migrations of the Supabase CLI, where that owns the schema. No database is asked.

    Then `supabase db push` runs them, and `migctl schema apply` only records what they made. After a newer migctl export again:
    only what is new is written.

    \b
    migctl schema export --supabase ./supabase
    """
    from migctl import clock
    from migctl.schema.exporting import export as write
    from migctl.schema.files import load

    name = settings_of(config, schema).supabase.schema_
    done = write(supabase, load(), name, now=clock.now(), dry_run=dry_run)
    if form == "json":
        output.document(
            {
                "schema": "migctl.schema.export/1",
                "database_schema": name,
                "dry_run": dry_run,
                "written": [str(path) for path in done.written],
                "kept": [str(path) for path in done.kept],
            }
        )
        return
    for path in done.written:
        output.plain(f"{'would write' if dry_run else 'wrote'} {path}")
    if not done.written:
        output.note(f"nothing to do: {files(len(done.kept))} there already")
    elif not dry_run:
        output.note("next: supabase db push, then migctl schema apply, which records them")
