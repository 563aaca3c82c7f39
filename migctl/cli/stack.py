"""migctl stack: the embedded stack of the state folder: up, down, its parts, its logs, its keys for a shell, its faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, output, quantities
from migctl.errors import Refused, Transient, Usage
from migctl.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from migctl.config import Settings
    from migctl.stack.detached import Status

_OF_A_KIND = (
    *("SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_JWT_SECRET"),
    *("SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_SIGNING_KEY"),
)

PartArgument = Annotated[
    Literal["postgres", "valkey", "standin"],
    typer.Argument(help="postgres, valkey or standin.", metavar="PART"),
]

app = typer.Typer(
    help="The embedded stack for development, drills and CI: PostgreSQL, Valkey and a stand-in for Supabase.",
    no_args_is_help=True,
)


@app.command(short_help="Bring the stack up and leave it up.")
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
    keys: Annotated[
        Literal["old", "new"] | None,
        typer.Option(
            help="Which keys it shows. old: anon and service_role, and the secret that signs tokens; new: publishable and secret, "
            "and a signing key. Kept until it is said otherwise; at first old.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Bring the stack up and leave it up; a part that has died is started again, one that was stopped is not.

    Ports: the first free from 54321.

    The stand-in exposes the schema of the settings (supabase.schema) beside public, and runs anew where it did not yet. Keys of
    the other kind are made beside those that are there, which stay good; a stack that began with new ones has no JWT secret at all.

    \b
    migctl stack up
    migctl stack up --rates pro --keys new
    """
    from migctl import stack

    settings = _settings(config)
    if settings.supabase.url and not embedded:
        raise Refused(
            f"the target is {settings.supabase.url}, so no command would use an embedded stack",
            do="unset SUPABASE_URL (or supabase.url in migctl.yaml), or say --embedded to start one all the same",
        )
    outcome = stack.bring_up(settings.state, schemas=[settings.supabase.schema_], rates=rates, keys=keys)
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
    """Stop the stack. Its data, keys and ports are kept for the next `up`.

    \b
    migctl stack down
    """
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


@app.command(short_help="Stop one part, which stays down.")
def stop(
    part: PartArgument, config: context.ConfigOption = None, output_format: context.OutputOption = "text"
) -> None:
    """Stop one part: it stays down until `migctl stack start PART`, whatever command needs it, or until the whole stack starts.

    It ends as it does with `down`: nothing is lost, and its port and data are kept.

    \b
    migctl stack stop standin
    """
    from migctl import stack

    settings = _settings(config)
    done = stack.stop_part(settings.state, part)
    _changed(settings, output_format, f"{part} {'is stopped' if done else 'was stopped already'}")


@app.command(short_help="Start one part that is down.")
def start(
    part: PartArgument, config: context.ConfigOption = None, output_format: context.OutputOption = "text"
) -> None:
    """Start one part that was stopped or has died, on its port and with its data. The others stay as they are.

    \b
    migctl stack start standin
    """
    from migctl import stack

    settings = _settings(config)
    done = stack.start_part(settings.state, part)
    _changed(settings, output_format, f"{part} {'is up' if done else 'was up already'}")


def _changed(settings: Settings, output_format: context.OutputFormat, what: str) -> None:
    if output_format == "json":
        output.document(_document(settings))
    else:
        output.note(f"{what}, in the embedded stack in {settings.state}")
        _table(settings)


@app.command(short_help="Which parts run, and which were stopped.")
def status(config: context.ConfigOption = None, output_format: context.OutputOption = "text") -> None:
    """Say what runs and what was stopped, and with --output json addresses and keys too.

    Exit code 0 when all parts are up, 1 when not.

    \b
    migctl stack status
    """
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
        raise typer.Exit(Exit.WANTING)


@app.command()
def logs(
    part: Annotated[
        Literal["postgres", "valkey", "standin", "supervisor"] | None,
        typer.Argument(help="postgres, valkey, standin or supervisor; default: all.", show_default=False),
    ] = None,
    config: context.ConfigOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until ^C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The last lines of each part.")] = 20,
    output_format: context.OutputOption = "text",
) -> None:
    """Show what the parts have written, up or down. With --output json: a line {"part", "line"} for each.

    \b
    migctl stack logs standin --follow
    """

    from migctl.stack import logs as written

    state = _settings(config).state
    sources = [part] if part is not None else list(written.SOURCES)
    if not follow and not any(written.path(state, source).exists() for source in sources):
        output.note(f"nothing was written in {state} yet; `migctl stack up` starts the stack")
    found = (
        written.follow(state, sources, lines)
        if follow
        else ((source, line) for source in sources for line in written.last(state, source, lines))
    )
    try:
        for source, line in found:
            if output_format == "json":
                output.line({"part": source, "line": line})
            else:
                output.plain(line if part is not None else f"{source:<10} {line}")
    except KeyboardInterrupt:  # how following ends
        raise typer.Exit(Exit.INTERRUPTED) from None


