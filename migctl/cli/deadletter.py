"""`migctl deadletter`: events that the table refused, and what to do about them."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output
from migctl.errors import Usage

if TYPE_CHECKING:
    from migctl.config import Settings
    from migctl.delivery.dead_letters import Tried
    from migctl.journal import DeadLetter
    from migctl.runtime.dead_letters import Place

app = typer.Typer(
    help="Events that the table refused. None is lost: readers get each from its tombstone, and it waits here for you.",
    no_args_is_help=True,
)

EpochOption = Annotated[
    str | None, typer.Option("--epoch", help="Of this epoch only. Default: all epochs.", show_default=False)
]
WHICH = "The seq, or the event's id."

EXIT_WANTING = 1


@app.command("list", short_help="What waits, the newest first.")
def list_(
    epoch: EpochOption = None,
    code: Annotated[
        str | None,
        typer.Option("--code", metavar="CODE", help="Such as 22P05 or 23514.", show_default=False),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that were retried or renewed.")] = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """What waits, the newest first: seq, event type, the database's code and words. Works while serve runs or not."""
    place = context.run(_place(_settings(config)))
    found = [
        (letter, event_type)
        for letter, event_type in _read(place.journal)
        if (all_ or letter.state == "waiting")
        and epoch in (None, letter.position.epoch)
        and code in (None, letter.code)
    ]
    if output_format == "json":
        letters = [_document(*each) for each in found]
        output.document(
            {"schema": "migctl.deadletter.list/1", "journal": str(place.journal), "letters": letters}
        )
        return
    if not found:
        output.note(f"no dead letter {'is here' if all_ else 'waits'} in {place.journal}")
        return
    for one in dict.fromkeys(letter.position.epoch for letter, _ in found):
        output.table(
            [("SEQ", "right"), "TYPE", "CODE", "SINCE (UTC)", "STATE", "REASON"],
            [
                [
                    letter.position.seq,
                    event_type or "?",
                    letter.code,
                    f"{letter.at:%m-%d %H:%M:%S}",
                    letter.state,
                    letter.reason,
                ]
                for letter, event_type in found
                if letter.position.epoch == one
            ],
            title=f"epoch {one}",
        )
    output.note(
        "all of one: `migctl deadletter show SEQ`; once the cause is mended: `migctl deadletter retry --all`"
    )


