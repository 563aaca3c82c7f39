"""migctl journal: what the journal holds, copies of it, and what to do when it is not the one that the target knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output
from migctl.errors import Usage
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.config import Settings
    from migctl.journal import Inventory

app = typer.Typer(
    help="The journal: the durable file that every event is in before its producer is answered.",
    no_args_is_help=True,
)

PathOption = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="The journal's file. Default: journal.path, else journal.db in the state folder.",
        show_default=False,
    ),
]


@app.command(short_help="What it holds, and when it is full.")
def status(
    journal: PathOption = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """What the journal holds, how far its cursors are, and when it is full at this rate. Works while serve runs.

    \b
    migctl journal status
    """
    from migctl.runtime import journals

    found = journals.status(_settings(journal, config))
    if output_format == "json":
        output.document(found)
        return
    _show(found)


@app.command(short_help="Its events as NDJSON, oldest first.")
def export(
    journal: PathOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to. Default: stdout.", show_default=False),
    ] = None,
    first: Annotated[
        int | None, typer.Option("--from", min=1, metavar="SEQ", help="The first seq.", show_default=False)
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", min=0, metavar="SEQ", help="The last seq.", show_default=False)
    ] = None,
    epoch: Annotated[
        str | None,
        typer.Option(
            "--epoch",
            help="Of this epoch only. Default: all epochs; with --from or --to the open one.",
            show_default=False,
        ),
    ] = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Write events as NDJSON, oldest first: id, epoch, seq, event_type, timestamp, source, data, committed_at.

    Works while serve runs; what is committed after the start is not waited for. A file appears under its name once it is whole.

    \b
    migctl journal export --from 1 --to 1000 --out events.ndjson
    """
    from migctl.runtime import journals

    settings = _settings(journal, config)
    entries = journals.export(settings.journal_path, epoch=epoch, first=first, last=last)
    count = journals.write_lines(entries, out)
    if out is not None and output_format == "json":
        output.document({"schema": "migctl.journal.export/1", "file": str(out), "events": count})
    else:
        output.note(f"{count} events" + (f" in {out}" if out is not None else ""))


@app.command(short_help="Look at every page and every event.")
def verify(
    journal: PathOption = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Look at every page and every event: whole, contiguous in each epoch, ids unique, cursors within, the mark not ahead.

    Exit 1 with what is wrong. Works while serve runs; the journal's write-ahead log grows meanwhile.

    \b
    migctl journal verify
    """
    from migctl.runtime import journals

    found = journals.verify(_settings(journal, config).journal_path)
    if output_format == "json":
        output.document(found)
    else:
        for problem in found.problems:
            output.show(problem)
        output.show(
            f"{found.verdict}: {found.events} events in {found.epochs} epoch{'s' * (found.epochs != 1)} "
            f"of {found.path}"
        )
    if found.problems:
        raise typer.Exit(Exit.WANTING)


@app.command()
def backup(
    to: Annotated[Path, typer.Argument(metavar="FILE", help="Where to. Nothing may be there.")],
    journal: PathOption = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Copy the journal, consistently, while serve runs or not. `migctl journal restore` puts a copy back.

    \b
    migctl journal backup /backup/journal.db
    """
    from migctl.runtime import journals

    path = _settings(journal, config).journal_path
    position = journals.backup(path, to)
    if output_format == "json":
        output.document(
            {
                "schema": "migctl.journal.backup/1",
                "file": str(to),
                "epoch": position.epoch,
                "head": position.seq,
            }
        )
    else:
        output.show(f"{path} up to {position} is in {to}")


@app.command(short_help="Put a copy back, in a new epoch.")
def restore(
    copy: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `migctl journal backup` has written.", exists=False)
    ],
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Move a journal that is there aside. Without, it is refused."),
    ] = False,
    journal: PathOption = None,
    config: context.ConfigOption = None,
    dry_run: context.DryRunOption = False,
    output_format: context.OutputOption = "text",
) -> None:
    """Put a copy of the journal back: into an empty state folder, or in the place of a broken journal. serve must not run.

    The copy is verified first (exit 1 where it does not hold together). The journal goes on in a new epoch, since the seqs above
    the copy may have been given: readers cross it with a discontinuity. Which seqs are lost is known where the file .high-water
    still lies beside the journal, or the table has them: serve compares at its start. Leave that file where it is.

    \b
    migctl journal restore /backup/journal.db --dry-run
    migctl journal restore /backup/journal.db --replace
    """
    from migctl.runtime import journals

    settings = _settings(journal, config)
    done = journals.restore(settings, copy, replace=replace, try_only=dry_run)
    info = done.info
    lost = info.lost if info is not None else None
    if output_format == "json":
        output.document(
            {
                "schema": "migctl.journal.restore/1",
                "file": str(copy),
                "journal": str(settings.journal_path),
                "dry_run": dry_run,
                "events": done.events,
                "restored_epoch": done.had.epoch,
                "restored_head": done.had.seq,
                "replaced": str(done.aside) if done.aside is not None else None,
                "epoch": info.epoch if info is not None else None,
                "lost_from": lost[0] if lost else None,
                "lost_to": lost[1] if lost else None,
            }
        )
        return
    output.show(f"{copy}: {done.events:,} events up to {done.had}, whole")
    if done.aside is not None:
        output.note(f"the journal that is there {'would be' if dry_run else 'was'} moved to {done.aside}")
    if info is None:
        output.note("dry run: nothing was changed")
        return
    output.show(f"{settings.journal_path} goes on in epoch {info.epoch}")
    output.note(
        f"lost, unless the table has them: seq {lost[0]} to {lost[1]} of epoch {info.prev_epoch}"
        if lost
        else f"what came after {done.had} is not in it, and how much that was is not known here"
    )


