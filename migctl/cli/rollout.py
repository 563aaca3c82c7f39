"""`migctl rollout`: how many users have Realtime, and moving that up and down."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import (
    context,
    output,
    quantities,
    rollout_change,
    rollout_complete,
    rollout_run,
    rollout_signoff,
)
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.config import Settings
    from migctl.flags.record import Audited
    from migctl.rollout.report import RolloutStatus

app = typer.Typer(
    help="How many users have Realtime: step by step up, and down at once.", no_args_is_help=True
)

EVERY_S = 1.0


@app.command(short_help="Where the rollout stands, and what it waits for.")
def status(
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Go on: live on a terminal; in a pipe, a line per change."),
    ] = False,
    timeout_s: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="TIME",
            parser=quantities.seconds(),
            help="End --watch after so long, such as 90s or 2h.",
            show_default=False,
        ),
    ] = None,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit code 1 where something is wrong at the end.")
    ] = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Where the rollout stands: stage, share, what it waits for, gates and their evidence, brakes, and which processes agree.

    Works with the record away: then Redis or the disk of this folder says it, and which of them it was. --watch ends by itself
    where the rollout waits for a person, was aborted, or is done. With --output json it is the document, a line each second.

    \b
    migctl rollout status
    migctl rollout status --watch --timeout 1h
    """
    from migctl.config import load

    context.only_with("--timeout", timeout_s is not None, "--watch", watch)
    settings = load(file=config)
    if watch:
        found = context.run(_watch(settings, timeout_s, output_format))
    else:
        found = context.run(_once(settings))
        _print(found, output_format)
    if exit_status and found.problems:
        raise typer.Exit(Exit.WANTING)


@app.command(short_help="The steps: what each opens, and what must hold.")
def plan(config: context.ConfigOption = None, output_format: context.OutputOption = "text") -> None:
    """The steps: what each opens, how long it soaks, what must hold, and which one the rollout is at.

    \b
    migctl rollout plan
    """
    import msgspec

    from migctl.cli import rollout_status_view
    from migctl.config import load
    from migctl.rollout.stages import load_all

    settings = load(file=config)
    stages = list(load_all().values())
    found = context.run(_once(settings))
    if output_format == "json":
        steps = [
            {**stage.model_dump(mode="json", exclude_none=True), "current": stage.stage == found.stage}
            for stage in stages
        ]
        head = {"schema": "migctl.rollout.plan/1", "target": found.target, "stage": found.stage}
        output.document({**head, "passed": msgspec.to_builtins(found.passed), "steps": steps})
        return
    output.note(found.target)
    output.show(rollout_status_view.plan(stages, found))
    for text in rollout_status_view.in_each(stages):
        output.plain(text)


@app.command()
def history(
    limit: context.LimitOption = 20,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Who moved the rollout, when and why, brakes among it.

    \b
    migctl rollout history --limit 5
    """
    import msgspec

    from migctl.cli import rollout_status_view
    from migctl.config import load
    from migctl.runtime.rollout import control

    settings = load(file=config)

    async def work() -> tuple[str, list[Audited]]:
        async with control(settings, output.note) as at:
            return at.where, await at.history(limit)

    where, found = context.run(work())
    if output_format == "json":
        entries = msgspec.to_builtins(found)
        output.document({"schema": "migctl.rollout.history/1", "target": where, "entries": entries})
        return
    output.note(where)
    if not found:
        output.note("nothing was done yet")
        return
    output.table(
        [("WHEN", "whole"), "WHO", ("WHAT", "whole"), "TO", "WHY"],
        [rollout_status_view.entry(one) for one in found],
    )


app.command("set", context_settings={"ignore_unknown_options": True})(rollout_change.set_)
app.command("run", short_help="Walk from stage to stage, judging gates.")(rollout_run.run)
app.command("promote", short_help="Begin the next step, where every gate passes.")(rollout_change.promote)
app.command("pause")(rollout_change.pause)
app.command("resume", short_help="Go on after a pause or an abort.")(rollout_change.resume)
app.command("retry", hidden=True)(rollout_change.resume)
app.command("revert")(rollout_change.revert)
app.command("abort")(rollout_change.abort)
app.command("complete", short_help="Switch the WebSocket off, once nobody needs it.")(
    rollout_complete.complete
)
app.command("signoff", short_help="Write the sign-off report.")(rollout_signoff.signoff)


async def _once(settings: Settings) -> RolloutStatus:
    from migctl.runtime.rollout import control
    from migctl.runtime.rollout_status import status_of

    async with control(settings, output.note, start=False) as at:
        return await status_of(at)


async def _watch(settings: Settings, timeout_s: float | None, output_format: str) -> RolloutStatus:
    from migctl.cli import rollout_status_view
    from migctl.rollout.report import SETTLED
    from migctl.runtime.rollout import control
    from migctl.runtime.rollout_status import status_of

    console = output.console()
    live = None
    if console.is_terminal and output_format == "text":
        from rich.live import Live

        live = Live(console=console, auto_refresh=False)
    end = None if timeout_s is None else time.monotonic() + timeout_s
    last: object = None
    async with control(settings, output.note, start=False) as at:
        if live is not None:
            live.start()
        try:
            while True:
                found = await status_of(at)
                if live is not None:
                    live.update(rollout_status_view.view(found), refresh=True)
                elif output_format == "json":
                    output.line(_document(found))
                elif (changes := rollout_status_view.changes(found)) != last:
                    last = changes
                    output.plain(rollout_status_view.line(found))
                settled = found.state.phase in SETTLED and found.state.paused_by != "no_data"
                left = EVERY_S if end is None else min(EVERY_S, end - time.monotonic())
                if settled or left <= 0:
                    return found
                await asyncio.sleep(left)
        finally:
            if live is not None:
                live.stop()


def _print(found: RolloutStatus, output_format: str) -> None:
    from migctl.cli import rollout_status_view

    if output_format == "json":
        output.document(_document(found))
    else:
        output.show(rollout_status_view.view(found))


def _document(found: RolloutStatus) -> object:
    import msgspec

    return msgspec.to_builtins(found)
