"""`migctl rejected`: what a source brought and did not fit, and what to do about it."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output
from migctl.errors import Usage
from migctl.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from migctl.config import Settings
    from migctl.ingest.rejections import Kept, Kepts
    from migctl.runtime.rejected import Retried

app = typer.Typer(
    help="Lines and frames of a source that did not fit, each kept as it came. Mend the mapping, and they go in after all.",
    no_args_is_help=True,
)

WHICH = "The number in the list, or the beginning of its id."
AllOption = Annotated[bool, typer.Option("--all", help="Every one that waits, the oldest first.")]


@app.command("list", short_help="What waits, the newest first.")
def list_(
    code: Annotated[
        str | None,
        typer.Option("--code", metavar="CODE", help="Such as json, missing, time.", show_default=False),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that were retried or dismissed.")] = False,
    limit: context.LimitOption = 50,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """What waits, the newest first: its number, when it came, the field and the reason. Works while serve runs or not.

    \b
    migctl rejected list
    migctl rejected list --code time --limit 5
    """
    settings = _settings(config)
    found = _read(settings)
    chosen = [one for one in found.found if (all_ or one.settled is None) and code in (None, one.of.code)]
    shown = list(reversed(chosen))[:limit]
    if output_format == "json":
        output.document(
            {
                "schema": "migctl.rejected.list/1",
                "file": str(_file(settings)),
                "waiting": len(found.waiting),
                "unreadable": found.unreadable,
                "lines": [_document(one) for one in shown],
            }
        )
        return
    if found.unreadable:
        output.note(f"{found.unreadable:,} lines of {_file(settings)} can't be read: a crash tore them")
    if not shown:
        output.note(f"nothing {'is here' if all_ else 'waits'} in {_file(settings)}")
        return
    output.table(
        [("#", "right"), ("SINCE (UTC)", "whole"), "FIELD", "CODE", "STATE", "REASON"],
        [
            [
                one.line,
                f"{one.of.at:%m-%d %H:%M:%S}",
                one.of.field or "",
                one.of.code,
                _state(one),
                one.of.reason,
            ]
            for one in shown
        ],
    )
    if len(chosen) > len(shown):
        output.note(f"and {len(chosen) - len(shown):,} more: --limit, or {_file(settings)}")
    output.note(
        "all of one: `migctl rejected show #`; once the mapping is mended: `migctl rejected retry --all`"
    )


@app.command(short_help="One of them, as it came.")
def show(
    which: Annotated[str, typer.Argument(metavar="#|ID", help=WHICH)],
    map_: context.MapOption = None,
    ignore: context.IgnoreOption = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """One of them: the text as it came, why it did not fit, and what the mapping of today makes of it.

    \b
    migctl rejected show 3
    migctl rejected show 3 --map timestamp=.meta.at
    """
    from migctl.events.sizes import size
    from migctl.ingest import parse_map
    from migctl.runtime.rejected import mapped

    settings = _settings(config)
    one = _one(_read(settings), which)
    (now,) = mapped([one], parse_map(map_ or [], settings.source, ignore=[ignore] if ignore else []))
    if output_format == "json":
        output.document({"schema": "migctl.rejected.show/1", **_document(one), "today": _outcome(now)})
        return
    of = one.of
    rows: list[list[object]] = [
        ["number", one.line],
        ["id", of.id],
        ["source", of.source],
        ["offset", "-" if of.offset is None else of.offset],
        ["since", f"{of.at:%Y-%m-%d %H:%M:%S} UTC"],
        ["reason", f"{of.field + ', ' if of.field else ''}{of.code}: {of.reason}"],
        ["size", size(of.size) + (f", of which {size(len(of.content))} are kept" if of.cut else "")],
        ["state", _state(one)],
        ["today", _words(now)],
    ]
    if one.settled is not None and one.settled.event_id is not None:
        from migctl.events.ids import both_ids

        name = both_ids(one.settled.event_id, one.settled.source_id)
        rows.append(["event", f"{name}, seq {one.settled.seq} of {one.settled.epoch}"])
    output.table(["", ""], rows)
    output.plain(of.content.decode("utf-8", "backslashreplace"))


@app.command(short_help="Put them in after all, once the mapping is mended.")
def retry(
    which: Annotated[str | None, typer.Argument(metavar="#|ID", help=WHICH, show_default=False)] = None,
    all_: AllOption = False,
    map_: context.MapOption = None,
    ignore: context.IgnoreOption = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Read rejected lines once more under the mapping of today, and put what fits into the journal, from where it is delivered.

    Each has the id that it names, else one that was kept with it: done twice, or cut off and done again, it is one event. One
    without a time has that of its arrival. What fits is marked and waits no more. Exit 1 where something is refused again.

    \b
    migctl rejected retry --all --dry-run
    migctl rejected retry --all --map timestamp=.meta.at
    migctl rejected retry 3
    """
    from migctl.cli import prompt
    from migctl.config import from_environment
    from migctl.ingest import parse_map
    from migctl.runtime.dead_letters import place_of
    from migctl.runtime.rejected import mapped, retried

    settings = _settings(config)
    chosen = _chosen(_read(settings), which, all_, "retry")
    found = mapped(chosen, parse_map(map_ or [], settings.source, ignore=[ignore] if ignore else []))

    async def work() -> list[Retried]:
        place = await place_of(settings)
        target = None if place.serving else from_environment(settings)
        where = str(place.journal)
        quiet = place.embedded or place.target is None if place.serving else target is None or target.embedded
        beyond = place.target or (target.name if target is not None else None)
        if beyond is not None:
            where = f"{where}, and from there {beyond}"
        fit = sum(one.result == "fits" for one in found)
        output.note(f"{fit:,} of {len(found):,} rejected lines fit now\n  into {where}")
        if dry_run or not found:
            return found
        prompt.confirm_at(f"put {fit:,} events", where, yes=yes or quiet or not fit)
        return [one async for one in retried(settings, place, found, notify=output.note)]

    done = context.run(work())
    refused = [one for one in done if one.result == "refused"]
    if output_format == "json":
        output.document(
            {
                "schema": "migctl.rejected.retry/1",
                "dry_run": dry_run,
                "refused": len(refused),
                "lines": [{"line": one.kept.line, "id": one.kept.of.id, **_outcome(one)} for one in done],
            }
        )
    elif not done:
        output.note("nothing waits")
    else:
        for one in done:
            output.show(f"{one.kept.line}: {_words(one)}")
        output.note(
            "dry run: nothing was changed"
            if dry_run
            else f"{len(done) - len(refused):,} done, {len(refused):,} not"
        )
    if refused:
        raise typer.Exit(Exit.WANTING)