@app.command(short_help="Addresses and keys, to be evaluated by a shell.")
def env(config: context.ConfigOption = None, output_format: context.OutputOption = "text") -> None:
    """Print the stack's addresses and keys for a shell: eval "$(migctl stack env)". Starts the stack where it is down.

    For other programs: with these set, migctl takes the stack for a hosted project, and asks before it changes it.

    \b
    migctl stack env
    """
    import shlex

    from migctl import stack

    settings = _settings(config)
    target = stack.status(settings.state).target
    if target is None and settings.supabase.url:
        raise Refused(
            f"the embedded stack in {settings.state} is down, and the target is {settings.supabase.url}",
            do="migctl stack up --embedded, or unset SUPABASE_URL",
        )
    if target is None:
        outcome = stack.bring_up(settings.state, schemas=[settings.supabase.schema_])
        target = outcome.target
        output.note(outcome.words or "the embedded stack is up")
    values = target.variables()
    if output_format == "json":
        output.document(values)
        return
    # What a shell still has of the other kind would count before these.
    output.plain(f"unset {' '.join(name for name in _OF_A_KIND if name not in values)}")
    for name, value in values.items():
        output.plain(f"export {name}={shlex.quote(value)}")


@app.command(short_help="Let the stand-in lose events in silence.")
def fault(
    name: Annotated[
        str | None, typer.Argument(help="Which; --list explains each.", show_default=False)
    ] = None,
    config: context.ConfigOption = None,
    listed: Annotated[bool, typer.Option("--list", help="Explain each fault, and say which are on.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Switch NAME off, or all.")] = False,
    for_s: Annotated[
        float | None,
        typer.Option(
            "--for",
            metavar="TIME",
            parser=quantities.seconds(),
            help="For this long. Without: until --clear, or, where a fault is a single blow, once.",
            show_default=False,
        ),
    ] = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Switch on a way in which Realtime loses events in silence, on the embedded stack. Subscribers are struck, senders not.

    \b
    migctl stack fault --list
    """
    import msgspec

    from migctl import stack
    from migctl.faults import switches

    settings = _settings(config)
    asked = sum((listed, clear, name is not None and not clear))
    if asked != 1 or (for_s is not None and (name is None or clear)):
        raise Usage(
            "one thing at a time: NAME, --list or --clear; --for goes with NAME",
            do="migctl stack fault --list",
        )
    target = stack.status(settings.state).target
    if target is None and not listed:
        raise Transient(f"the embedded stack in {settings.state} is down", do="migctl stack up")
    if target is None:
        found = switches.off()
    elif listed:
        found = switches.switched(target)
    elif clear:
        found = switches.clear(target, name)
        output.note(f"{name or 'every fault'} is off at {target.supabase_url}")
    else:
        assert name is not None
        found = switches.switch_on(target, name, for_s=for_s)
        on = next(each for each in found if each.name == name)
        how = f"for {for_s:g} s" if for_s is not None else "until --clear" if on.on else "once"
        output.note(f"{name} at {target.supabase_url}, {how}: {on.what}")
    if output_format == "json":
        output.document({"schema": "migctl.faults/1", "faults": msgspec.to_builtins(found)})
    elif listed:
        output.table(
            ("fault", "now", "what is lost, and how"),
            [(each.name, "on" if each.on else "off", each.what) for each in found],
        )


def _settings(config: Path | None) -> Settings:
    from migctl.config import load

    return load(file=config)


def _document(settings: Settings) -> dict[str, object]:
    from migctl import stack

    found = stack.status(settings.state)
    target = found.target
    names = (
        *("supabase_url", "anon_key", "service_role_key", "jwt_secret", "signing_key"),
        *("database_url", "redis_url"),
    )
    return {
        "schema": "migctl.stack/1",
        "state": _word(found),
        **{name: getattr(target, name) if target is not None else None for name in names},
        "supervisor_pid": found.supervisor_pid,
        "parts": {
            part.part: {
                "state": _part_word(found, part.part, up=part.up),
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


def _open_part(url: str) -> str:
    """An address without user and password: screens are shared."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.hostname}:{parts.port}").geturl()


def _word(found: Status) -> str:
    if found.target is None:
        return "down"
    return "up" if found.up else "degraded"


def _part_word(found: Status, part: str, *, up: bool) -> str:
    return "stopped" if part in found.stopped else "up" if up else "down"


def _table(settings: Settings) -> None:
    from migctl import stack

    found = stack.status(settings.state)
    if found.target is None:
        output.note(f"the embedded stack in {settings.state} is down; `migctl stack up` starts it")
        return
    addresses = {
        "postgres": _open_part(found.target.need("database_url")),
        "valkey": _open_part(found.target.need("redis_url")),
        "standin": found.target.supabase_url,
    }
    output.table(
        ("part", "state", "address"),
        [(part.part, _part_word(found, part.part, up=part.up), addresses[part.part]) for part in found.parts],
    )
    if found.note:
        output.note(found.note)
    if found.up:
        output.note("a stand-in for development, drills and CI; keys and passwords: migctl stack env")
    for part in found.stopped:
        output.note(f"{part} was stopped, and stays so until `migctl stack start {part}`")
    if any(not part.up and part.part not in found.stopped for part in found.parts):
        output.note("`migctl stack up` starts what is down")
