"""`migctl flags set|enable|disable|assign|import`: what changes flags. Each shows its edit, asks, and writes it to the record."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, output

if TYPE_CHECKING:
    from migctl.flags.authoring import Basis, Proposal, Written
    from migctl.flags.definitions import FlagSet
    from migctl.flags.editing import Edit

    MakeEdit = Callable[[FlagSet], Edit]

KeyArgument = Annotated[str, typer.Argument(help="The flag.")]


def set_(
    key: KeyArgument,
    default: Annotated[
        str | None,
        typer.Option(
            "--default", metavar="VARIANT", help="What is given where no rule decides.", show_default=False
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Define it as this file of flags does.", show_default=False
        ),
    ] = None,
    reason: context.ReasonOption = "",
    lift: context.LiftOption = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Define one flag anew, or give it another default. The share of users is `migctl rollout set N`, or `flags assign`.

    \b
    migctl flags set transport --from configs/flags/transport.yaml --dry-run
    """
    from migctl.errors import Usage
    from migctl.flags import editing, files

    if (default is None) == (from_ is None):
        raise Usage("flags set: nothing to set, or two things", do="give --default VARIANT, or --from FILE")

    def make(before: FlagSet) -> Edit:
        if default is not None:
            return lambda of: editing.with_default(of, key, default)
        assert from_ is not None
        found = files.one_of(files.read_file(from_, before=before), key, from_)
        return lambda of: editing.with_flags(of, found)

    _change(f"set {key}", make, reason, lift, dry_run, yes, config, output_format)


