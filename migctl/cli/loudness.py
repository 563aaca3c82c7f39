"""`-q` and `-v`: how much of what goes on is on stderr. Of every command, before its words or after them.

| given | remarks and progress | log |
|---|---|---|
| `-q` | none | from error on |
| nothing | as they are | the command's own, where it has one |
| `-v` | as they are | from info on |
| `-vv` | as they are | from debug on |

A command's `--log-level` wins. Errors and questions always come, and stdout is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperOption

from migctl.cli import output
from migctl.errors import Usage

if TYPE_CHECKING:
    from migctl.telemetry.logs import Level

_verbose = 0


def reset() -> None:
    """As it is where nothing is given: one process may run several commands."""
    global _verbose  # noqa: PLW0603 - one command runs at a time
    _verbose = 0
    output.be_quiet(False)


def level(own: Level | None = None) -> Level | None:
    """Of the log. own: the command's `--log-level`. None where nothing was given."""
    if own is not None:
        return own
    if output.is_quiet():
        return "error"
    return ("debug" if _verbose > 1 else "info") if _verbose else None


def _quiet(wanted: bool) -> None:
    if wanted:
        output.be_quiet(True)
        _check()


def _more(count: int) -> None:
    global _verbose  # noqa: PLW0603
    _verbose += count
    wanted = level()
    if count:
        _check()
        if wanted is not None:
            from migctl import telemetry

            telemetry.configure(level=wanted, pretty=output.stderr_is_terminal())


def _check() -> None:
    if _verbose and output.is_quiet():
        raise Usage("--quiet and --verbose say the opposite", do="leave one of them out")


def _declared(
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", callback=_quiet, expose_value=False, help="Nothing on stderr but errors."
        ),
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            callback=_more,
            expose_value=False,
            show_default=False,
            metavar="",
            help="The log on stderr, from info on; -vv: from debug on.",
        ),
    ] = 0,
) -> None: ...


def allow(group: Any) -> None:
    """Let the group, and all below it, take both. Their help is the group's."""
    group.params += _options()
    _allow_below(group)


def _allow_below(group: Any) -> None:
    for command in group.commands.values():
        options = _options()
        for option in options:
            option.hidden = True
        command.params += options
        if hasattr(command, "commands"):
            _allow_below(command)


def _options() -> list[TyperOption]:
    app = typer.Typer(add_completion=False)
    app.command()(_declared)
    return [option for option in typer.main.get_command(app).params if isinstance(option, TyperOption)]
