"""`migctl flags`: who has what, and changing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, flags_edit, flags_experiment, flags_processes, output

if TYPE_CHECKING:
    from pathlib import Path

    from migctl.flags.definitions import Flag
    from migctl.flags.record import Audited
    from migctl.flags.snapshot import Brake
    from migctl.runtime.flagging import Shown

app = typer.Typer(help="Flags: who has which transport, and other variants.", no_args_is_help=True)


@app.command("list", short_help="Every flag with state, variants and share.")
def list_(config: context.ConfigOption = None, output_format: context.OutputOption = "text") -> None:
    """Every flag with its state, its variants and its share, and the brakes in force.

    \b
    migctl flags list
    """
    from migctl.flags import editing

    found = _read(config)
    if output_format == "json":
        flags = [_document(found, flag) for flag in found.flag_set.flags.values()]
        output.document(
            {**_head("list", found), "flags": flags, "brakes": [_brake(one) for one in found.brakes]}
        )
        return
    _print_where(found)
    if not found.flag_set.flags:
        output.note("no flags yet: `migctl flags import configs/flags/transport.yaml` makes the first")
        return
    output.table(
        ["FLAG", "STATE", "VARIANTS", "DEFAULT", "SHARE"],
        [
            [
                flag.key,
                flag.state,
                ", ".join(flag.variants),
                flag.default or "(the code's)",
                editing.rule_in_words(flag),
            ]
            for flag in found.flag_set.flags.values()
        ],
    )
    _print_brakes(found)


@app.command(short_help="One flag as it is written, and what is in force.")
def show(
    key: Annotated[str, typer.Argument(help="The flag.")],
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """One flag as it is written, what of it is in force, since when, and what users of a sticky experiment keep.

    \b
    migctl flags show transport
    """
    from migctl.config import load
    from migctl.flags import editing
    from migctl.runtime.experiments import kept_counts

    found = _read(config)
    flag = _flag(found, key)
    kept = kept_counts(load(file=config), key)
    if output_format == "json":
        of = [_brake(one) for one in found.brakes if one.flag == key]
        document = {"flag": _document(found, flag), "brakes": of, "kept": kept}
        output.document({**_head("show", found), **document})
        return
    _print_where(found)
    row = found.snapshot.rows[0]
    output.plain(editing.as_yaml(editing.only(found.flag_set, key)).rstrip())
    output.note(f"n {row.n}, written by {row.by} at {row.at}: {row.reason or 'no reason'}")
    for variant, count in (kept or {}).items():
        output.note(f"sticky: {count:,} users keep {variant}, in this state folder")
    _print_brakes(found)


@app.command("eval", short_help="What a user has, why, and who said so.")
def evaluate(
    key: Annotated[str, typer.Argument(help="The flag.")],
    user: Annotated[str, typer.Option("--user", help="The targeting key.")],
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute",
            metavar="NAME=VALUE",
            help="What else is known of them; numbers and true are read as such.",
        ),
    ] = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """What this user has, why, and which place of flags said so: environment, record, redis, disk or file.

    Brakes count, what this state folder keeps of a sticky experiment, and MIGCTL_FLAG_<KEY> in this environment. Exit code 1 where
    the flag can't be evaluated.

    \b
    migctl flags eval transport --user ann --attribute plan=pro
    """
    from migctl.clock import now
    from migctl.config import load
    from migctl.errors import Wanting
    from migctl.flags.evaluator import context_of
    from migctl.runtime.experiments import kept_of

    found = _read(config)
    given = dict(_attribute(each) for each in attribute or [])
    asked = context_of(user, given, flag_key=key, timestamp=int(now().timestamp()))
    assignments = found.assignments()
    kept = kept_of(load(file=config))(assignments, key, asked)
    evaluated = assignments.evaluate(key, asked, kept)
    tier = "environment" if evaluated.reason == "OVERRIDE" else found.tier
    answer = {
        "flag": key, "user": user, "variant": evaluated.variant, "value": evaluated.value, "reason": evaluated.reason, "tier": tier,
        "n": found.snapshot.n, "error": evaluated.details,
    }  # fmt: skip
    if output_format == "json":
        output.document({**_head("eval", found), **answer})
    elif evaluated.reason != "ERROR":
        _print_where(found)
        variant = evaluated.variant if evaluated.variant is not None else "(the code's own default)"
        output.plain(f"{key} for {user}: {variant}, {evaluated.reason}, by {tier}, n {found.snapshot.n}")
    if evaluated.reason == "ERROR":
        raise Wanting(f"{key} for {user}: {evaluated.details}", do="see `migctl flags list`")


@app.command()
def export(
    form: Annotated[
        Literal["flagd", "yaml"],
        typer.Option(
            "--format",
            help="flagd: JSON that flagd and its clients read. yaml: the same, to edit and import.",
        ),
    ] = "flagd",
    config: context.ConfigOption = None,
) -> None:
    """The flag set as it is written. Brakes are not in it: another evaluator would not know that they cap it.

    \b
    migctl flags export --format yaml
    """
    from migctl.flags import editing

    found = _read(config)
    if found.away is not None or found.brakes:
        _print_where(found)
        _print_brakes(found)
    if form == "flagd":
        output.document(found.flag_set.document())
    else:
        output.plain(editing.as_yaml(found.flag_set).rstrip())


@app.command(short_help="Who changed what, when and why.")
def history(
    key: Annotated[
        str | None, typer.Argument(help="Only what changed this flag.", show_default=False)
    ] = None,
    limit: context.LimitOption = 20,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Who changed what, when and why, with the share of the flag `transport` before and after.

    \b
    migctl flags history transport --limit 5
    """
    from migctl.config import load
    from migctl.flags.changelog import entry_of
    from migctl.runtime.flagging import desk
    from migctl.runtime.flags import TRANSPORT

    settings = load(file=config)

    async def work() -> tuple[str, list[Audited]]:
        async with desk(settings, output.note) as at:
            return at.target.name, await at.history(limit, key)

    where, audited = context.run(work())
    entries = [entry_of(one, TRANSPORT) for one in audited]
    if output_format == "json":
        import msgspec

        output.document(
            {"schema": "migctl.flags.history/1", "target": where, "entries": msgspec.to_builtins(entries)}
        )
        return
    output.note(where)
    output.table(
        [("WHEN", "whole"), "WHO", "WHAT", "FLAGS", "SHARE", "WHY"],
        [
            [
                one.at[:19].replace("T", " "),
                one.actor,
                one.action,
                ", ".join(one.parts),
                one.after if one.before == one.after else f"{one.before} -> {one.after}",
                one.reason,
            ]
            for one in entries
        ],
    )