def enable(
    key: KeyArgument,
    reason: context.ReasonOption = "",
    lift: context.LiftOption = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Let a flag's rule decide again.

    \b
    migctl flags enable transport --reason "mended"
    """
    from migctl.flags import editing

    def make(_: FlagSet) -> Edit:
        return lambda of: editing.with_state(of, key, enabled=True)

    _change(f"enable {key}", make, reason, lift, dry_run, yes, config, output_format)


def disable(
    key: KeyArgument,
    reason: context.ReasonOption = "",
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Give everybody what the code does without the flag: for `transport` the WebSocket. `rollout abort` needs no record.

    \b
    migctl flags disable transport --reason "dashboards are dark"
    """
    from migctl.flags import editing

    def make(_: FlagSet) -> Edit:
        return lambda of: editing.with_state(of, key, enabled=False)

    _change(f"disable {key}", make, reason, None, dry_run, yes, config, output_format)


def assign(
    user: Annotated[
        str | None, typer.Argument(help="The targeting key of a user.", show_default=False)
    ] = None,
    transport: Annotated[
        Literal["realtime", "websocket"] | None, typer.Argument(help="What they get.", show_default=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Assign them to nothing any more.")] = False,
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="NAME", help="A segment in place of a user.", show_default=False),
    ] = None,
    percent: Annotated[
        float | None,
        typer.Option(
            "--percent",
            min=0,
            max=100,
            help="The share of the segment that gets Realtime.",
            show_default=False,
        ),
    ] = None,
    reason: context.ReasonOption = "",
    lift: context.LiftOption = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Give one user a transport by name, or a segment a share of its own.

    A user who is assigned comes before a segment, a segment before the percentage of all.

    \b
    migctl flags assign ann realtime --reason "asked for it"
    migctl flags assign --segment internal --percent 50 --reason "next step"
    """
    from migctl.errors import Usage
    from migctl.flags import editing
    from migctl.runtime.flags import TRANSPORT

    by_user = user is not None and segment is None and percent is None and (transport is not None) != remove
    by_segment = user is None and not remove and segment is not None and percent is not None
    if not by_user and not by_segment:
        raise Usage(
            "flags assign: whom, and to what?",
            do="write assign USER realtime|websocket, assign USER --remove, or assign --segment NAME --percent N",
        )

    def make(_: FlagSet) -> Edit:
        if user is not None:
            return lambda of: editing.with_user(of, TRANSPORT, user, transport)
        assert segment is not None
        assert percent is not None
        return lambda of: editing.with_percent(of, TRANSPORT, segment, percent)

    what = (
        f"assign {user} to {transport or 'nothing'}"
        if user is not None
        else f"give segment {segment} {percent:g} %"
    )
    _change(what, make, reason, lift, dry_run, yes, config, output_format)


def import_(
    file: Annotated[Path, typer.Argument(help="Flags in flagd's format, or segments; YAML or JSON.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Leave out flags and segments that the file does not have.")
    ] = False,
    reason: context.ReasonOption = "",
    lift: context.LiftOption = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Define flags or segments as a file does; the others stay as they are. The difference is shown first.

    \b
    migctl flags import configs/flags/transport.yaml --dry-run
    """
    from migctl.flags import files

    def make(before: FlagSet) -> Edit:
        return files.read_edit(file, before, replace=replace)

    _change(f"import {file}", make, reason, lift, dry_run, yes, config, output_format)


def _change(
    what: str,
    make: MakeEdit,
    reason: str,
    lift: list[str] | None,
    dry_run: bool,
    yes: bool,
    config: Path | None,
    output_format: context.OutputFormat,
) -> None:
    """Show what it changes, ask, write it, and say where it was written."""
    from migctl.cli import prompt
    from migctl.config import load
    from migctl.config.person import operator
    from migctl.errors import Usage
    from migctl.runtime.flagging import desk

    settings = load(file=config)

    async def work() -> tuple[str, Basis, Proposal, Written | None]:
        async with desk(settings, output.note) as at:
            where = at.target.name
            basis = await at.author.read()
            edit = make(basis.flag_set)
            proposal = at.author.propose(basis, edit)
            _show(what, where, basis, proposal)
            if dry_run or proposal.before == proposal.after:
                return where, basis, proposal, None
            if proposal.raises and not reason:
                raise Usage(
                    f"{what}: somebody gets more by this, and there is no reason", do="give --reason WHY"
                )
            prompt.confirm_at(what, where, yes=yes or (at.target.embedded and not proposal.raises))
            # Who was asked had the brakes before their eyes; a script names those that it may end.
            asked = sys.stdin.isatty() and not yes
            shown = [brake.id for brake in basis.brakes] if asked else lift or []
            return (
                where,
                basis,
                proposal,
                await at.write(basis, edit, actor=operator(), reason=reason, shown=shown),
            )

    where, basis, proposal, written = context.run(work())
    if output_format == "json":
        output.document(_document(where, basis, proposal, written, dry_run=dry_run))
    elif written is not None:
        output.plain(f"{what}: written to {where}, n {written.row.n}")
        for brake_id in written.lifted:
            output.plain(f"ended brake {brake_id}")
    else:
        output.note("dry run: nothing was changed" if dry_run else "nothing to do: it is so already")


def _show(what: str, where: str, basis: Basis, proposal: Proposal) -> None:
    from migctl.flags import editing
    from migctl.flags.authoring import in_words

    output.note(f"{what}\n  on {where}, n {basis.n}")
    for line in editing.difference(proposal.before, proposal.after):
        output.note(f"  {line}")
    if proposal.raises:
        output.note("somebody gets more of the flag transport by this")
        for brake in basis.brakes:
            output.note(f"it ends {in_words(brake)}")


def _document(
    where: str, basis: Basis, proposal: Proposal, written: Written | None, *, dry_run: bool
) -> dict[str, object]:
    import msgspec

    from migctl.flags import editing
    from migctl.runtime.flags import TRANSPORT

    before, after = (editing.share_in_words(of, TRANSPORT) for of in (proposal.before, proposal.after))
    return {
        "schema": "migctl.flags.change/1",
        "target": where,
        "n": basis.n if written is None else written.row.n,
        "dry_run": dry_run,
        "changed": written is not None,
        "raises": proposal.raises,
        "share": {"before": before, "after": after},
        "difference": editing.difference(proposal.before, proposal.after),
        "brakes": msgspec.to_builtins(list(basis.brakes)),
        "lifted": list(written.lifted) if written is not None else [],
    }
