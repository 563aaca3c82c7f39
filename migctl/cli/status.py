"""`migctl status`: what a running `serve` does, at a glance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from migctl.cli import context, output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from migctl.errors import MigctlError
    from migctl.serve_client.status import Answered

    Ask = Callable[[], Awaitable[Answered]]

EXIT_DEGRADED = 1


def status(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Ask there, with the token of MIGCTL_TOKEN. Default: the serve of the state folder, by its control socket.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on, once a second, until Ctrl-C.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of --output json, and ask nobody.")
    ] = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Say what a running serve does: target, positions, backlog, transports, subscribers, source.

    Exit code 0 when all is well, 1 when something is degraded (the reasons are listed), 3 when no serve answers. With --watch and
    --output json a line each second.
    """
    from migctl.config import load, secret
    from migctl.serve_client.status import status_at, status_of
    from migctl.status import json_schema

    if schema:
        output.document(json_schema())
        return
    folder = load(file=config).state

    async def ask() -> Answered:
        return await (status_of(folder) if url is None else status_at(url, secret("MIGCTL_TOKEN")))

    if watch:
        _watch(ask, output_format)
    found = context.run(ask())
    if output_format == "json":
        output.document(_json(found))
    else:
        output.show(*_drawn(found))
    if found.status.health.status != "ok":
        raise typer.Exit(EXIT_DEGRADED)


def _watch(ask: Ask, output_format: str) -> NoReturn:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from migctl.errors import MigctlError

    console = output.console()

    def line(found: Answered | MigctlError) -> None:
        output.line(_not_running(found) if isinstance(found, MigctlError) else _json(found))

    def plain(found: Answered | MigctlError) -> None:
        output.show(*([Text(str(found))] if isinstance(found, MigctlError) else _drawn(found)))

    if output_format == "json":
        context.run(_each_second(ask, line))
    if not console.is_terminal:
        context.run(_each_second(ask, plain))
    with Live(console=console, auto_refresh=False) as live:

        def update(found: Answered | MigctlError) -> None:
            drawn = (
                Text(str(found)) if isinstance(found, MigctlError) else Group(*_drawn(found, watched=True))
            )
            live.update(drawn, refresh=True)

        context.run(_each_second(ask, update))
    raise AssertionError("it goes on until it is interrupted")


async def _each_second(ask: Ask, show: Callable[[Answered | MigctlError], None]) -> NoReturn:
    from migctl.errors import MigctlError

    while True:
        found: Answered | MigctlError
        try:
            found = await ask()
        except MigctlError as error:
            found = error
        show(found)
        await asyncio.sleep(1.0)


def _json(found: Answered) -> Any:
    """As it came: a key that only a later version knows is somebody's."""
    import msgspec

    return msgspec.json.decode(found.text)


def _not_running(error: MigctlError) -> dict[str, object]:
    problem = {"part": "serve", "state": "not running", "reason": error.what, "do": error.do, "since": None}
    return {"schema": "migctl.status/1", "health": {"status": "not running", "problems": [problem]}}


def _drawn(found: Answered, *, watched: bool = False) -> list[RenderableType]:
    from migctl.cli.status_view import view
    from migctl.clock import now

    return view(found.status, now(), health_first=watched)
