"""`migctl status`: what a running `serve` does, in one screen; and whether it is safe to go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migctl.cli import context, output, quantities
from migctl.exits import Exit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from migctl.config import Settings
    from migctl.errors import MigctlError
    from migctl.rollout.report import RolloutStatus
    from migctl.serve_client.status import Answered

    Ask = Callable[[], Awaitable["Asked"]]

EVERY_S = 1.0


class Asked:
    """What came of asking once. found: None where nobody answers.

    hinder: why it is not safe to go on; None where that was not asked.
    """

    def __init__(
        self, found: Answered | None, error: MigctlError | None, hinder: list[str] | None = None
    ) -> None:
        self.found = found
        self.error = error
        self.hinder = hinder

    @property
    def is_well(self) -> bool:
        if self.found is None:
            return False
        return not self.hinder if self.hinder is not None else self.found.status.health.status == "ok"


def status(
    url: context.UrlOption = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", "-w", help="Go on until Ctrl-C: redrawn in place; in a pipe, a line per change."
        ),
    ] = False,
    exit_status: Annotated[
        bool,
        typer.Option(
            "--exit-status",
            help="Say whether it is safe to go on: exit code 0 if it is, else 1. With --watch: end once it is.",
        ),
    ] = False,
    timeout_s: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="TIME",
            parser=quantities.seconds(),
            help="End --watch after so long, such as 90s or 15m.",
            show_default=False,
        ),
    ] = None,
    line: Annotated[
        bool,
        typer.Option("--line", help="Only the one line that says what it does, its state, and what is left."),
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of --output json, and ask nobody.")
    ] = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Say what a running serve does, its state with the reason, how much time is left, and each part, in one screen.

    Exit code 0 when all is well, 1 when something is degraded (the reasons are listed), 3 when no serve answers. --exit-status asks
    for more: the rollout, its gates and brakes, the last window of evidence, fallback, and a journal that is soon full. With
    --watch and --output json a line each second.

    \b
    migctl status
    migctl status --url https://events.example.com --exit-status
    migctl status --watch --timeout 5m
    """
    from migctl.config import load
    from migctl.status import json_schema

    if schema:
        output.document(json_schema())
        return
    context.only_with("--timeout", timeout_s is not None, "--watch", watch)
    settings = load(file=config)

    async def ask() -> Asked:
        return await _ask(settings, url, exit_status=exit_status)

    if watch:
        found = context.run(
            _watch(ask, output_format, timeout_s=timeout_s, until_well=exit_status, line=line)
        )
    else:
        found = context.run(ask())
        if found.found is not None:
            _print(found, output_format, line=line)
    if found.error is not None:
        raise found.error
    if not found.is_well:
        raise typer.Exit(Exit.WANTING)


async def _ask(settings: Settings, url: str | None, *, exit_status: bool) -> Asked:
    from migctl.config import secret
    from migctl.errors import Transient
    from migctl.serve_client.status import status_at, status_of
    from migctl.status.going_on import hindrances

    try:
        found = await (status_of(settings.state) if url is None else status_at(url, secret("MIGCTL_TOKEN")))
    except Transient as error:
        return Asked(None, error)
    if not exit_status:
        return Asked(found, None)
    hinder = [f"{one.sentence()}; {one.do}" for one in hindrances(found.status)]
    if found.status.mode == "dual":
        hinder += await _rollout_problems(settings, url)
    return Asked(found, None, hinder)


async def _rollout_problems(settings: Settings, url: str | None) -> list[str]:
    """What `migctl rollout status` calls not well: gates, brakes, processes, the record.

    url: the serve there is asked for it: the record of this folder may be another target's.
    """
    from migctl.errors import MigctlError

    try:
        of = await (_rollout_here(settings) if url is None else _rollout_at(url))
    except MigctlError as error:
        return [f"rollout: not known: {error.what}; {error.do}"]
    # Aborted and paused stand among what serve says.
    return [
        f"rollout: {one}; see `migctl rollout status`"
        for one in of.problems
        if not one.startswith(("aborted: ", "paused: "))
    ]


