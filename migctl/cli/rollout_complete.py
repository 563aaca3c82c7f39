"""`migctl rollout complete`: the WebSocket is switched off, once nobody uses it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output

if TYPE_CHECKING:
    from migctl.runtime.rollout_complete import Progress, Step

SCHEMA = "migctl.rollout.complete/1"


def complete(
    accept_lost: Annotated[
        int,
        typer.Option(
            "--accept-lost", min=0, metavar="N", help="Give up at most N subscribers; with --reason."
        ),
    ] = 0,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also where 2b-100 was not judged `pass`; with --reason, which is audited."
        ),
    ] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="For the history.")] = "",
    confirm: Annotated[
        str | None,
        typer.Option(
            "--confirm",
            metavar="TARGET",
            help="The target's name, in place of typing it.",
            show_default=False,
        ),
    ] = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Switch the WebSocket off: first it is still fed for a while, then nobody may be using it, then /ws answers 410.

    Run it again until it is done: it goes as far as it may, says who holds it back, and ends with exit code 1 until then.
    `migctl rollout revert` takes it back at any time. A target that is not embedded is to be named: typed, or by --confirm.

    \b
    migctl rollout complete
    migctl rollout complete --accept-lost 2 --reason "two old wallboards"
    """
    from migctl.config import load
    from migctl.config.person import operator
    from migctl.errors import Usage, Wanting
    from migctl.runtime import rollout_complete

    if (force or accept_lost) and not reason:
        raise Usage(
            f"complete {'--force' if force else '--accept-lost'}: no reason",
            do="give --reason WHY: it is audited",
        )
    settings = load(file=config)

    def asking(step: Step) -> None:
        output.note(f"{rollout_complete.WORDS[step.to]}\n  on {step.where}")
        if step.forced:
            output.note("  forced: the last stage was not judged pass")
        if step.lost:
            output.note(f"  {step.lost} subscribers are given up")
        if not dry_run and step.to != "draining":
            _confirm(step, yes=yes, confirm=confirm)

    request = rollout_complete.Request(operator(), reason, accept_lost, force, asking, dry_run, output.note)
    found = context.run(rollout_complete.complete(settings, request))
    if output_format == "json":
        output.document(_document(found))
    else:
        _show(found)
    if found.hold is not None and not dry_run:
        raise Wanting(f"not completed on {found.where}: {found.hold.reason}", do=_do(found))
    if found.unheard:
        raise Wanting(
            f"not known to have switched off: {', '.join(found.unheard)}",
            do="see that they run and reach the record; then `migctl rollout complete` looks again",
        )


def _confirm(step: Step, *, yes: bool, confirm: str | None) -> None:
    from migctl.cli import prompt
    from migctl.errors import Refused

    if step.embedded:
        prompt.confirm_at(step.to, step.where, yes=yes)
        return
    if confirm is None and sys.stdin.isatty():
        confirm = prompt.ask_name(f"Type {step.where} to go on")
    if confirm is None:
        raise Refused(
            f"{step.where}: not confirmed", do=f"add --confirm {step.where} if this is what you mean"
        )
    if confirm != step.where:
        raise Refused(
            f"{step.where}: {confirm!r} is not its name, nothing was changed", do=f"type {step.where} exactly"
        )


def _show(found: Progress) -> None:
    if found.phase == "completed":
        for line in _afterwards("  "):
            output.plain(line)
        for path in found.signed.files if found.signed is not None else ():
            output.plain(f"The sign-off report: {path}")
        return
    output.show(f"{found.phase or 'not begun'}: {found.hold.reason if found.hold else ''}")
    if found.holding is not None and found.holding.clients:
        output.table(
            ["USER", "VERSION", "FROM", "LAST SEEN"],
            [
                [
                    one.user or "-",
                    one.protocol,
                    one.remote or "-",
                    "here" if one.connected else f"{one.last_seen:%Y-%m-%d %H:%M:%S} UTC",
                ]
                for one in found.holding.clients
            ],
        )


def _do(found: Progress) -> str:
    if found.phase is None:
        return "let `migctl rollout run` go on to the end; or --force --reason WHY, which is audited"
    if found.phase == "rampdown":
        left = found.hold.left_s if found.hold is not None else None
        when = f"in {left / 60:,.0f} min" if left is not None else "later"
        return f"run it again {when}; `migctl rollout revert` takes it back"
    held = found.holding
    ways = []
    if held is None or held.clients:
        ways.append("see `migctl clients`; move them, or give them up: --accept-lost N --reason WHY")
    if held is not None and held.silent:
        ways.append(
            "see why it is silent; one that is gone for good is taken out by `migctl flags processes --forget NAME --reason WHY`"
        )
    if held is not None and held.alone:
        ways.append("start what runs in mode websocket again in mode dual")
    if held is not None and held.short:
        ways.append("run it again once drain_minutes have gone by since it was started")
    return "; ".join(ways)


def _document(found: Progress) -> dict[str, object]:
    import msgspec

    held, signed = found.holding, found.signed
    return {
        "schema": SCHEMA,
        "target": found.where,
        "phase": found.phase,
        "completed": found.phase == "completed" and not found.unheard,
        "reason": found.hold.reason if found.hold is not None else None,
        "left_s": found.hold.left_s if found.hold is not None else None,
        "held_by": msgspec.to_builtins(held) if held is not None else None,
        "unheard": list(found.unheard),
        "afterwards": _afterwards() if found.phase == "completed" else [],
        "signoff": [str(path) for path in signed.files] if signed is not None else [],
        "signoff_unwritten": signed.unwritten if signed is not None else None,
    }


def _afterwards(indent: str = "") -> list[str]:
    from migctl.rollout.afterwards import IRREVOCABLE, TO_DELETE, WAY_BACK

    return [
        "The WebSocket is switched off. What can no longer be taken back:",
        *(f"{indent}{text}" for text in IRREVOCABLE),
        WAY_BACK,
        "Delete:",
        *(f"{indent}{text}" for text in TO_DELETE),
    ]
