"""The command line: a thin face on the library. Parse, call, print.

Group modules import only typer at their top, and what they need inside a command: `--help` must be quick.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from migctl.cli import (
    capture,
    clients,
    config,
    context,
    ctl,
    dashboard,
    deadletter,
    demo,
    drill,
    flags,
    journal,
    map,
    output,
    rejected,
    replay,
    rollout,
    schema,
    serve,
    stack,
    status,
    tail,
    token,
    top,
    validate,
)

# In the order of the way: try it, set up, run, prove, look after.
_ORDER = (
    "demo",
    "stack",
    "schema",
    "config",
    "map",
    "serve",
    "status",
    "top",
    "ctl",
    "clients",
    "tail",
    "rollout",
    "flags",
    "rejected",
    "deadletter",
    "capture",
    "replay",
    "validate",
    "drill",
    "journal",
    "token",
    "dashboard",
)


class _Way(TyperGroup):
    """The commands in the order in which an operator meets them, not in that of their registration."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=_ORDER.index)


app = typer.Typer(
    name="migctl",
    cls=_Way,
    help="Move a live event stream from your own WebSocket to Supabase Realtime while it runs, and prove that nothing was lost.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from migctl import __version__

        output.plain(f"migctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


app.command("demo", short_help="The whole job once, on a stack of its own.")(demo.demo)
app.add_typer(config.app, name="config", short_help="Settings and stages: checked, and shown as they hold.")
app.add_typer(map.app, name="map", short_help="How foreign messages become events, before they do.")
app.command("serve", short_help="Take events, keep them, publish them.")(serve.serve)
app.command("status", short_help="What a running serve does.")(status.status)
app.command("top", short_help="The migration live, with keys to stop it.")(top.top)
app.add_typer(ctl.app, name="ctl", short_help="Steer a running serve: settings, and a throttle.")
app.command("clients", short_help="Who is subscribed, and to which transport.")(clients.clients)
app.command("tail", short_help="Events as they come, a line each.")(tail.tail)
app.add_typer(
    rollout.app, name="rollout", short_help="How many users have Realtime: up step by step, down at once."
)
app.add_typer(flags.app, name="flags", short_help="Who has which transport, and other variants.")
app.add_typer(rejected.app, name="rejected", short_help="What a source brought and did not fit.")
app.add_typer(deadletter.app, name="deadletter", short_help="Events that the table refused.")
app.command("capture", short_help="Record what a subscriber really receives.")(capture.capture)
app.command("replay", short_help="Recorded events through both transports.")(replay.replay)
app.add_typer(stack.app, name="stack", short_help="The embedded stack: up, down, status, logs.")
app.add_typer(schema.app, name="schema", short_help="The target's tables: plan, apply, verify.")
app.add_typer(validate.app, name="validate", short_help="Compare captures with the journal.")
app.add_typer(
    drill.app, name="drill", short_help="Failures rehearsed, and measured by what subscribers received."
)
app.add_typer(journal.app, name="journal", short_help="The durable file behind it all.")
app.add_typer(token.app, name="token", short_help="Tokens for those who speak to serve.")
app.add_typer(dashboard.app, name="dashboard", short_help="The page of serve: fetch its chart library.")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code. The console script and `python -m migctl` end here."""
    context.show_warnings()
    context.hide_proxies()
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    streams = sys.stdout, sys.stderr
    try:
        app(args=words, prog_name="migctl")
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
        output.drop_unwritten()
    return 0
