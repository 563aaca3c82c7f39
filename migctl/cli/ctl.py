"""`migctl ctl`: a running serve asked and steered: settings, and the relay's throttle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migctl.cli import context, output

if TYPE_CHECKING:
    from migctl.server.routes.ctl import SettingView, ThrottleChanged

app = typer.Typer(
    help="Ask and set what may change while serve runs, and hold the relay's writing.", no_args_is_help=True
)

_Reason = Annotated[str, typer.Option("--reason", metavar="WHY", help="For the history.", show_default=False)]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="As in migctl.yaml, parted by dots.")]


@app.command(short_help="Every setting that may change while serve runs.")
def get(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One setting, or a section. Default: all.", show_default=False),
    ] = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Say every setting that may change while serve runs: its value, its default, what it is from; and which can't, and why.

    Of one setting also what it may be, from when on a change counts, and who set it here.

    \b
    migctl ctl get relay
    """
    import msgspec

    from migctl.config.changing import named

    wanted = None if name is None else named(name)
    found = context.run(_settings(config))
    views = [one for one in found.settings if wanted is None or one.name in wanted]
    fixed = [one for one in found.fixed if wanted is None or one.name in wanted]
    if output_format == "json":
        output.document(msgspec.to_builtins(msgspec.structs.replace(found, settings=views, fixed=fixed)))
        return
    if name is not None and [one.name for one in views] == [name]:
        _show_one(views[0])
        return
    if not views and not fixed:
        output.note("this serve is of a version that knows none of it")
    if views:
        output.table(
            [("SETTING", "whole"), ("VALUE", "right"), ("DEFAULT", "right"), ("FROM", "whole")],
            [
                # Its default is its value, where it is from there.
                [
                    one.name,
                    _plain(one.value),
                    "" if one.origin == "default" else _plain(one.default),
                    one.origin.rpartition("/")[2],
                ]
                for one in views
            ],
            tight=True,
        )  # fmt: skip
    if fixed:
        if views:
            output.plain("")
            output.plain("A running serve can't take these over; migctl.yaml sets them, for a start:")
        output.table([("SETTING", "whole"), "WHY"], [[one.name, one.reason] for one in fixed], tight=True)


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_(
    name: _Name,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="As migctl.yaml would have it; null is none.")
    ],
    reason: _Reason = "",
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Set one while serve runs, until it restarts. It is checked as the settings file is, and an empty value is refused.

    It lies over the settings of the rollout's stage too. Who, when, before, after and why are kept: `migctl ctl history`.

    \b
    migctl ctl set relay.high.max_events 40 --reason "the table is slow"
    """
    _change(name, value, reason, config, output_format)


@app.command(short_help="Take back what was set here.")
def unset(
    name: _Name,
    reason: _Reason = "",
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Take back what was set here: what the settings, or the rollout's stage, say holds again.

    \b
    migctl ctl unset relay.high.max_events
    """
    _change(name, None, reason, config, output_format)


