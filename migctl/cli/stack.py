"""migctl stack: the embedded stack of the state folder, up, down, and what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from migctl.cli import context, output
from migctl.errors import Refused

if TYPE_CHECKING:
    from migctl.config import Settings

app = typer.Typer(
    help="The embedded stack for development, drills and CI: PostgreSQL, Valkey and a stand-in for Supabase.",
    no_args_is_help=True,
)


@app.command()
def up(
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Start it although SUPABASE_URL names another target.")
    ] = False,
    rates: Annotated[
        Literal["no-cap", "off", "pro", "free", "self-hosted"] | None,
        typer.Option(
            help="Whose rate limits the stand-in keeps: no-cap is 2,500 messages a second, off is none. Kept until it is "
            "said otherwise; at first no-cap.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Bring the stack up and leave it up; a part that is down is started again. Ports: the first free from 54321.

    The stand-in exposes the schema of the settings (supabase.schema) beside public, and runs anew where it did not yet.
    """
    from migctl import stack

    settings = _settings(config)
    if settings.supabase.url and not embedded:
        raise Refused(
            f"the target is {settings.supabase.url}, so no command would use an embedded stack",
            do="unset SUPABASE_URL (or supabase.url in migctl.yaml), or say --embedded to start one all the same",
        )
    outcome = stack.bring_up(settings.state, schemas=[settings.supabase.schema_], rates=rates)
    if output_format == "json":
        output.document(_document(settings))
        return
    if outcome.started:
        output.note("the embedded stack is up")
    else:
        output.note(outcome.words or "the embedded stack was up already")
    _table(settings)


@app.command()
def down(config: context.ConfigOption = None, output_format: context.OutputOption = "text") -> None:
    """Stop the stack. Its data, keys and ports are kept for the next `up`."""
    from migctl import stack

    settings = _settings(config)
    was_up = stack.down(settings.state)
    if output_format == "json":
        output.document({"schema": "migctl.stack/1", "state": "down", "was_up": was_up})
    else:
        output.note(
            f"the embedded stack in {settings.state} is down"
            + ("; data, keys and ports are kept" if was_up else " already")
        )


@app.command()
def status(config: context.ConfigOption = None, output_format: context.OutputOption = "text") -> None:
    """Say what runs, and with --output json addresses and keys too. Exit code 0 when all parts are up, 1 when not."""
    from migctl import stack

    settings = _settings(config)
    if settings.supabase.url:
        output.note(
            f"other commands work on {settings.supabase.url} (SUPABASE_URL); this is about the embedded stack in {settings.state}"
        )
    found = stack.status(settings.state)
    if output_format == "json":
        output.document(_document(settings))
    else:
        _table(settings)
    if not found.up:
        raise typer.Exit(1)


def _settings(config: Any) -> Settings:
    from migctl.config import load

    return load(file=config)


def _document(settings: Settings) -> dict[str, Any]:
    from migctl import stack

    found = stack.status(settings.state)
    target = found.target
    names = ("supabase_url", "anon_key", "service_role_key", "jwt_secret", "database_url", "redis_url")
    return {
        "schema": "migctl.stack/1",
        "state": _word(found),
        **{name: getattr(target, name) if target is not None else None for name in names},
        "supervisor_pid": found.supervisor_pid,
        "parts": {
            part.part: {
                "state": "up" if part.up else "down",
                "pid": part.process.pid if part.process is not None and part.up else None,
                "port": part.port,
            }
            for part in found.parts
        },
        "schemas": list(found.standin.schemas) if found.standin is not None else None,
        "rates": found.standin.rates if found.standin is not None else None,
        "note": found.note,
        "folder": str(settings.state.absolute()),
    }


def _word(found: Any) -> str:
    if found.target is None:
        return "down"
    return "up" if found.up else "degraded"


def _table(settings: Settings) -> None:
    from migctl import stack

    found = stack.status(settings.state)
    if found.target is None:
        output.note(f"the embedded stack in {settings.state} is down; `migctl stack up` starts it")
        return
    addresses = {
        "postgres": found.target.database_url,
        "valkey": found.target.redis_url,
        "standin": found.target.supabase_url,
    }
    output.table(
        ("part", "state", "address"),
        [(part.part, "up" if part.up else "down", addresses[part.part]) for part in found.parts],
    )
    if found.note:
        output.note(found.note)
    if found.up:
        output.note("a stand-in for development, drills and CI; keys: migctl stack status --output json")
    else:
        output.note("`migctl stack up` starts what is down")
