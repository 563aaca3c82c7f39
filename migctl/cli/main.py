"""The command line: a thin face on the library. Parse, call, print.

Group modules import only typer at their top, and what they need inside a command: `--help` must be quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import dropwhile
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from migctl.cli import context, endings, loudness, output
from migctl.exits import Exit

# In the order of the way: try it, set up, run, prove, look after. Each has a module of its name: an `app` in it, or a function.
COMMANDS = {
    "demo": "The whole job once, on a stack of its own.",
    "stack": "The embedded stack: up, down, its parts, logs.",
    "schema": "The target's tables: plan, apply, verify.",
    "config": "Settings and stages: checked, and shown as they hold.",
    "map": "How foreign messages become events, before they do.",
    "serve": "Take events, keep them, publish them.",
    "status": "What a running serve does.",
    "top": "The migration live, with keys to stop it.",
    "ctl": "Steer a running serve: settings, and a throttle.",
    "sources": "Who feeds a running serve, and how much.",
    "subscribers": "Who reads from it, and how far behind.",
    "clients": "Who is or was subscribed, at every process.",
    "tail": "Events as they come, a line each.",
    "rollout": "How many users have Realtime: up step by step, down at once.",
    "flags": "Who has which transport, and other variants.",
    "rejected": "What a source brought and did not fit.",
    "deadletter": "Events that the table refused.",
    "capture": "Record what a subscriber really receives.",
    "replay": "Recorded events through both transports.",
    "validate": "Compare captures with the journal.",
    "drill": "Failures rehearsed, and measured by what subscribers received.",
    "journal": "The durable file behind it all.",
    "token": "Tokens for those who speak to serve.",
    "dashboard": "The page of serve: fetch its chart library.",
}

_LOUDNESS = {"-q", "--quiet", "-v", "-vv", "--verbose"}


class _Way(TyperGroup):
    """The commands in the order in which an operator meets them, not in that of their registration."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        endings.explain(self)
        loudness.allow(self)

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=list(COMMANDS).index)


def _version(wanted: bool) -> None:
    if wanted:
        from migctl import __version__

        output.plain(f"migctl {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


def build(words: Sequence[str] = ()) -> typer.Typer:
    """The command line. words: what was typed; where that begins with a command, only this one is imported and built."""
    app = typer.Typer(
        name="migctl",
        cls=_Way,
        help="Move a live event stream from your own WebSocket to Supabase Realtime while it runs, and prove that nothing was "
        "lost.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="`migctl help COMMAND` is `migctl COMMAND --help`; `migctl help exit-codes` says what the codes mean.",
    )
    app.callback()(root)
    named = list(dropwhile(_LOUDNESS.__contains__, words))[:1]
    for name in named if named and named[0] in COMMANDS else COMMANDS:
        module = import_module(f"migctl.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, short_help=COMMANDS[name])
        else:
            app.command(name, short_help=COMMANDS[name])(getattr(module, name))
    return app


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code. The console script and `python -m migctl` end here."""
    context.show_warnings()
    context.hide_proxies()
    words = sys.argv[1:] if argv is None else argv
    asked = list(dropwhile(_LOUDNESS.__contains__, words))
    if asked == ["help", "exit-codes"]:
        for code in Exit:
            output.plain(f"{code.value:>3}  {code.meaning}")
        return Exit.DONE
    if asked[:1] == ["help"]:
        words = [*asked[1:], "--help"]
    streams = sys.stdout, sys.stderr
    try:
        build(words)(args=words, prog_name="migctl")
    except SystemExit as leave:  # typer has told usage errors by then: 2
        if (
            sys.stdout is not streams[0]
        ):  # what typer does with every broken pipe, and then it exits with 1: a verdict of ours
            sys.stdout, sys.stderr = streams
            return context.report(leave.__context__ or leave)
        return leave.code if isinstance(leave.code, int) else 0
    except BaseException as error:  # noqa: BLE001 - the edge of the program: everything ends as a message and an exit code
        return context.report(error)
    finally:
        loudness.reset()
        output.drop_unwritten()
    return 0