@app.command(short_help="Go on where another journal was.")
def adopt(
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record: kept in the journal.")],
    journal: PathOption = None,
    config: context.ConfigOption = None,
    yes: context.YesOption = False,
    dry_run: context.DryRunOption = False,
    output_format: context.OutputOption = "text",
) -> None:
    """Go on where another journal was, and rotate the epoch: when that one is gone for good.

    What it had acknowledged and the table does not have is lost; readers learn which seqs. If there is a copy of it, put that
    back instead. serve must not run.

    \b
    migctl journal adopt --reason "the disk is gone" --dry-run
    """
    from migctl.cli import prompt
    from migctl.runtime import adopting
    from migctl.runtime.target import resolve

    if not reason.strip():
        raise Usage("--reason is empty", do="say why, for those who read the journal later")
    settings = _settings(journal, config)

    async def work() -> dict[str, object]:
        target = None
        if settings.mode != "websocket":
            target = await resolve(settings, need=("service_role_key",), notify=output.note)
        place = await adopting.find(settings, target)
        document: dict[str, object] = {
            "schema": "migctl.journal.adopt/1",
            "path": str(settings.journal_path),
            "target": target.name if target is not None else None,
            "adopted": False,
            "writer_id": None,
        }
        found = place.found
        if found is None:
            return document
        document |= {
            "writer_id": found.writer_id,
            "prev_epoch": found.prev_epoch,
            "last_seq": found.last_seq,
            "lost_from": found.lost[0] if found.lost else None,
            "lost_to": found.lost[1] if found.lost else None,
        }
        lost = (
            f"seq {found.lost[0]} to {found.lost[1]} are lost"
            if found.lost
            else "nothing is known to be lost"
        )
        what = (
            f"{settings.journal_path}: adopt what writer {found.writer_id} left: epoch {found.prev_epoch}, last seq "
            f"{found.last_seq}, at {found.at:%Y-%m-%d %H:%M:%S} UTC; {lost}"
        )
        output.note(what + (f"\n  on {target.name}" if target is not None else ""))
        if dry_run:
            return document
        if target is not None:
            prompt.confirm(what, yes=yes, target=target)
        info, head = await adopting.adopt_found(settings, place, reason, output.note)
        return document | {"adopted": True, "epoch": info.epoch, "head": head}

    document = context.run(work())
    if output_format == "json":
        output.document(document)
    elif document["writer_id"] is None:
        output.note(f"{document['path']}: nothing to adopt; no other journal was here")
    elif document["adopted"]:
        output.show(f"adopted: the journal goes on in epoch {document['epoch']}, at seq {document['head']}")


def _settings(journal: Path | None, config: Path | None) -> Settings:
    from migctl.config import load

    return load(file=config, flags={("journal", "path"): str(journal) if journal is not None else None})


def _show(of: Inventory) -> None:
    from migctl.events.sizes import size

    opened = of.open_in
    full = of.full or "never at this rate"
    if of.full is None and of.full_in_hours is not None:
        full = f"{'the disk ' if of.full_first == 'disk' else ''}in {of.full_in_hours:.0f} h at this rate"
    output.table(
        ["", ""],
        [
            ["journal", of.path],
            ["writer", of.writer_id],
            ["open in", f"process {opened.pid} since {opened.since}" if opened else "no process"],
            ["events held", f"{of.events_held:,} ({of.rate_events_per_s:g}/s)"],
            ["in use", f"{size(of.used_bytes)} of {_bound(of.max_bytes)}"],
            ["free in the file, its log", f"{size(of.reusable_bytes)}, {size(of.log_bytes)}"],
            ["disk free", f"{size(of.disk_free_bytes)}, at least {_bound(of.min_free_bytes)} wanted"],
            ["full", full],
            ["dead letters", of.dead_letters],
        ],
    )
    output.table(
        ["EPOCH", ("TAIL", "right"), ("HEAD", "right"), "BEGAN (UTC)", "LOST BEFORE IT"],
        [
            [
                each.epoch,
                each.tail,
                each.head,
                each.started_at[:19].replace("T", " "),
                f"{each.lost_from} to {each.lost_to}" if each.lost_from is not None else "-",
            ]
            for each in of.epochs
        ],
    )
    for each in of.epochs:
        if each.reason is not None:
            output.note(f"{each.epoch}: {each.reason}")
    if not of.cursors:
        output.note("no cursor: no relay has read this journal yet")
        return
    output.table(
        ["CURSOR", "EPOCH", ("SEQ", "right"), ("BEHIND", "right")],
        [
            [
                each.name,
                each.epoch,
                each.seq,
                "?" if each.behind_events is None else each.behind_events,
            ]
            for each in of.cursors
        ],
    )


def _bound(count: int | None) -> str:
    from migctl.events.sizes import size

    return "no bound" if count is None else size(count)
