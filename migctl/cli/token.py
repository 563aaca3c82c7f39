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
    parted by commas) or to the file that MIGCTL_TOKENS_FILE names (a line each). `serve` reads them when it starts, and the file
    whenever it changes.

    \b
    migctl token mint --purpose ingest --name billing
    """
    from migctl.server.access.tokens import mint_token

    text, token = mint_token(purpose, name)
    if output_format == "json":
        output.document({"schema": "migctl.token/1", "token": text, "entry": token.entry})
        return
    output.plain(f"token  {text}")
    output.plain(f"entry  {token.entry}")
    output.note("the token is shown only here; send it as `Authorization: Bearer TOKEN`")
    output.note("add the entry to the file of MIGCTL_TOKENS_FILE; or to MIGCTL_TOKENS, and start serve again")


@app.command("list", short_help="Who has a token of the running `serve`.")
def list_(config: context.ConfigOption = None, output_format: context.OutputOption = "text") -> None:
    """Say who has a token of the running `serve` of this state folder, and how many sockets are open with it.

    \b
    migctl token list
    """
    import msgspec

    from migctl.config import load
    from migctl.runtime.tokens import tokens_of

    found = context.run(tokens_of(load(file=config).state))
    if output_format == "json":
        output.document(msgspec.to_builtins(found))
        return
    if not found.tokens:
        output.note("this serve asks nobody for a token: MIGCTL_TOKENS is not set")
        return
    output.table(
        ["PURPOSE", ("NAME", "whole"), ("HASH", "whole"), ("SOCKETS", "right"), "STATE"],
        [
            [one.purpose, one.name, one.hash, str(one.subscribers), "revoked" if one.revoked else "good"]
            for one in found.tokens
        ],
    )


@app.command(short_help="Take back the tokens of a name, at once.")
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose: as `migctl token list` says.")],
    purpose: Annotated[
        Literal["ingest", "subscribe", "evaluate", "admin"] | None,
        typer.Option(
            "--purpose", help="That of this purpose alone. Default: all of the name.", show_default=False
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="WHY", help="For the history.", show_default=False)
    ] = "",
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Take back the tokens of a name, at once: the running `serve` lets nobody in by them, and closes their sockets.

    They stay revoked over a restart, also where MIGCTL_TOKENS still has them; take them out of it when you can. Another
    token of the same name is another one. Who, when and why are kept: `migctl ctl history`.

    \b
    migctl token revoke billing --reason "it leaked"
    """
    import msgspec

    from migctl.config import load
    from migctl.config.person import operator
    from migctl.runtime.tokens import revoke_of
    from migctl.server.routes.tokens import RevokeToken

    asked = RevokeToken(name=name, by=operator(), purpose=purpose, reason=reason)
    done = context.run(revoke_of(load(file=config).state, asked))
    if output_format == "json":
        output.document(msgspec.to_builtins(done))
        return
    for one in done.revoked:
        output.plain(f"revoked: {one.name}, purpose {one.purpose}, hash {one.hash}")
    if done.closed:
        output.plain(f"{done.closed} {'socket was' if done.closed == 1 else 'sockets were'} closed")
    if done.unkept:
        output.note(done.unkept)