app.command("set")(flags_edit.set_)
app.command("enable")(flags_edit.enable)
app.command("disable", short_help="Give everybody what the code does without it.")(flags_edit.disable)
app.command("assign", short_help="Give a user a transport, or a segment a share.")(flags_edit.assign)
app.command("import", short_help="Define flags or segments as a file does.")(flags_edit.import_)
app.command("processes", short_help="Every process that a change waits for.")(flags_processes.processes)
app.add_typer(flags_experiment.app, name="experiment")


def _read(config: Path | None) -> Shown:
    from migctl.config import load
    from migctl.runtime import flagging

    return context.run(flagging.read(load(file=config), output.note))


def _flag(found: Shown, key: str) -> Flag:
    from migctl.errors import Usage
    from migctl.flags.definitions import Invalid
    from migctl.flags.editing import flag_of

    try:
        return flag_of(found.flag_set, key)
    except Invalid as error:
        raise Usage(f"{key}: {error.what}", do=error.do) from None


def _attribute(text: str) -> tuple[str, object]:
    from migctl.config.yamlfile import value_of
    from migctl.errors import Usage

    name, sign, value = text.partition("=")
    if not sign or not name:
        raise Usage(f"--attribute {text}: no name, or no value", do="write --attribute NAME=VALUE")
    try:
        return name, value_of(value)
    except ValueError:
        return name, value


def _head(kind: str, found: Shown) -> dict[str, object]:
    return {
        "schema": f"migctl.flags.{kind}/1",
        "target": found.where,
        "tier": found.tier,
        "n": found.snapshot.n,
        "away": found.away.what if found.away is not None else None,
    }


def _document(found: Shown, flag: Flag) -> dict[str, object]:
    from migctl.flags import editing

    return {"key": flag.key, **flag.document(), "share": editing.rule_in_words(flag)}


def _brake(brake: Brake) -> object:
    import msgspec

    return msgspec.to_builtins(brake)


def _print_where(found: Shown) -> None:
    output.note(found.where)
    if found.away is not None:
        output.note(
            f"the record can't say it ({found.away.what}); this is from {found.tier}, n {found.snapshot.n}"
        )


def _print_brakes(found: Shown) -> None:
    from migctl.flags.authoring import in_words

    for brake in found.brakes:
        output.note(in_words(brake))
