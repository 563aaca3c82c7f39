"""`migctl rollout signoff`: the sign-off report of a rollout, for people and machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from migctl.cli import context, output

if TYPE_CHECKING:
    from migctl.rollout.signoff.document import Signoff
    from migctl.runtime.rollout_signoff import Signed

# The year stands above.
_SHORT = "%m-%d %H:%M"
_LEFT = {"promote-forced": "by force", "complete-forced": "by force", "without_drills": "no drills"}


def signoff(
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Write it there, as .html or .json. Default: both, in the state folder.",
            show_default=False,
        ),
    ] = None,
    config: context.ConfigOption = None,
    output_format: Annotated[
        Literal["text", "json", "html"],
        typer.Option("--output", "-o", help="What stdout gets: a summary, or the report itself."),
    ] = "text",
) -> None:
    """Write the sign-off report: timeline, evidence, incidents, lessons, and what to delete. `complete` does so at its end.

    It is made from the record, at any time, and changes nothing there. What it can't say it names.

    \b
    migctl rollout signoff --to signoff.html
    """
    from migctl.config import load
    from migctl.runtime.rollout_signoff import as_json, sign_off

    settings = load(file=config)
    done = context.run(sign_off(settings, output.note, to))
    assert done.report is not None
    if output_format == "text":
        _show(done, done.report)
        return
    for path in done.files:
        output.note(f"written: {path}")
    if output_format == "json":
        output.plain(as_json(done.report).decode().rstrip())
        return
    from migctl.rollout.signoff.page import page_of

    output.plain(page_of(done.report).rstrip())


def _show(done: Signed, of: Signoff) -> None:
    output.note(done.where)
    output.plain(_headline(of))
    output.table(
        [
            ("STAGE", "whole"),
            ("BEGUN", "whole"),
            ("PASSED", "whole"),
            "LEFT BY",
            ("EVIDENCE", "right"),
            "VERDICT",
        ],
        [
            [
                one.stage,
                f"{one.begun_at:{_SHORT}}",
                f"{one.judged_at:{_SHORT}}" if one.judged_at is not None else "-",
                _LEFT.get(one.left_by or "-", one.left_by or "-"),
                f"{one.windows.evidence:,}",
                one.judgement.verdict if one.judgement is not None else "no evidence",
            ]
            for one in of.stages
        ],
    )
    for line in _totals(of):
        output.plain(line)
    if of.incidents:
        output.table(
            [("INCIDENT", "whole"), ("BEGAN", "whole"), ("LASTED", "whole"), "WHAT"],
            list(_incidents(of)),
        )
    _list("Lessons:", [one.text for one in of.lessons])
    if of.completed:
        _list("Can no longer be taken back:", of.irrevocable)
        _list("To delete:", of.to_delete)
    _list("Missing:", of.missing)
    for path in done.files:
        output.plain(f"The sign-off report: {path}")


def _headline(of: Signoff) -> str:
    began = f"begun {of.began_at:%Y-%m-%d %H:%M} UTC, " if of.began_at is not None else ""
    if of.completed and of.completion is not None:
        lost = of.completion.accepted_lost
        given_up = f", {lost} subscriber{'s' if lost != 1 else ''} given up" if lost else ""
        return f"{began}completed {of.completion.since:%Y-%m-%d %H:%M} UTC{given_up}"
    if of.completion is not None:
        return f"{began}not completed: {of.completion.phase}"
    return f"{began}not completed: {of.stage}, {of.phase}"


def _totals(of: Signoff) -> Iterator[str]:
    totals = of.totals
    if totals is None:
        yield "There is no window of evidence."
        return
    match = f"{totals.match_percent:.4f} % matched" if totals.match_percent is not None else "none to match"
    yield f"{totals.compared:,} events compared: {match}, {totals.lost:,} lost"
    for name, one in totals.transports.items():
        if one.latency_p99_ms is not None:
            p99 = f"p99 {one.latency_p99_ms.median:,.1f} ms in the median window, {one.latency_p99_ms.worst:,.1f} in the worst"
            yield f"{name}: {one.duplicates:,} duplicates, {p99}"


def _incidents(of: Signoff) -> Iterator[list[str]]:
    from migctl.events.durations import lasting

    for one in of.incidents:
        lasted = lasting(one.duration_s) if one.duration_s is not None else "not ended"
        yield [one.kind.replace("_", " "), f"{one.began:{_SHORT}}", lasted, one.what]


def _list(title: str, lines: list[str]) -> None:
    """Reasons are among them: nothing of theirs reaches a terminal but text."""
    from rich.padding import Padding
    from rich.text import Text

    if lines:
        output.plain(title)
        for line in lines:
            output.show(Padding(Text(line), (0, 0, 0, 2)))
