"""`migctl token`: tokens for those who speak to `serve`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from migctl.cli import context, output

app = typer.Typer(help="Tokens for those who speak to `serve`.", no_args_is_help=True)

PURPOSE_HELP = (
    "ingest (POST /events), subscribe (/ws?v=2, GET /events, /api/transport, /metrics, /api/status), "
    "evaluate (flags), or admin (/metrics, /api/status, and what changes something)."
)


@app.command()
def mint(
    purpose: Annotated[
        Literal["ingest", "subscribe", "evaluate", "admin"], typer.Option("--purpose", help=PURPOSE_HELP)
    ],
    name: Annotated[str, typer.Option("--name", help="Who has it: shown in logs, and what limits count by.")],
    output_format: context.OutputOption = "text",
) -> None:
    """Print a new token, once, and the entry that makes `serve` know it.

    Nothing is stored: the entry holds the token's hash. Give the token to its owner, and the entry to MIGCTL_TOKENS (entries are
    parted by commas) or to the file that MIGCTL_TOKENS_FILE names (a line each). `serve` reads them when it starts.
    """
    from migctl.server.access.tokens import mint_token

    text, token = mint_token(purpose, name)
    if output_format == "json":
        output.document({"schema": "migctl.token/1", "token": text, "entry": token.entry})
        return
    output.plain(f"token  {text}")
    output.plain(f"entry  {token.entry}")
    output.note("the token is shown only here; send it as `Authorization: Bearer TOKEN`")
    output.note("add the entry to MIGCTL_TOKENS, or to the file of MIGCTL_TOKENS_FILE, and start serve again")