async def _rollout_here(settings: Settings) -> RolloutStatus:
    from migctl.runtime.rollout import control
    from migctl.runtime.rollout_status import status_of

    async with control(settings, output.note, start=False) as at:
        return await status_of(at)


async def _rollout_at(url: str) -> RolloutStatus:
    from migctl.config import secret
    from migctl.runtime.afar import Afar

    afar = Afar(url, secret("MIGCTL_TOKEN"))
    try:
        return await afar.rollout()
    finally:
        await afar.aclose()


async def _watch(
    ask: Ask, output_format: str, *, timeout_s: float | None, until_well: bool, line: bool
) -> Asked:
    """Until the time is over, or all is well where that is waited for, or Ctrl-C."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    console = output.console()
    live = (
        Live(console=console, auto_refresh=False) if console.is_terminal and output_format == "text" else None
    )
    changes = _Changes()
    end = None if timeout_s is None else time.monotonic() + timeout_s
    if live is not None:
        live.start()
    try:
        while True:
            found = await ask()
            if live is not None:
                drawn = Text(str(found.error)) if found.found is None else Group(*_drawn(found, line=line))
                live.update(drawn, refresh=True)
            elif output_format == "json":
                output.line(_not_running(found.error) if found.error is not None else _json(found))
            else:
                changes.show(found)
            left = EVERY_S if end is None else min(EVERY_S, end - time.monotonic())
            if (until_well and found.is_well) or left <= 0:
                return found
            await asyncio.sleep(left)
    finally:
        if live is not None:
            live.stop()


class _Changes:
    """A line for each change of state, with its time: for pipes. Figures that move are none."""

    def __init__(self) -> None:
        self._last: object = None

    def show(self, found: Asked) -> None:
        from migctl.clock import now
        from migctl.status.summary import summary

        if found.found is None:
            changes: object = str(found.error)
            text = f"State: not running: {found.error.what if found.error is not None else ''}"
        else:
            of = summary(found.found.status, now())
            changes, text = (of.changes, found.hinder), of.line()
            if found.hinder is not None:
                text += "; Safe to go on: " + ("no: " + "; ".join(found.hinder) if found.hinder else "yes")
        if changes != self._last:
            self._last = changes
            output.plain(f"{now():%Y-%m-%dT%H:%M:%SZ} {text}")


def _print(found: Asked, output_format: str, *, line: bool) -> None:
    if output_format == "json":
        output.document(_json(found))
    elif line:
        from migctl.clock import now
        from migctl.status.summary import summary

        assert found.found is not None
        output.plain(summary(found.found.status, now()).line())
        for one in found.hinder or ():
            output.plain(f"# not safe to go on: {one}")
    else:
        output.show(*_drawn(found, line=False))


def _json(found: Asked) -> Any:
    """As it came: a key that only a later version knows is somebody's. go_on: where that was asked."""
    import msgspec

    assert found.found is not None
    document = msgspec.json.decode(found.found.text)
    if found.hinder is not None:
        document["go_on"] = {"safe": not found.hinder, "reasons": found.hinder}
    return document


def _not_running(error: MigctlError) -> dict[str, object]:
    problem = {"part": "serve", "state": "not running", "reason": error.what, "do": error.do, "since": None}
    return {"schema": "migctl.status/1", "health": {"status": "not running", "problems": [problem]}}


def _drawn(found: Asked, *, line: bool) -> list[RenderableType]:
    from migctl.cli.status_view import go_on, head, view
    from migctl.clock import now
    from migctl.status.summary import summary

    assert found.found is not None
    of = found.found.status
    drawn = [head(summary(of, now()), of.health.status == "ok")] if line else view(of, now())
    return [*drawn, *(go_on(found.hinder) if found.hinder is not None else ())]
