"""`migctl serve`: publish a stream over WebSocket, Realtime or both."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, loudness, output
from migctl.cli.context import ConfigOption
from migctl.errors import Usage
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.config import Settings
    from migctl.runtime.service import Left, Service
    from migctl.status import AnySource
    from migctl.supervision.turn import Given

MODE_HELP = "websocket, realtime or dual (both). Also MIGCTL_MODE. Default: dual."


def serve(
    mode: Annotated[
        Literal["websocket", "realtime", "dual"] | None,
        typer.Option("--mode", "-m", help=MODE_HELP, show_default=False),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="HOST:PORT",
            help="Where HTTP and /ws are served. Default: 127.0.0.1:8080.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="FILE|-|ws://...|host",
            help="Where events come from, besides POST /events: a file, stdin, a WebSocket to tap, or this host's own metrics. "
            "Default: legacy.upstream of the settings, if it is there.",
            show_default=False,
        ),
    ] = None,
    map_: context.MapOption = None,
    ignore: context.IgnoreOption = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", min=0.1, help="Events/s of --source host, all types together.", show_default=False
        ),
    ] = None,
    follow: Annotated[
        Literal["name", "descriptor"] | None,
        typer.Option(
            "--follow",
            help="Read --source FILE on as it grows. name: and on in the file that takes its place. descriptor: that file only, "
            "wherever it is moved.",
            show_default=False,
        ),
    ] = None,
    until_done: Annotated[
        bool,
        typer.Option(
            "--until-done",
            help="End once the source is read and relayed, rather than go on serving. Exit 1 where anything of it was rejected.",
        ),
    ] = False,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option(
            "--log-level", help="Also `log_level` of the settings. Default: info.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
    supervised: Annotated[
        bool,
        typer.Option(
            "--supervised",
            help="Watch over it: a worker that dies or hangs is replaced on the same port by one that stands by.",
        ),
    ] = False,
    gate: Annotated[bool, typer.Option("--gate", hidden=True)] = False,
    worker: Annotated[str | None, typer.Option("--worker", hidden=True)] = None,
) -> None:
    """Publish events over the mode's transports, from one durable journal.

    Events come in over POST /events and from --source. SIGTERM or Ctrl-C drains: what was acknowledged stays in the journal, and
    what the table does not have yet is counted on stderr and sent at the next start.

    \b
    migctl serve --source host
    migctl serve --mode websocket --listen 0.0.0.0:8080 --source ws://127.0.0.1:9000/ws
    migctl serve --source old.ndjson --until-done
    """
    from migctl import telemetry
    from migctl.config.loading import resolved

    given = _turn(worker) if worker is not None else None
    log_level = loudness.level(log_level)
    telemetry.configure(level=log_level or "info", pretty=output.stderr_is_terminal())
    flags: dict[tuple[str, ...], str | None] = {
        ("mode",): mode,
        ("listen",): listen,
        ("log_level",): log_level,
    }
    found = resolved(file=config, flags=flags)
    settings = found.settings
    telemetry.set_level(settings.log_level)
    if supervised and given is None:
        raise typer.Exit(_supervise(settings, until_done))

    async def work() -> tuple[Left, AnySource | None]:
        from migctl.config.systemd import systemd
        from migctl.ingest import open_source, parse_map
        from migctl.runtime.composing import compose
        from migctl.runtime.witness import KeptWitness, with_witness
        from migctl.supervision import READY, STOPPING, Heart
        from migctl.supervision.terminal import Terminal
        from migctl.transports.dialing import Keeping

        heart = Heart.for_systemd(systemd()) if given is None else given.heart
        opened = mapper = None
        spec = source or settings.legacy.upstream
        context.only_with("--rate", rate is not None, "--source host", spec == "host")
        context.only_with("--map", map_, "--source", spec is not None)
        context.only_with("--ignore", ignore is not None, "--source", spec is not None)
        context.only_with("--until-done", until_done, "--source", spec is not None)
        if follow is not None and (spec is None or until_done):
            what = "has no end, and --until-done waits for one" if until_done else "needs --source FILE"
            raise Usage(f"--follow: it {what}", do="leave it out")
        if spec is not None:
            mapper = parse_map(map_ or [], settings.source, ignore=[ignore] if ignore else [])
            opened = open_source(
                spec,
                mapper=mapper,
                state_dir=settings.state,
                rate=rate,
                follow=follow,
                waits=not until_done,
                keeping=Keeping.of(settings.legacy),
            )
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:
            heart.send(STOPPING)
            stop.set()

        def ready(service: Service) -> None:
            heart.send(READY, f"STATUS=serving: {service.mode} on {service.url}")
            _print_ready(service)

        async with heart.beating():
            service = await compose(settings, source=opened, mapper=mapper, notify=output.note)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, end)
            terminal = Terminal()
            loop.add_signal_handler(signal.SIGHUP, lambda: end() if terminal.is_gone() else service.rekey())
            service.gate = _signals() if gate else None
            service.until_done, service.origin = until_done, found.origin
            if given is not None:
                service.held, service.supervision = given.listening, given.supervision
            if settings.witness and service.mode == "dual" and not until_done:
                token = with_witness(service.tokens)
                service.witness = KeptWitness(settings, token=token, config=config)
            left = await service.run(stop, ready)
            return left, opened.status() if opened is not None else None

    from migctl.status.losses import losses, rejects

    left, source_left = context.run_fast(work())
    if left.backlog:
        output.note(
            f"{left.backlog} events are in the journal and not yet in the table; the next start sends them"
        )
    output.note("; ".join([f"stopped at seq {left.head}", *losses(source_left)]))
    if until_done and rejects(source_left):
        raise typer.Exit(Exit.WANTING)


def _supervise(settings: Settings, until_done: bool) -> int:
    """Keep workers of the same command line; the exit code."""
    from migctl.config.systemd import systemd
    from migctl.server import hold
    from migctl.supervision import Heart
    from migctl.supervision.supervisor import Supervisor

    held = hold(settings.listen_host, settings.listen_port)

    async def work() -> int:
        return await Supervisor(
            [sys.executable, "-m", "migctl", *sys.argv[1:]],
            held,
            settings.supervision,
            heart=Heart.for_systemd(systemd()),
            notify=output.note,
            until_done=until_done,
        ).run()

    return context.run(work())


def _turn(descriptors: str) -> Given:
    """Have everything in memory, and wait until the supervisor says that it is our turn."""
    from migctl.runtime.warming import warm
    from migctl.supervision.turn import await_turn, inherit

    inherited = inherit(descriptors)
    warm()
    given = await_turn(inherited)
    if given is None:  # the supervisor is gone, or has no need of us
        raise typer.Exit
    return given


def _print_ready(service: Service) -> None:
    target = f" -> {service.target.name}" if service.target is not None else ""
    output.note(f"serving: {service.mode} on {service.url}{target}")
    upstream = service.settings.legacy.upstream
    if upstream and service.mode != "realtime":
        output.note(f"  sockets of the old protocol are passed through to {upstream}")
    output.note(
        f"  publish: POST {service.url}/events   subscribe: {service.url.replace('http', 'ws', 1)}/ws?v=2"
    )


def _signals() -> Callable[[], Awaitable[object]]:
    """Waits for SIGUSR1, then for SIGUSR2: so a rehearsal says when the source begins and ends, once its subscribers are there."""
    loop = asyncio.get_running_loop()
    awaited = [asyncio.Event(), asyncio.Event()]
    for number, event in zip((signal.SIGUSR1, signal.SIGUSR2), awaited, strict=True):
        loop.add_signal_handler(number, event.set)
    return lambda: awaited.pop(0).wait()
