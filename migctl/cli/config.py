"""`migctl config`: what the settings are, and whether every file of them can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, output
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.checking.checking import Checked
    from migctl.config.loading import Resolved
    from migctl.config.showing import Value

app = typer.Typer(
    help="Settings, stages and flags in files: checked, and shown as they hold.", no_args_is_help=True
)


@app.command(short_help="Everything that is wrong, with file and line.")
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Default: all that migctl reads here.", show_default=False),
    ] = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Check settings, stages, flags and segments: everything that is wrong, each with file, line, key and the way out.

    Looks at migctl.yaml, the environment and ./configs, and at what holds between files. Exit code 2 where something is wrong.

    \b
    migctl config check
    migctl config check migctl.yaml configs/stages/2b-25.yaml
    """
    from migctl.checking.checking import check as check_files

    found = check_files(files or ())
    if output_format == "json":
        output.document(_document(found))
    else:
        for warning in found.warnings:
            output.note(f"warning: {warning}")
        _show(found)
    if found.problems:
        raise typer.Exit(Exit.UNUSABLE)


@app.command(short_help="The settings as they hold, and where each is from.")
def show(
    resolved: Annotated[
        bool,
        typer.Option(
            "--resolved", help="Say of each value what it is from: option, variable, file and line."
        ),
    ] = False,
    stage: Annotated[
        str | None,
        typer.Option("--stage", help="As they hold while the rollout is in this stage.", show_default=False),
    ] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", help="As `serve --mode` would have it.", show_default=False)
    ] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", help="As `serve --listen` would have it.", show_default=False)
    ] = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """The settings as they hold: option over environment over migctl.yaml over default. Secrets are never shown.

    \b
    migctl config show --resolved
    migctl config show --stage 2b-25
    """
    from migctl.config.digest import delivery_digest
    from migctl.config.loading import resolved as resolve
    from migctl.config.showing import as_document, secrets_set, values

    found = resolve(file=config, flags={("mode",): mode, ("listen",): listen})
    if stage is not None:
        from migctl.rollout.stages import over

        found = over(found, stage)
    shown, secrets = values(found.settings, found.origin), secrets_set()
    if output_format == "json":
        made: dict[str, object] = {
            "schema": "migctl.config/1", "file": found.file, "stage": stage, "settings": as_document(shown),
            "secrets": {name: {"set": of is not None, "from": of} for name, of in secrets.items()},
        }  # fmt: skip
        if resolved:
            made["origins"] = {one.key: one.origin for one in shown}
        made["delivery_digest"] = delivery_digest(found.settings)
        output.document(made)
        return
    if resolved:
        output.table(["KEY", "VALUE", "FROM"], [[one.key, _text(one.value), one.origin] for one in shown])
    else:
        _show_yaml(shown)
    _print_head(found, stage, secrets)
    output.note(
        f"delivery: {delivery_digest(found.settings)}; a drill that passed counts while this stays the same"
    )


@app.command(short_help="The JSON Schema of a kind of file, for editors.")
def schema(
    name: Annotated[
        Literal["settings", "stage", "flags", "segments", "experiments", "drill"],
        typer.Argument(help="settings, stage, flags, segments, experiments or drill."),
    ],
) -> None:
    """Print the JSON Schema of one kind of file, for editors: `# yaml-language-server: $schema=FILE` as its first line.

    \b
    migctl config schema settings
    """
    from migctl.checking.schemas import json_schema

    output.document(json_schema(name))


def _document(found: Checked) -> dict[str, object]:
    return {
        "schema": "migctl.config-check/1",
        "ok": not found.problems,
        "files": [{"file": str(path), "kind": kind} for path, kind in found.files.items()],
        "problems": [one.document() for one in found.problems],
        "warnings": found.warnings,
    }


def _show(found: Checked) -> None:
    for one in found.problems:
        output.plain(f"{one}\n  {one.do}")
    wrong = {one.source for one in found.problems}
    good = [(path, kind) for path, kind in found.files.items() if str(path) not in wrong]
    if found.problems:
        count, files = len(found.problems), len(found.files)
        output.note(
            f"{count} problem{'s' if count != 1 else ''}; {len(good)} of {files} file{'s' if files != 1 else ''} as they should be"
        )
        return
    output.table(["CHECKED", "KIND"], [[path, kind] for path, kind in good])
    if not any(kind == "settings" for kind in found.files.values()):
        output.note("no migctl.yaml here: settings are the defaults and the environment")


def _show_yaml(shown: list[Value]) -> None:
    import yaml

    from migctl.config.showing import as_document

    tree = as_document(shown)
    output.plain(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=110).rstrip())


def _print_head(found: Resolved, stage: str | None, secrets: dict[str, str | None]) -> None:
    output.note(f"file: {found.file or 'none, so what nothing else says is the default'}")
    if stage is not None:
        output.note(f"stage: {stage}")
    given = [name if of == name else f"{name} (from {of})" for name, of in secrets.items() if of]
    output.note(f"secrets set: {', '.join(given) or 'none'}")


def _text(value: object) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
