"""`migctl tail`: the stream as a subscriber gets it, a line an event."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output, quantities
from migctl.cli.listening import Transport, subscriber_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.text import Text

    from migctl.config import Settings
    from migctl.events import Position
    from migctl.subscriber.core.release import Discontinuity, Release

_STYLES = {"websocket": "cyan", "realtime": "green"}


def tail(
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type", metavar="GLOB", help="Only events of these types, e.g. 'cpu*'.", show_default=False
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="GLOB", help="Only events of these sources.", show_default=False),
    ] = None,
    transport: Annotated[
        Transport, typer.Option("--transport", "-t", help="What brings them; dual: whichever serve assigns.")
    ] = "websocket",
    after: Annotated[
        str | None,
        typer.Option(
            "--after",
            metavar="POS",
            help="Begin after this: SEQ, or EPOCH:SEQ. Default: with what comes from now on.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", metavar="N", min=1, help="End after N events.", show_default=False),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="TIME",
            parser=quantities.seconds(),
            help="How long to wait for a server that is not there yet.",
        ),
    ] = 10.0,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", help="Where serve listens: default `listen` of the settings.", show_default=False
        ),
    ] = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Show events as they come: time, position, type, source, data. Holes of the stream are remarks on stderr.

    In order and each once, as every subscriber of migctl gets them. --output json: a line an event, as `capture` writes it.
    --type and --source may be given several times. Ctrl-C ends it.

    \b
    migctl tail --type 'cpu*' --count 20
    migctl tail --after 1200 --output json
    """
    from migctl.config import load

    settings = load(file=config)
    types, sources = type_ or ["*"], source or ["*"]

    def wanted(release: Release) -> bool:
        return _matches(release.event_type, types) and _matches(release.source, sources)

    line = _json_line if output_format == "json" else _text_line()
    context.run_fast(_follow(transport, settings, url, wait, after, count, wanted, line))


def _matches(text: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


async def _follow(
    transport: Transport,
    settings: Settings,
    url: str | None,
    wait_s: float,
    after: str | None,
    count: int | None,
    wanted: Callable[[Release], bool],
    line: Callable[[Release], None],
) -> None:
    from migctl.subscriber.core.release import Release

    position = None if after is None else await _position(after, settings, url, wait_s)
    shown = 0
    async with await subscriber_of(
        transport, settings, url=url, wait_s=wait_s, position=position
    ) as subscriber:
        async for item in subscriber:
            if not isinstance(item, Release):
                output.note(_hole(item))
            elif wanted(item):
                line(item)
                shown += 1
                if shown == count:
                    return


async def _position(text: str, settings: Settings, url: str | None, wait_s: float) -> Position:
    from migctl.errors import Usage
    from migctl.events import Position

    epoch, _, seq = text.rpartition(":")
    if not seq.isascii() or not seq.isdigit():
        raise Usage(f"--after {text}: expected SEQ or EPOCH:SEQ", do="`migctl clients` shows positions")
    if not epoch:
        async with await subscriber_of("websocket", settings, url=url, wait_s=wait_s) as asked:
            await asked.ready()
            head = await asked.ask_head()
        if head is None:
            raise Usage(f"--after {text}: serve has no journal that is open", do="name EPOCH:SEQ")
        epoch = head.epoch
    return Position(epoch, int(seq))


def _hole(gap: Discontinuity) -> str:
    return f"a hole: {gap.reason}; after {gap.after} it goes on at {gap.resumed}"


def _json_line(release: Release) -> None:
    from migctl.subscriber.core.release import encode_release

    sys.stdout.write(encode_release(release).decode() + "\n")
    sys.stdout.flush()


def _text_line() -> Callable[[Release], None]:
    """On a terminal a line of its width, and coloured; else all of it."""
    if not sys.stdout.isatty():
        return lambda release: output.plain("  ".join(_cells(release)))
    console = output.console()

    def show(release: Release) -> None:
        console.print(_drawn(release), no_wrap=True, overflow="ellipsis", crop=True)

    return show


def _cells(release: Release) -> tuple[str, str, str, str, str]:
    time = release.timestamp.partition("T")[2].removesuffix("Z")[:12]
    return time, str(release.seq), release.event_type, release.source or "-", release.data.decode()


def _drawn(release: Release) -> Text:
    from rich.text import Text

    from migctl.printable import shown

    time, seq, kind, source, data = map(shown, _cells(release))
    style = _STYLES[release.transport]
    return Text.assemble(
        (time, "dim"), "  ", (seq, "bold"), "  ", (kind, style), "  ", (source, "dim"), "  ", data
    )
