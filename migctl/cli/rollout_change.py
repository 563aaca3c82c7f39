"""`migctl rollout set|abort|revert|pause|resume|promote`: what moves a rollout. Up asks, down never does."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output

if TYPE_CHECKING:
    from migctl.config import Settings
    from migctl.runtime.rollout_wish import Effect, Proposed, Wish

    Move = Callable[[Settings, Wish], Awaitable[Effect]]


def set_(
    percent: Annotated[str, typer.Argument(metavar="N", help="Percent of users on Realtime, 0 to 100.")],
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="NAME", help="Of this segment, not of all.", show_default=False),
    ] = None,
    reason: context.ReasonOption = "",
    lift: context.LiftOption = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Give N percent of users Realtime, now, in every running process.

    Less than they have is a brake: it asks nobody, and works with Supabase and Redis away. More wants --reason, a confirmation, and
    the record. Exit code 1 where a known process did not confirm within a second, with its name.

    \b
    migctl rollout set 25 --reason "a week without a page"
    migctl rollout set 0
    """
    from migctl.flags.shares import ALL
    from migctl.rollout.steps import percent_of
    from migctl.runtime import rollout_moves

    share = percent_of(percent)

    def move(settings: Settings, wish: Wish) -> Awaitable[Effect]:
        return rollout_moves.set_share(settings, share, segment or ALL, wish)

    _run(move, _Asked(reason, lift, yes, dry_run, wants_reason=True, may_go_down=True), config, output_format)


def abort(
    reason: context.ReasonOption = "",
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Take everybody back to the WebSocket, at once. Never asks, and needs neither Supabase nor Redis nor a serve of this folder.

    It holds until a person raises a share again and looks at this brake.

    \b
    migctl rollout abort --reason "dashboards are dark"
    """
    from migctl.runtime import rollout_moves

    _run(rollout_moves.abort, _Asked(reason, None, yes, dry_run, may_go_down=True), config, output_format)


def revert(
    reason: context.ReasonOption = "",
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Go back to the share of the step before. As a lower `set`: it asks nobody.

    \b
    migctl rollout revert --reason "p99 is high"
    """
    from migctl.runtime import rollout_moves

    _run(rollout_moves.revert, _Asked(reason, None, yes, dry_run, may_go_down=True), config, output_format)


def pause(
    reason: context.ReasonOption = "",
    dry_run: context.DryRunOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Stop the walk where it is; shares stay. Its gates go on judging, and may still roll back.

    \b
    migctl rollout pause --reason "release day"
    """
    from migctl.runtime import rollout_moves

    _run(rollout_moves.pause, _Asked(reason, None, False, dry_run), config, output_format)


def resume(
    reason: context.ReasonOption = "",
    lift: context.LiftOption = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Go on: from a pause with a soak of its own; from an abort with the last step that passed, ending the brakes shown.

    \b
    migctl rollout resume --reason "released"
    """
    from migctl.runtime import rollout_moves

    _run(rollout_moves.resume, _Asked(reason, lift, yes, dry_run), config, output_format)


def promote(
    force: Annotated[
        bool,
        typer.Option("--force", help="Also where a gate does not pass; with --reason, which is audited."),
    ] = False,
    reason: context.ReasonOption = "",
    lift: context.LiftOption = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Begin the next step, where every gate of this one passes on evidence that is cited by its digest. Exit code 1 where not.

    \b
    migctl rollout promote --reason "all gates pass" --dry-run
    """
    from migctl.errors import Usage
    from migctl.runtime import rollout_moves

    if force and not reason:
        raise Usage("promote --force: no reason", do="give --reason WHY: it is audited")

    def move(settings: Settings, wish: Wish) -> Awaitable[Effect]:
        return rollout_moves.promote(settings, wish, force=force)

    _run(move, _Asked(reason, lift, yes, dry_run, force=force), config, output_format)


class _Asked:
    """Shows what a move would do, and asks where somebody gets more by it."""

    def __init__(
        self,
        reason: str,
        lift: list[str] | None,
        yes: bool,
        dry_run: bool,
        *,
        wants_reason: bool = False,
        force: bool = False,
        may_go_down: bool = False,
    ) -> None:
        self.reason = reason
        self.dry_run = dry_run
        self.proposed: Proposed | None = None
        self._lift = lift or []
        self._yes = yes
        self._wants_reason = wants_reason
        self._force = force
        # Down goes by what can be read of the settings; what is wrong with them is in the way of everything else.
        self.may_go_down = may_go_down

    def __call__(self, proposed: Proposed) -> Collection[str]:
        from migctl.cli import prompt, rollout_view
        from migctl.errors import Usage

        self.proposed = proposed
        for text in rollout_view.before(proposed):
            output.note(text)
        if not proposed.asks or self.dry_run:
            return self._lift
        if proposed.wanting and not self._force:
            return self._lift  # it is refused next: nobody is asked first
        prompt.confirm_at(proposed.command, proposed.where, yes=self._yes)
        if self._wants_reason and not self.reason:
            raise Usage(
                f"{proposed.command} on {proposed.where}: users get Realtime by this, and there is no reason",
                do="give --reason WHY",
            )
        # Who was asked had the brakes before their eyes; a script names those that it may end.
        asked = sys.stdin.isatty() and not self._yes
        return [brake.id for brake in proposed.brakes] if asked else self._lift


def _run(move: Move, asked: _Asked, config: Path | None, output_format: context.OutputFormat) -> None:
    """Do it, and say what became of it."""
    from migctl.cli import rollout_view
    from migctl.config import load, usable
    from migctl.config.person import operator
    from migctl.errors import MigctlError, Wanting
    from migctl.runtime import rollout_document
    from migctl.runtime.rollout_wish import Wish

    settings, wrong = usable(file=config) if asked.may_go_down else (load(file=config), None)
    if wrong is not None:
        output.note(f"warning: {wrong.what}")
        output.note("  going down all the same, by what can be read of the settings")
    wish = Wish(operator(), asked.reason, asked, asked.dry_run, output.note, wrong)

    async def work() -> Effect:
        return await move(settings, wish)

    try:
        effect = context.run(work())
    except MigctlError as error:
        if output_format == "json" and asked.proposed is not None:
            output.document(rollout_document.refused(asked.proposed, error.what))
        raise
    if output_format == "json":
        output.document(rollout_document.document(effect))
    else:
        for text in rollout_view.after(effect):
            output.plain(text)
    wanting = rollout_document.wanting(effect)
    if wanting is not None:
        what, do = wanting
        raise Wanting(what, do=do)
