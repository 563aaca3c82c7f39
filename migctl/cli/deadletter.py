"""`migctl deadletter`: events that the table refused, and what to do about them."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output
from migctl.cli.deadletter_view import document, outcome, todo, words
from migctl.errors import Usage
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.config import Settings
    from migctl.delivery.dead_letters import Tried
    from migctl.events import Position
    from migctl.journal import DeadLetter
    from migctl.runtime.dead_letters import Place
    from migctl.runtime.journals import KeptLetter

app = typer.Typer(
    help="Events that the table refused. None is lost: readers get each from its tombstone, and it waits here for you.",
    no_args_is_help=True,
)

EpochOption = Annotated[
    str | None, typer.Option("--epoch", help="Of this epoch only. Default: all epochs.", show_default=False)
]
CodeOption = Annotated[
    str | None,
    typer.Option("--code", metavar="CODE", help="Such as 22P05 or 23514.", show_default=False),
]
WHICH = "The seq, or the event's id, its producer's own too."


@app.command("list", short_help="What waits, the newest first.")
def list_(
    epoch: EpochOption = None,
    code: CodeOption = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Also those that were retried, renewed or dismissed.")
    ] = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """What waits, the newest first: seq, event type, the database's code and words. Works while serve runs or not.

    \b
    migctl deadletter list --code 23514
    """
    place = context.run(_place(_settings(config)))
    found = [
        one
        for one in _read(place.journal)
        if (all_ or one.letter.state == "waiting")
        and epoch in (None, one.letter.position.epoch)
        and code in (None, one.letter.code)
    ]
    if output_format == "json":
        letters = [document(each) for each in found]
        output.document(
            {"schema": "migctl.deadletter.list/1", "journal": str(place.journal), "letters": letters}
        )
        return
    if not found:
        output.note(f"no dead letter {'is here' if all_ else 'waits'} in {place.journal}")
        return
    own = any(one.source_id for one in found)
    for epoch_of in dict.fromkeys(one.letter.position.epoch for one in found):
        output.table(
            [("SEQ", "right"), *(["ID"] if own else []), "TYPE", "CODE", "SINCE (UTC)", "STATE", "REASON"],
            [
                [
                    one.letter.position.seq,
                    *([one.source_id or "-"] if own else []),
                    one.event_type or "?",
                    one.letter.code,
                    f"{one.letter.at:%m-%d %H:%M:%S}",
                    one.letter.state,
                    one.letter.why or one.letter.reason,
                ]
                for one in found
                if one.letter.position.epoch == epoch_of
            ],
            title=f"epoch {epoch_of}",
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
    """One dead letter: the event as it came, what the database said, and what to do.

    \b
    migctl deadletter show 1207
    """
    from migctl.events import encode_entry
    from migctl.events.ids import both_ids
    from migctl.runtime.journals import read_entry

    place = context.run(_place(_settings(config)))
    found = _one(_read(place.journal), which, epoch)
    letter = found.letter
    entry = read_entry(place.journal, letter)
    text = None if entry is None else encode_entry(entry).decode()
    if output_format == "json":
        output.document(
            {
                "schema": "migctl.deadletter.show/1",
                **document(found),
                "event_text": text,
                "do": todo(letter),
            }
        )
        return
    rows: list[list[object]] = [
        ["seq", letter.position.seq],
        ["epoch", letter.position.epoch],
        ["id", both_ids(letter.event_id, found.source_id)],
        ["event type", found.event_type or "?"],
        ["since", f"{letter.at:%Y-%m-%d %H:%M:%S} UTC"],
        ["the database said", f"{letter.code}: {letter.reason}"],
        [
            "state",
            letter.state + (f", {letter.settled_at:%Y-%m-%d %H:%M:%S} UTC" if letter.settled_at else ""),
        ],
    ]
    if letter.new_id:
        rows.append(["renewed as", letter.new_id])
    if letter.settled_by:
        rows.append(["dismissed by", f"{letter.settled_by}: {letter.why}"])
    output.table(["", ""], rows)
    output.plain(text or "the journal has let the event go; its text is in the target, as a tombstone")
    output.note(todo(letter))


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

    \b
    migctl deadletter retry 1207
    migctl deadletter retry --all --dry-run
    """
    from migctl.cli import prompt
    from migctl.runtime import dead_letters

    if (which is None) == (not all_):
        raise Usage("retry: name one dead letter, or --all", do="`migctl deadletter list` shows them")
    settings = _settings(config)

    own: dict[Position, str | None] = {}

    async def work() -> tuple[str, list[tuple[DeadLetter, Tried | None]]]:
        place = await _place(settings)
        letters = _read(place.journal)
        own.update((one.letter.position, one.source_id) for one in letters)
        chosen = [_one(letters, which, epoch).letter] if which is not None else _waiting(letters, epoch)
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
                "letters": [outcome(letter, tried, own.get(letter.position)) for letter, tried in done],
            }
        )
    elif not done:
        output.note("no dead letter waits")
    else:
        for letter, tried in done:
            output.show(f"seq {letter.position.seq}: {words(tried)}")
        if dry_run:
            output.note("dry run: nothing was changed")
        else:
            output.note(f"{len(done) - len(failed)} done, {len(failed)} not\n  on {where}")
    if failed:
        raise typer.Exit(Exit.WANTING)


