"""The command line: a thin face on the library. Parse, call, print.

Group modules import only typer at their top, and what they need inside a command: `--help` must be quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from migctl.cli import capture, context, demo, journal, replay, schema, serve, stack, status, token, validate

app = typer.Typer(
    name="migctl",
    help="Move a live event stream from your own WebSocket to Supabase Realtime while it runs, and prove that nothing was lost.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from migctl import __version__

        typer.echo(f"migctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


app.command("capture")(capture.capture)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("replay")(replay.replay)
app.command("status")(status.status)
app.add_typer(token.app, name="token")
app.add_typer(journal.app, name="journal")
app.add_typer(stack.app, name="stack")
app.add_typer(schema.app, name="schema")
app.add_typer(validate.app, name="validate")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code. The console script and `python -m migctl` end here."""
    try:
        app(args=argv, prog_name="migctl")
    except SystemExit as leave:  # typer has told usage errors by then: 2
        return leave.code if isinstance(leave.code, int) else 0
    except BaseException as error:  # noqa: BLE001 - the edge of the program: everything ends as a message and an exit code
        return context.tell(error)
    return 0