@app.command(short_help="Say that they need not go in.")
def dismiss(
    which: Annotated[str | None, typer.Argument(metavar="#|ID", help=WHICH, show_default=False)] = None,
    all_: AllOption = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="WHY", help="Kept beside it.", show_default=False)
    ] = None,
    dry_run: context.DryRunOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Say that they need not go in, and will be no events: serve is well again. The lines stay in the file.

    \b
    migctl rejected dismiss 3 --reason "a greeting"
    migctl rejected dismiss --all
    """
    from migctl.runtime.rejected import dismiss

    settings = _settings(config)
    chosen = [one for one in _chosen(_read(settings), which, all_, "dismiss") if one.settled is None]
    if not dry_run:
        dismiss(settings, chosen, by=f"{getpass.getuser()}@{socket.gethostname()}", reason=reason)
    if output_format == "json":
        lines = [{"line": one.line, "id": one.of.id} for one in chosen]
        output.document({"schema": "migctl.rejected.dismiss/1", "dry_run": dry_run, "lines": lines})
    else:
        output.note(f"{len(chosen):,} {'would be ' if dry_run else ''}dismissed")


def _settings(config: Path | None) -> Settings:
    from migctl.config import load

    return load(file=config)


def _file(settings: Settings) -> Path:
    from migctl.ingest.rejections import FILE

    return settings.state / FILE


def _read(settings: Settings) -> Kepts:
    from migctl.ingest.rejections import read

    return read(settings.state)


def _one(found: Kepts, which: str) -> Kept:
    chosen = [one for one in found.found if which == str(one.line)]
    chosen = chosen or [one for one in found.found if len(which) >= 4 and one.of.id.startswith(which.lower())]
    if not chosen:
        raise Usage(f"{which} is no rejected line", do="look: `migctl rejected list --all`")
    if len(chosen) > 1:
        raise Usage(
            f"{which} is the beginning of {len(chosen)} ids", do="write more of it, or the number of the line"
        )
    return chosen[0]


def _chosen(found: Kepts, which: str | None, all_: bool, what: str) -> list[Kept]:
    if (which is None) == (not all_):
        raise Usage(f"{what}: name one rejected line, or --all", do="`migctl rejected list` shows them")
    return found.waiting if which is None else [_one(found, which)]


def _state(one: Kept) -> str:
    return "waiting" if one.settled is None else one.settled.outcome


def _words(one: Retried) -> str:
    from migctl.events.ids import both_ids

    if one.result == "retried" and one.event is not None and one.position is not None:
        return f"event {both_ids(one.event.id, one.event.source_id)}, seq {one.position.seq}"
    if one.result == "fits" and one.event is not None:
        return f"fits: an event of type {one.event.event_type}"
    return "no event, by the mapping" if one.result == "ignored" else f"does not fit: {one.reason}"


def _outcome(one: Retried) -> dict[str, object]:
    from migctl.events import encode_event

    return {
        "result": one.result,
        "reason": one.reason,
        "event_text": None if one.event is None else encode_event(one.event).decode(),
        "epoch": None if one.position is None else one.position.epoch,
        "seq": None if one.position is None else one.position.seq,
    }


def _document(one: Kept) -> dict[str, object]:
    import msgspec

    known: dict[str, object] = msgspec.to_builtins(one.of)
    return {"line": one.line, **known, "state": _state(one), "settled": msgspec.to_builtins(one.settled)}