@app.command(short_help="Say that it will never be a row.")
def dismiss(
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="Kept beside it.")],
    which: Annotated[str | None, typer.Argument(metavar="SEQ|ID", help=WHICH, show_default=False)] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every one that waits.")] = False,
    code: CodeOption = None,
    epoch: EpochOption = None,
    dry_run: context.DryRunOption = False,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Say that a dead letter will never be a row: it waits no more, and its tombstone stays. Nothing is lost by it.

    Subscribers got the event from the tombstone, and whoever reads the table later does. Only the journal is changed, and keeps who
    said so, when and why. `retry` is refused from then on; `retry --as-new` is not.

    \b
    migctl deadletter dismiss 3 --reason "no database holds a NUL; the producer is mended"
    migctl deadletter dismiss --all --code 22P05 --reason "the same"
    """
    from migctl.config.person import operator
    from migctl.runtime import dead_letters

    if (which is None) == (not all_):
        raise Usage("dismiss: name one dead letter, or --all", do="`migctl deadletter list` shows them")
    context.only_with("--code", code is not None, "--all", all_)
    if not reason.strip():
        raise Usage("--reason is empty", do="say why there will be no row, for those who look later")
    settings = _settings(config)

    own: dict[Position, str | None] = {}

    async def work() -> list[tuple[DeadLetter, Tried | None]]:
        place = await _place(settings)
        letters = _read(place.journal)
        own.update((one.letter.position, one.source_id) for one in letters)
        chosen = [_one(letters, which, epoch).letter] if which is not None else _waiting(letters, epoch, code)
        if dry_run:
            return [(letter, None) for letter in chosen]
        done = dead_letters.dismissed(settings, place, chosen, by=operator(), why=reason, notify=output.note)
        return [each async for each in done]

    done = context.run(work())
    if output_format == "json":
        letters = [outcome(letter, tried, own.get(letter.position)) for letter, tried in done]
        output.document({"schema": "migctl.deadletter.dismiss/1", "dry_run": dry_run, "letters": letters})
        return
    for letter, tried in done:
        output.show(
            f"seq {letter.position.seq}: {words(tried) if tried is not None else 'would be dismissed'}"
        )
    output.note("dry run: nothing was changed" if dry_run else f"{len(done)} dismissed")


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

    \b
    migctl deadletter accept --minutes 30
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


def _read(journal: Path) -> list[KeptLetter]:
    from migctl.runtime.journals import read_dead_letters

    if not journal.is_file():
        raise Usage(
            f"{journal}: no journal is there",
            do="run this where serve runs, or name its folder or its journal: MIGCTL_STATE_DIR, MIGCTL_JOURNAL",
        )
    return read_dead_letters(journal)


def _one(letters: list[KeptLetter], which: str, epoch: str | None) -> KeptLetter:
    found = [one for one in letters if one.is_called(which) and epoch in (None, one.letter.position.epoch)]
    if not found:
        raise Usage(f"{which} is no dead letter", do="look: `migctl deadletter list --all`")
    if len(found) > 1:
        epochs = ", ".join(one.letter.position.epoch for one in found)
        raise Usage(f"{which} names several dead letters, in epochs {epochs}", do="add --epoch")
    return found[0]


def _waiting(letters: list[KeptLetter], epoch: str | None, code: str | None = None) -> list[DeadLetter]:
    """The oldest first."""
    return [
        one.letter
        for one in reversed(letters)
        if one.letter.state == "waiting"
        and epoch in (None, one.letter.position.epoch)
        and code in (None, one.letter.code)
    ]


def _count(letters: list[DeadLetter]) -> str:
    if len(letters) == 1:
        (letter,) = letters
        return f"dead letter seq {letter.position.seq} of {letter.position.epoch}"
    return f"{len(letters)} dead letters"
