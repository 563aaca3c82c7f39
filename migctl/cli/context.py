"""What every command shares: settings, the way errors become exit codes, and running a coroutine to its end."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Literal, TextIO, TypeVar

import typer

from migctl import redaction, telemetry
from migctl.cli import output
from migctl.errors import MigctlError, Transient, Usage, first_error
from migctl.exits import Exit
from migctl.printable import shown

T = TypeVar("T")

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

OutputFormat = Literal["text", "json"]
OutputOption = Annotated[
    OutputFormat,
    typer.Option("--output", "-o", help="text for people, json for machines: one document on stdout."),
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=1000, help="So many, the newest first.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Settings file. Default: ./migctl.yaml, if it is there.", show_default=False
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="Ask there, with the token of MIGCTL_TOKEN. Default: the serve of the state folder, by its control socket.",
        show_default=False,
    ),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=PATH[|PATH...]",
        help="Which part of a foreign message is which field, e.g. timestamp='.time|.data.at'. May be given several times. "
        "Default: `source.map` of the settings.",
        show_default=False,
    ),
]
IgnoreOption = Annotated[
    str | None,
    typer.Option(
        "--ignore", metavar="TYPE,...", help="Message types that are no events.", show_default=False
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
ReasonOption = Annotated[
    str,
    typer.Option(
        "--reason",
        metavar="WHY",
        help="For the history; needed where somebody gets more.",
        show_default=False,
    ),
]
LiftOption = Annotated[
    list[str] | None,
    typer.Option(
        "--lift", metavar="BRAKE", help="The id of a brake that you looked at, and that a raise may end."
    ),
]


def only_with(option: str, given: object, other: str, there: object) -> None:
    """An option that does nothing by itself is no option to give. Raises Usage."""
    if given and not there:
        raise Usage(f"{option} does nothing without {other}", do=f"add {other}, or leave {option} out")


def run(work: Coroutine[object, None, T]) -> T:
    """Run a command's coroutine. An error that a task group wrapped comes out as itself."""
    return _run(asyncio.run, work)


def run_fast(work: Coroutine[object, None, T]) -> T:
    """The same on uvloop, for processes that carry events."""
    import uvloop

    return _run(uvloop.run, work)


def _run(runner: Callable[[Coroutine[object, None, T]], T], work: Coroutine[object, None, T]) -> T:
    try:
        return runner(work)
    except BaseExceptionGroup as group:
        raise first_error(group) from group
    except KeyboardInterrupt:  # typer would make it an exit code of 1
        output.note("interrupted")
        raise typer.Exit(Exit.INTERRUPTED) from None


def show_warnings() -> None:
    """What is not quite right with the settings is a remark; what Python itself warns of keeps its form."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        # By name: pydantic needn't be there for --help.
        if category.__name__ == "SettingsWarning":
            output.note(f"warning: {message}")
        elif not output.is_quiet():
            telemetry.remark(warnings.formatwarning(message, category, filename, lineno, line).rstrip())

    warnings.showwarning = show


def hide_proxies() -> None:
    """Libraries take a proxy of the environment with its user and password, and quote it where it fails."""
    for name, value in os.environ.items():
        if name.lower().endswith("_proxy") and value:
            redaction.know_address(value if "://" in value else f"http://{value}")


def report(error: BaseException) -> int:
    """Print an error to stderr the way operators get it, and return the exit code."""
    error = first_error(error)
    if isinstance(error, BrokenPipeError) and output.nobody_reads():  # `| head` has had enough
        output.drop_unwritten(sys.stdout)
        return Exit.UNREAD
    if isinstance(error, MigctlError):
        output.error(error.what, error.do)
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
        output.note("interrupted")
        return Exit.INTERRUPTED
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        place = f"{error.filename}: " if error.filename else ""
        output.error(f"{place}there is no room to write: {error.strerror}", "make room, then run it again")
        output.drop_unwritten(sys.stdout)
        return Transient.exit_code
    trace = "".join(traceback.format_exception(error))
    where = _keep_trace(trace)
    output.error(f"an error of ours: {type(error).__name__}: {error}", f"please report it with {where}")
    return Exit.OURS


def _keep_trace(trace: str) -> str:
    from migctl.config.files import check_state_folder, make_private_folder, open_private_log

    folder = Path(os.environ.get("MIGCTL_STATE_DIR") or ".migctl")
    path = folder / "error.log"
    try:
        make_private_folder(folder)
        check_state_folder(folder)
        with open_private_log(path) as file:
            file.write(shown(redaction.redact(f"$ {' '.join(sys.argv)}\n{trace}\n")).encode())
    except (OSError, MigctlError):
        telemetry.remark(trace)
        return "the trace above"
    return str(path)