@app.command()
def throttle(
    reason: Annotated[str, typer.Argument(metavar="REASON", help="Why; the status shows it.")],
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Hold the relay's writing to the table, until `no-throttle`. A batch that is under way ends first.

    The journal takes events and the WebSocket delivers them; the backlog grows, and nothing is lost. A restart does not lift it. A
    rollout is not held: `migctl rollout abort` works as ever.

    \b
    migctl ctl throttle "the database is being moved"
    """
    _throttle(hold=True, reason=reason, config=config, output_format=output_format)


@app.command("no-throttle")
def no_throttle(
    reason: _Reason = "", config: context.ConfigOption = None, output_format: context.OutputOption = "text"
) -> None:
    """Let the relay write again, at once.

    \b
    migctl ctl no-throttle
    """
    _throttle(hold=False, reason=reason, config=config, output_format=output_format)


@app.command()
def history(
    limit: context.LimitOption = 20,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Who changed what here, when and why. Works while no serve runs.

    \b
    migctl ctl history --limit 5
    """
    import msgspec

    from migctl.config import load
    from migctl.runtime.change_log import read_changes

    entries = read_changes(load(file=config).state)[::-1][:limit]
    if output_format == "json":
        output.document({"schema": "migctl.ctl.history/1", "entries": msgspec.to_builtins(entries)})
        return
    if not entries:
        output.note("nothing was changed here yet")
        return
    output.table(
        [("WHEN", "whole"), "WHO", "WHAT", "WHY"],
        [
            [
                f"{one.at:%Y-%m-%d %H:%M:%S}",
                one.by,
                f"{one.act} {one.name}: {_plain(one.before)} -> {_plain(one.after)}" if one.name else one.act,
                one.reason,
            ]
            for one in entries
        ],
        tight=True,
    )


async def _settings(config: Path | None) -> Any:
    from migctl.config import load
    from migctl.runtime.steering import settings_of

    return await settings_of(load(file=config).state)


def _change(
    name: str, value: str | None, reason: str, config: Path | None, output_format: context.OutputFormat
) -> None:
    from migctl.config import load
    from migctl.config.changing import changeable, parsed
    from migctl.config.person import operator
    from migctl.runtime.steering import change_of
    from migctl.server.routes.ctl import ChangeSetting

    setting = changeable(name)
    if value is not None:
        parsed(setting, value)  # what is no value needs no serve to be refused
    folder = load(file=config).state
    changed = context.run(
        change_of(folder, ChangeSetting(name=name, value=value, by=operator(), reason=reason))
    )
    if output_format == "json":
        output.document(changed)
        return
    of = changed.setting
    output.plain(
        f"{of.name}: {_words(changed.before, of.unit)} -> {_words(of.value, of.unit)}, {of.applies}"
        + (f", from {of.origin}" if value is None else f", until {changed.kept_until}")
    )
    if value is not None:
        output.note(f"to keep it, write it into migctl.yaml; `migctl ctl unset {name}` takes it back")


def _throttle(*, hold: bool, reason: str, config: Path | None, output_format: context.OutputFormat) -> None:
    from migctl.config import load
    from migctl.config.person import operator
    from migctl.runtime.steering import throttle_of
    from migctl.server.routes.ctl import ChangeThrottle

    folder = load(file=config).state
    changed: ThrottleChanged = context.run(
        throttle_of(folder, ChangeThrottle(hold=hold, by=operator(), reason=reason))
    )
    if output_format == "json":
        output.document(changed)
        return
    held, before = changed.throttled, changed.before
    from migctl.status.words import wait

    waiting = f"{wait(changed.backlog)} for the table"
    if held is not None:
        output.plain(
            f"throttled by {held.by} since {held.since:%Y-%m-%d %H:%M:%S} UTC: {held.reason}; {waiting}"
        )
        output.note("the journal and the WebSocket go on; `migctl ctl no-throttle` lifts it")
    elif before is None:
        output.plain("it was not throttled")
    else:
        output.plain(f"no longer throttled; {waiting}")
    if changed.unkept is not None:
        output.note(f"warning: this holds until serve restarts, for it could not be kept: {changed.unkept}")


def _show_one(of: SettingView) -> None:
    lines = [
        (of.name, _words(of.value, of.unit)),
        ("from", of.origin),
        ("default", _words(of.default, of.unit)),
        ("it is", of.expected),
        ("a change counts", of.applies),
    ]
    if of.by is not None:
        lines.append(("set by", of.by + (f": {of.reason}" if of.reason else "")))
        lines.append(("without it", _words(of.without_ctl, of.unit)))
    width = max(len(name) for name, _ in lines)
    for name, words in lines:
        output.plain(f"{name:<{width}}  {words}")


def _words(value: Any, unit: str | None) -> str:
    text = _plain(value)
    return f"{text} {unit}" if unit is not None and value is not None else text


def _plain(value: Any) -> str:
    """As it is written in YAML, and whole numbers as such."""
    import json

    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
