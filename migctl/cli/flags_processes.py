"""`migctl flags processes`: who evaluates flags, and taking one out that was killed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output

if TYPE_CHECKING:
    from migctl.runtime.processes import Known, Listed


def processes(
    forget: Annotated[
        str | None,
        typer.Option(
            "--forget",
            metavar="ID|NAME",
            help="Take this one out: it was killed, and is nowhere started again. Refused where it answers.",
            show_default=False,
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; it goes into the history.", show_default=False)
    ] = "",
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Every process that is waited for when a share changes: its address, when it was last seen, whether it answers.

    A clean stop takes a process out, and so does the next start in its state folder. One that lives after all registers again
    within half a minute.

    \b
    migctl flags processes
    migctl flags processes --forget web-2:8080 --reason "the machine is gone"
    """
    from migctl.cli import prompt
    from migctl.config import load
    from migctl.config.person import operator
    from migctl.errors import Usage
    from migctl.runtime import processes as at

    for option, given in (("--reason", reason), ("--dry-run", dry_run), ("--yes", yes)):
        context.only_with(option, given, "--forget", forget is not None)
    settings = load(file=config)
    if forget is None:
        _print(context.run(at.listed(settings, output.note)), None, output_format, dry_run=False)
        return
    if not reason:
        raise Usage(f"flags processes --forget {forget}: no reason", do="give --reason WHY: it is audited")
    if not dry_run:
        before = context.run(at.listed(settings, output.note))
        prompt.confirm_at(f"forget the process {forget}", before.where, yes=yes)
    found = context.run(
        at.forget(settings, forget, actor=operator(), reason=reason, dry_run=dry_run, notify=output.note)
    )
    _print(found, forget, output_format, dry_run=dry_run)


def _print(found: Listed, forgotten: str | None, output_format: str, *, dry_run: bool) -> None:
    if output_format == "json":
        import msgspec

        head = {"schema": "migctl.flags.processes/1", "target": found.where, "away": found.away}
        gone = {"forgotten": forgotten, "dry_run": dry_run}
        output.document({**head, **gone, "processes": msgspec.to_builtins(found.known)})
        return
    output.note(found.where)
    if found.away is not None:
        output.note(f"the record can't say it ({found.away}): this is whom this folder heard of last")
    if forgotten is not None:
        output.plain(f"{forgotten}: " + ("dry run, it stays" if dry_run else "taken out"))
    if not found.known:
        output.note("no process is known; a `serve` registers as it starts")
        return
    output.table(
        ["PROCESS", "URL", ("LAST SEEN", "whole"), "ANSWERS", "ID"], [_row(one) for one in found.known]
    )


def _row(one: Known) -> list[str]:
    registered = "not registered" if one.seen_at is None else one.seen_at[:19].replace("T", " ")
    answers = "yes" if one.answers else "no"
    return [one.name, one.url or "-", registered, answers + (f": {one.why}" if one.why else ""), one.id]