@app.command(short_help="One of them: the event, and what refused it.")
def show(
    which: Annotated[str, typer.Argument(metavar="SEQ|ID", help=WHICH)],
    epoch: EpochOption = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """One dead letter: the event as it came, what the database said, and what to do."""
    from migctl.events import encode_entry
    from migctl.runtime.journals import read_entry

    place = context.run(_place(_settings(config)))
    letter, event_type = _one(_read(place.journal), which, epoch)
    entry = read_entry(place.journal, letter)
    text = None if entry is None else encode_entry(entry).decode()
    todo = _todo(letter)
    if output_format == "json":
        output.document(
            {
                "schema": "migctl.deadletter.show/1",
                **_document(letter, event_type),
                "event_text": text,
                "do": todo,
            }
        )
        return
    rows: list[list[object]] = [
        ["seq", letter.position.seq],
        ["epoch", letter.position.epoch],
        ["id", letter.event_id],
        ["event type", event_type or "?"],
        ["since", f"{letter.at:%Y-%m-%d %H:%M:%S} UTC"],
        ["the database said", f"{letter.code}: {letter.reason}"],
        [
            "state",
            letter.state + (f", {letter.settled_at:%Y-%m-%d %H:%M:%S} UTC" if letter.settled_at else ""),
        ],
    ]
    if letter.new_id:
        rows.append(["renewed as", letter.new_id])
    output.table(["", ""], rows)
    output.plain(text or "the journal has let the event go; its text is in the target, as a tombstone")
    output.note(todo)


@app.command(short_help="Write its row after all, once that is mended.")
def retry(
    which: Annotated[str | None, typer.Argument(metavar="SEQ|ID", help=WHICH, show_default=False)] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every one that waits, the oldest first.")] = False,
    as_new: Annotated[
        bool,
        typer.Option(
            "--as-new",
            help="Append the event to the journal once more, instead: with a seq and an id of its own, so that subscribers "
            "get it as a new event. Its tombstone stays.",
        ),
    ] = False,
    epoch: EpochOption = None,
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Write a dead letter's row after all, once what refused it is mended (a constraint, a trigger, a proxy's limit).

    The row gets its own seq and its tombstone goes, in one transaction: at any moment a reader finds one of the two, and gets the
    event once. May be repeated after any error. The dead letter is kept, marked as retried. Exit 1 where the table refuses it
    again; then nothing has changed.

    With --as-new the id is made from the old position, so that doing it twice is still one new event; source_id keeps the old id.
    """
    from migctl.cli import prompt
    from migctl.runtime import dead_letters

    if (which is None) == (not all_):
        raise Usage("retry: name one dead letter, or --all", do="`migctl deadletter list` shows them")
    settings = _settings(config)

    async def work() -> tuple[str, list[tuple[DeadLetter, Tried | None]]]:
        place = await _place(settings)
        letters = _read(place.journal)
        if which is not None:
            chosen = [_one(letters, which, epoch)[0]]
        else:
            waiting = [letter for letter, _ in letters if letter.state == "waiting"]
            chosen = [letter for letter in reversed(waiting) if epoch in (None, letter.position.epoch)]
        target = None if place.serving else await dead_letters.target_of(settings, output.note)
        where = place.target if target is None else target.name
        if where is None:
            where = "no target: serve runs in mode websocket"
        what = _count(chosen) + (", appended as new events" if as_new else ", written under their own seqs")
        if not chosen:
            return where, []
        output.note(f"{what}\n  on {where}")
        if dry_run:
            return where, [(letter, None) for letter in chosen]
        embedded = place.embedded if target is None else target.embedded
        prompt.confirm_at(f"retry {what}", where, yes=yes or embedded)
        tried = dead_letters.tried(settings, place, target, chosen, as_new=as_new, notify=output.note)
        return where, [each async for each in tried]

    where, done = context.run(work())
    failed = [each for each in done if each[1] is not None and not each[1].settled]
    if output_format == "json":
        output.document(
            {
                "schema": "migctl.deadletter.retry/1",
                "target": where,
                "dry_run": dry_run,
                "as_new": as_new,
                "letters": [_outcome(letter, tried) for letter, tried in done],
            }
        )
    elif not done:
        output.note("no dead letter waits")
    else:
        for letter, tried in done:
            output.show(f"seq {letter.position.seq}: {_words(tried)}")
        if dry_run:
            output.note("dry run: nothing was changed")
        else:
            output.note(f"{len(done) - len(failed)} done, {len(failed)} not\n  on {where}")
    if failed:
        raise typer.Exit(EXIT_WANTING)


@app.command(short_help="Let the relay go on in a storm of refusals.")
def accept(
    minutes: Annotated[
        int, typer.Option("--minutes", min=1, max=1440, metavar="N", help="For how long; it ends by itself.")
    ],
    dry_run: context.DryRunOption = False,
    yes: context.YesOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Let the relay go on while a storm of refusals holds it: what is refused becomes a dead letter.

    More than 20 dead letters a minute are hardly the events' fault, so the relay stops there, and tries the next one again and
    again. If you mend what refuses them, it goes on by itself, and nothing needs to be accepted. If the events really are what
    they are, accept: for N minutes whatever the table refuses becomes a dead letter. It takes effect at once; serve must run.
    """
    import msgspec

    from migctl.cli import prompt
    from migctl.runtime import dead_letters
    from migctl.serve_client.status import status_of

    settings = _settings(config)
    who = f"{getpass.getuser()}@{socket.gethostname()}"

    async def work() -> dict[str, object]:
        status = (await status_of(settings.state)).status
        where = status.target or "no target: serve runs in mode websocket"
        output.note(f"accept dead letters for {minutes} minutes\n  on {where}")
        head = {
            "schema": "migctl.deadletter.accept/1",
            "target": status.target,
            "dry_run": dry_run,
            "by": who,
        }
        if dry_run:
            return {**head, "accepted_until": None}
        question = f"make a dead letter of whatever the table refuses, for {minutes} minutes"
        prompt.confirm_at(question, where, yes=yes or status.target_embedded)
        return {**head, **msgspec.to_builtins(await dead_letters.accept(settings, minutes, who))}

    done = context.run(work())
    if output_format == "json":
        output.document(done)
    elif dry_run:
        output.note("dry run: nothing was changed")
    else:
        held = " the relay was held, and goes on" if done["was_held_since"] else " the relay was not held"
        output.show(f"accepted until {str(done['accepted_until'])[:19].replace('T', ' ')} UTC;{held}")


def _settings(config: Path | None) -> Settings:
    from migctl.config import load

    return load(file=config)


async def _place(settings: Settings) -> Place:
    from migctl.runtime.dead_letters import place_of

    return await place_of(settings)


def _read(journal: Path) -> list[tuple[DeadLetter, str | None]]:
    from migctl.runtime.journals import read_dead_letters

    if not journal.is_file():
        raise Usage(
            f"{journal}: no journal is there",
            do="run this where serve runs, or name its folder or its journal: MIGCTL_STATE_DIR, MIGCTL_JOURNAL",
        )
    return read_dead_letters(journal)


def _one(
    letters: list[tuple[DeadLetter, str | None]], which: str, epoch: str | None
) -> tuple[DeadLetter, str | None]:
    found = [
        each
        for each in letters
        if which.lower() in (str(each[0].position.seq), each[0].event_id)
        and epoch in (None, each[0].position.epoch)
    ]
    if not found:
        raise Usage(f"{which} is no dead letter", do="look: `migctl deadletter list --all`")
    if len(found) > 1:
        epochs = ", ".join(letter.position.epoch for letter, _ in found)
        raise Usage(f"seq {which} is a dead letter in several epochs: {epochs}", do="add --epoch")
    return found[0]


def _count(letters: list[DeadLetter]) -> str:
    if len(letters) == 1:
        (letter,) = letters
        return f"dead letter seq {letter.position.seq} of {letter.position.epoch}"
    return f"{len(letters)} dead letters"


def _todo(letter: DeadLetter) -> str:
    seq = letter.position.seq
    if letter.state == "retried":
        return "nothing: it is a row now"
    if letter.code.startswith(("22", "54")):
        return (
            "the database can't hold this value; readers get the event from its tombstone, so nothing is lost. "
            "Mend the producer"
        )
    return f"mend what refuses it, then `migctl deadletter retry {seq}`; until then readers get it from its tombstone"


def _words(tried: Tried | None) -> str:
    if tried is None:
        return "would be tried"
    match tried.result:
        case "written":
            return "a row now, under its own seq; its tombstone is gone"
        case "repeated":
            return "a row already, from an earlier try; its tombstone is gone"
        case "renewed":
            return f"appended as event {tried.new_id}, seq {tried.new_seq}"
        case "refused":
            return f"refused again: {tried.reason}; nothing was changed"
        case "taken":
            return "another row of the table has this id; nothing was changed. --as-new gives it another"
        case "gone":
            return "the target has neither row nor tombstone of it (pruned?); nothing was changed"


def _document(letter: DeadLetter, event_type: str | None) -> dict[str, object]:
    from migctl.events import format_time

    return {
        "epoch": letter.position.epoch,
        "seq": letter.position.seq,
        "id": letter.event_id,
        "event_type": event_type,
        "code": letter.code,
        "reason": letter.reason,
        "at": format_time(letter.at),
        "state": letter.state,
        "settled_at": format_time(letter.settled_at) if letter.settled_at else None,
        "new_id": letter.new_id,
    }


def _outcome(letter: DeadLetter, tried: Tried | None) -> dict[str, object]:
    return {
        "epoch": letter.position.epoch,
        "seq": letter.position.seq,
        "id": letter.event_id,
        "result": None if tried is None else tried.result,
        "reason": None if tried is None else tried.reason,
        "new_id": None if tried is None else tried.new_id,
        "new_seq": None if tried is None else tried.new_seq,
    }
