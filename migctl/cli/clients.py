"""`migctl clients`: who is subscribed, to which transport, and who was lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, output
from migctl.events.durations import lasting
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.runtime.clients import Asking
    from migctl.status.clients import ClientStatus

    Row = tuple[str, ClientStatus]


def clients(
    transport: Annotated[
        Literal["all", "websocket", "standby"],
        typer.Option(
            "--transport", help="Only these. standby: on Realtime, with a socket to hear where to go."
        ),
    ] = "all",
    connected: Annotated[bool, typer.Option("--connected", help="Only those that are here now.")] = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """List every subscriber that the known processes have or had: transport, version, user, address, last seen, position.

    Who is on Realtime is known by the standby socket that migctl's subscriber keeps; one without is not listed. The witness is no
    subscriber, and is marked. Exit code 1 where a process did not answer, which may have subscribers too, 3 where none did.

    \b
    migctl clients --transport websocket --connected
    """
    from migctl.config import load
    from migctl.runtime.clients import clients_of

    settings = load(file=config)
    found = context.run(clients_of(settings, output.note))
    rows = [
        (process.name, one)
        for process in found.processes
        if process.status is not None
        for one in process.status.clients
        if transport in ("all", one.transport) and (one.connected or not connected)
    ]
    rows.sort(key=lambda row: (not row[1].connected, -row[1].last_seen.timestamp()))
    silent = [process for process in found.processes if process.status is None]
    answered = len(silent) < len(found.processes)
    if output_format == "json":
        output.document(_document(found, rows))
    elif answered:  # where nobody did, nobody knows of how many
        _show(found, rows)
    for process in silent:
        output.note(f"{process.name} did not answer, and may have subscribers: {process.why}")
    if not answered:
        output.error("no serve answers", "start one: `migctl serve`; or ask elsewhere: MIGCTL_STATE_DIR")
        raise typer.Exit(Exit.UNREACHABLE)
    if silent or found.unlisted is not None:
        raise typer.Exit(Exit.WANTING)


def _show(found: Asking, rows: list[Row]) -> None:
    from migctl.clock import now

    moment = now()
    if rows:
        output.table(
            ["TRANSPORT", "VERSION", "USER", "FROM", "LAST SEEN", "POSITION"],
            [
                [
                    one.transport + (" (witness)" if one.witness else ""),
                    one.protocol,
                    one.user or "-",
                    one.remote or "-",
                    "here" if one.connected else f"{lasting((moment - one.last_seen).total_seconds())} ago",
                    one.position.rpartition("/")[2] if one.position else "-",
                ]
                for _, one in rows
            ],
        )
    sockets = [one for _, one in rows if one.connected and not one.witness]
    on = {name: sum(one.transport == name for one in sockets) for name in ("websocket", "standby")}
    output.show(f"{on['websocket']} on the WebSocket, {on['standby']} on Realtime, by their standby sockets")
    for process in found.processes:
        if process.status is not None:
            since = process.status.remembers_from
            output.note(f"{process.name} knows who left since {since:%Y-%m-%d %H:%M:%S} UTC")
    if found.unlisted is not None:
        output.note(f"{found.unlisted} may have subscribers")


def _document(found: Asking, rows: list[Row]) -> dict[str, object]:
    import msgspec

    return {
        "schema": "migctl.clients/1",
        "target": found.target,
        "complete": found.unlisted is None and all(one.status is not None for one in found.processes),
        "unlisted": found.unlisted,
        "processes": [
            {
                "id": one.id,
                "name": one.name,
                "mode": one.status.mode if one.status is not None else None,
                "remembers_from": msgspec.to_builtins(one.status.remembers_from)
                if one.status is not None
                else None,
                "why": one.why,
            }
            for one in found.processes
        ],
        "clients": [{"process": name, **msgspec.to_builtins(one)} for name, one in rows],
    }
