"""`migctl capture`: write down what a subscriber really receives."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, loudness, output, quantities
from migctl.cli.listening import clock_of, subscriber_of
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.config import Settings
    from migctl.validate.capture import Until
    from migctl.validate.capture_file import CaptureFile, CaptureSummary
    from migctl.validate.legacy_capture import LegacyCapture


def capture(
    transport: Annotated[
        Literal["websocket", "realtime", "dual", "legacy"],
        typer.Option(
            "--transport",
            "-t",
            help="Which side to listen to; dual: as serve assigns, with the other to fall back to; legacy: the old socket.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder for TRANSPORT.ndjson and TRANSPORT.summary.json."),
    ],
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Where serve listens: default `listen` of the settings; of realtime for its clock alone. For legacy, ws:// is any "
            "old service.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            metavar="TIME",
            parser=quantities.seconds(0.1),
            help="End so long after it was ready.",
            show_default=False,
        ),
    ] = None,
    until_idle: Annotated[
        float | None,
        typer.Option(
            "--until-idle",
            metavar="TIME",
            parser=quantities.seconds(),
            help="End after so long without an event.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", metavar="N", min=1, help="End after N events.", show_default=False),
    ] = None,
    drain: Annotated[
        float,
        typer.Option(
            "--drain",
            metavar="TIME",
            parser=quantities.seconds(),
            help="How long to wait for what is missing at the end.",
        ),
    ] = 10.0,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="TIME",
            parser=quantities.seconds(),
            help="How long to wait for a server that is not there yet.",
        ),
    ] = 10.0,
    force: Annotated[bool, typer.Option("--force", help="Replace a capture that is in the folder.")] = False,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option("--log-level", help="Default: warning.", show_default=False),
    ] = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Capture what a subscriber receives, until Ctrl-C, SIGTERM or a bound ends it.

    Each line is one event, released in order and once. A lost connection is taken up again at the position. At the end it
    waits until it has everything that was committed before; a second Ctrl-C ends it at once. Exit code 1 where it can't say that it
    has everything. A capture of one transport uses only
    that side, so that two of them can be compared; dual is what an application gets from migctl.Subscriber. legacy is
    what an old dashboard gets, a line for each frame: of serve, or of the old service; nothing is taken up again there. Where
    serve asks for a token, it is taken from MIGCTL_TOKEN; what --url names with ws:// gets none of legacy.

    \b
    migctl capture --transport websocket --out capture --until-idle 10s
    migctl capture --transport realtime --out capture --seconds 1h
    migctl capture --transport legacy --url ws://old-service:8080/ws --out capture
    """
    from migctl import telemetry
    from migctl.config import load
    from migctl.config.roles import AUTHENTICATED
    from migctl.validate.capture import Capture, Until
    from migctl.validate.capture_file import CaptureFile

    telemetry.configure(level=loudness.level(log_level) or "warning", pretty=output.stderr_is_terminal())
    settings = load(file=config)
    file = CaptureFile(out, transport)
    file.check(force=force)
    until = Until(idle_s=until_idle, count=count, after_s=seconds, drain_s=drain)

    async def work() -> CaptureSummary:
        stop, stop_now = _signals()
        if transport == "legacy":
            return await _legacy(settings, url, file, until, wait).run(stop, stop_now)
        reads = url if transport != "realtime" else None
        async with await subscriber_of(transport, settings, url=reads, wait_s=wait) as subscriber:
            role = "subscriber" if transport == "websocket" else AUTHENTICATED
            clock_behind = await clock_of(settings, url, subscriber)
            made = Capture(subscriber, transport, role, file, until, output.note, clock_behind)
            return await made.run(stop, stop_now)

    summary = context.run_fast(work())
    if summary.ready_at is None:
        output.note("interrupted before it was ready: nothing was captured")
        raise typer.Exit(Exit.INTERRUPTED)
    if output_format == "json":
        output.document(summary)
    else:
        _print(summary, file.path)
    if not summary.complete:
        raise typer.Exit(Exit.WANTING)


def _legacy(
    settings: Settings, url: str | None, file: CaptureFile, until: Until, wait_s: float
) -> LegacyCapture:
    from migctl.config import secret
    from migctl.config.address import socket_url
    from migctl.ingest import parse_map
    from migctl.ingest.frames import contents
    from migctl.transports.dialing import Keeping
    from migctl.validate.legacy_capture import LegacyCapture

    # Of a WebSocket's address nobody knows that it is a serve's, and a token is for nobody else.
    is_serve = url is None or not url.startswith(("ws://", "wss://"))
    return LegacyCapture(
        socket_url(url or f"http://{settings.listen}"),
        file,
        contents(parse_map(settings=settings.source), settings.legacy.frame),
        token=secret("MIGCTL_TOKEN") if is_serve else None,
        until=until,
        keeping=Keeping.of(settings.legacy),
        wait_s=wait_s,
        print_line=output.note,
    )


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set at the first SIGINT or SIGTERM, and at the second."""
    stop, stop_now = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (stop_now if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop, stop_now


def _print(summary: CaptureSummary, path: Path) -> None:
    output.table(
        (
            "transport",
            ("received", "right"),
            ("repeats dropped", "right"),
            ("gaps repaired", "right"),
            ("reconnects", "right"),
        ),
        [
            [
                summary.transport,
                summary.received,
                summary.repeats_dropped,
                summary.gaps_repaired,
                summary.reconnects,
            ]
        ],
    )
    output.note(f"{path}: {'complete' if summary.complete else 'NOT complete'} ({summary.reason})")
