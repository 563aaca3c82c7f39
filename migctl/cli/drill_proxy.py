"""`migctl drill proxy`: the TCP proxy alone, steered over Toxiproxy's HTTP API."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, loudness, output

if TYPE_CHECKING:
    from migctl.faults.addresses import Address
    from migctl.faults.api import Wanted


def proxy(
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where the API listens, on this machine.")
    ] = "127.0.0.1:8474",
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Proxies to begin with: Toxiproxy's JSON file.",
            show_default=False,
        ),
    ] = None,
    proxies: Annotated[
        list[str] | None,
        typer.Option(
            "--proxy",
            metavar="NAME=LISTEN,UPSTREAM",
            help="A proxy to begin with. May be given several times.",
            show_default=False,
        ),
    ] = None,
    any_upstream: Annotated[
        bool, typer.Option("--any-upstream", help="Let proxies pass to other machines than this one.")
    ] = False,
    output_format: context.OutputOption = "text",
) -> None:
    """Run a TCP proxy that fails on request, over Toxiproxy's HTTP API: its clients work unchanged.

    It runs until SIGTERM or Ctrl-C. What it does is logged to stderr.

    \b
    migctl drill proxy --proxy redis=127.0.0.1:26379,127.0.0.1:6379
    """
    from migctl import telemetry
    from migctl.faults.api import named, read_config

    telemetry.configure(level=loudness.level() or "info", pretty=output.stderr_is_terminal())
    where = _address(listen)
    wanted = read_config(config, elsewhere=any_upstream) if config is not None else []
    wanted += [named(text) for text in proxies or []]
    context.run_fast(_serve(where, wanted, any_upstream, output_format))


def _address(listen: str) -> Address:
    from migctl.errors import Usage
    from migctl.faults.addresses import address

    try:
        return address(listen)
    except ValueError as error:
        raise Usage(f"--listen: {error}", do="write 127.0.0.1:PORT; port 0 is a free one") from None


async def _serve(
    listen: Address, wanted: list[Wanted], elsewhere: bool, output_format: context.OutputFormat
) -> None:
    from migctl.faults.api import serving

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(listen, wanted, elsewhere=elsewhere) as running:
        if output_format == "json":
            output.line({"schema": "migctl.proxy/1", "api": running.url, "proxies": running.proxies})
        else:
            output.plain(f"Toxiproxy's API on {running.url}")
            for one in running.proxies:
                output.plain(f"  {one.name}: {one.listen} -> {one.upstream}")
        await stop.wait()
