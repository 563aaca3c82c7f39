"""`migctl rollout run`: walks the stages, and says what happens; `--dry-run` rehearses that with a clock of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output
from migctl.events.durations import lasting
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.config import Settings
    from migctl.rollout.rehearsal import Happened
    from migctl.rollout.walk import Step
    from migctl.rollout.walker import Line

_LEFT_FROM_S = 1.0


def run(
    reason: Annotated[
        str,
        typer.Option("--reason", help="Why; in the history. Needed, since shares rise.", show_default=False),
    ] = "",
    url: Annotated[
        str | None,
        typer.Option(
            "--url", help="The serve to ask; default: that of the state folder.", show_default=False
        ),
    ] = None,
    without_drills: Annotated[
        bool,
        typer.Option(
            "--without-drills", help="Go on without the drills that a stage asks for; in the history."
        ),
    ] = False,
    inject: Annotated[
        list[str] | None,
        typer.Option(
            "--inject",
            metavar="WHAT",
            help="With --dry-run: STAGE:loss, STAGE:slow or STAGE:silence, in the middle of that stage.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Rehearse the whole walk with a clock of its own, and do nothing."),
    ] = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Walk from stage to stage: open each, hold its soak, judge its gates, roll back where one fails.

    It never leaves `aborted` or a pause by a person: that is `migctl rollout resume`.
    Killed and started again it goes on where it was.

    \b
    migctl rollout run --reason "go"
    migctl rollout run --dry-run --inject 2b-50:loss
    """
    from migctl.config import load
    from migctl.errors import Usage
    from migctl.rollout import stages

    settings = load(file=config)
    steps = [
        stage.step(settings.evidence.window_s)
        for name, stage in stages.load_all().items()
        if name in stages.WALKED
    ]
    if dry_run:
        _rehearse(steps, inject or [], output_format)
        return
    if inject:
        raise Usage("--inject is for a rehearsal", do="add --dry-run")
    if not reason:
        raise Usage("rollout run: shares rise by this, and there is no reason", do="give --reason WHY")
    context.run(_walk(settings, steps, reason, url, without_drills, yes, output_format))


async def _walk(
    settings: Settings,
    steps: list[Step],
    reason: str,
    url: str | None,
    without_drills: bool,
    yes: bool,
    output_format: context.OutputFormat,
) -> None:
    import asyncio
    import signal

    from migctl.cli import prompt
    from migctl.config import from_environment
    from migctl.runtime.walking import walking

    stages = f"{steps[0].stage} to {steps[-1].stage}"
    target = from_environment(settings)
    prompt.confirm_at(f"walk {stages}", target.name if target is not None else "the embedded stack", yes=yes)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def notify(line: Line) -> None:
        if output_format == "json":
            output.line(document_of(line))
        else:
            output.plain(sentence_of(line))

    async with walking(
        settings,
        steps,
        reason=reason,
        url=url,
        without_drills=reason if without_drills else None,
        notify=notify,
        note=output.note,
    ) as walker:
        ended = await walker.run(stop)
    if ended is None:
        output.note("ended; what it knew is in the record: `migctl rollout run` goes on there")
        raise typer.Exit(Exit.INTERRUPTED)


def sentence_of(line: Line) -> str:
    """`21:04:11 2b-25 soaking  waits: 12 of 1,440 minutes of evidence; about 12 min left`."""
    at = f"{line.at.astimezone():%H:%M:%S}"
    state = line.state
    where = "before the first" if state is None else f"{state.stage} {state.phase}"
    where += f" ({state.paused})" if state is not None and state.paused is not None else ""
    return f"{at} {where:<22} {line.what}{_left(line.left_s)}"


def document_of(line: Line) -> dict[str, object]:
    """A line of NDJSON; the state's reason stands apart from the time left."""
    import msgspec

    return {
        "schema": "migctl.rollout.run/1",
        "at": line.at.isoformat(),
        "what": line.what,
        "left_s": line.left_s,
        "state": msgspec.to_builtins(line.state),
    }


def _left(left_s: float | None) -> str:
    if left_s is None or left_s < _LEFT_FROM_S:
        return ""
    return f"; about {lasting(left_s)} left"


def _rehearse(steps: list[Step], inject: list[str], output_format: context.OutputFormat) -> None:
    from migctl import clock
    from migctl.rollout import rehearsal

    began = clock.mono()
    happened, last = rehearsal.rehearse(steps, rehearsal.parse(inject, steps), clock.now())
    took_s = clock.mono() - began
    ended = last.phase if last.paused is None else f"paused by {last.paused}"
    if output_format == "json":
        import msgspec

        output.document(
            {
                "schema": "migctl.rollout.rehearsal/1",
                "dry_run": True,
                "ended": last.phase,
                "state": msgspec.to_builtins(last),
                "lasts_s": happened[-1].after_s,
                "took_s": round(took_s, 3),
                "timeline": [_happened(one) for one in happened],
            }
        )
    else:
        output.table(
            [("after", "right"), "stage", "phase", ("open", "right"), "what"],
            [
                (lasting(one.after_s), one.stage, one.phase, f"{one.percent:g} %", one.what)
                for one in happened
            ],
        )
        output.plain(
            f"{ended} after {lasting(happened[-1].after_s)}, rehearsed in {took_s:.1f} s; nothing was changed"
        )
    if last.phase != "done":
        raise typer.Exit(Exit.WANTING)


def _happened(one: Happened) -> dict[str, object]:
    import msgspec

    return msgspec.to_builtins(one)  # type: ignore[no-any-return]
