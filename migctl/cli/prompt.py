"""Asking before something is changed. On a terminal a question; elsewhere `--yes`, or a refusal (exit 4)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from migctl.errors import Refused
from migctl.printable import shown

if TYPE_CHECKING:
    from migctl.config import Target

T = TypeVar("T")


def confirm(question: str, *, yes: bool, target: Target, always: bool = False) -> None:
    """Go on, or raise Refused. The question names the target and the database.

    On the embedded stack nothing is asked unless `always`.
    """
    where = f"{target.name}, database {target.database_name}"
    confirm_at(question, where, yes=yes or (target.embedded and not always))


def confirm_at(question: str, where: str, *, yes: bool) -> None:
    """Go on, or raise Refused. where: the target, as the question and the refusal name it."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(
            f"{where}: not confirmed, and there is no terminal to ask on",
            do="add --yes if this is the target you mean",
        )
    if not _answer(lambda: typer.confirm(shown(f"{question}\n  on {where}?"), default=False, err=True)):
        raise Refused(f"{where}: declined, nothing was changed", do="run it again when you are sure")


def confirm_name(question: str, name: str, *, given: str | None, target: Target) -> None:
    """For what can't be taken back: the operator types `name`, or gave it on the command line. Else Refused."""
    where = f"{target.name}, database {target.database_name}"
    if given is None and sys.stdin.isatty():
        given = ask_name(f"{question}\n  on {where}. Type {name} to go on")
    if given is None:
        raise Refused(
            f"{where}: {question}: not confirmed", do=f"add --confirm {name} if this is what you mean"
        )
    if given != name:
        raise Refused(f"{where}: {given!r} is not {name}, nothing was changed", do=f"type {name} exactly")


def ask_name(question: str) -> str:
    """What is typed; empty where the terminal is gone. Raises KeyboardInterrupt at Ctrl-C."""
    return _answer(lambda: typer.prompt(shown(question), default="", show_default=False, err=True)) or ""


def _answer(ask: Callable[[], T]) -> T | None:
    """None where the input ended."""
    try:
        return ask()
    except typer.Abort as error:  # of both, and it hides which
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        return None
