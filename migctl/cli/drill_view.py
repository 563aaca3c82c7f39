"""What a drill found, on a terminal: its objectives, its subscribers, the verdict, and where its page is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from migctl.cli import output

if TYPE_CHECKING:
    from rich.text import Text

    from migctl.drills.objectives import Verdict
    from migctl.drills.result import Result

STYLES: dict[Verdict, str] = {
    "pass": "green", "fail": "bold red", "error": "bold red", "inconclusive": "yellow", "terminated": "yellow",
}  # fmt: skip


def print_result(result: Result, page: Path) -> None:
    """Fits into 60 columns; names of subscribers are never broken."""
    from migctl.drills.wording import bound_of, measure_of, value_of
    from migctl.pages.template import figure

    if result.objectives:
        output.table(
            ["OBJECTIVE", ("BOUND", "right"), ("MEASURED", "right"), ("VERDICT", "whole")],
            [
                [measure_of(one), bound_of(one), value_of(one), coloured(one.verdict)]
                for one in result.objectives
            ],
        )
    if result.subscribers:
        output.table(
            [("SUBSCRIBER", "whole"), ("RELEASED", "right"), ("LOST", "right"), ("TWICE", "right"), ("SILENT", "right"),
             ("AVAILABLE", "right")],
            [
                [one.name, figure(one.released), one.lost, one.duplicates, figure(one.longest_silence_ms, "ms"),
                 figure(one.availability_percent, "%")]
                for one in result.subscribers
            ],
        )  # fmt: skip
    verdict = coloured(result.verdict)
    verdict.append(f": {result.title}", style="none")
    output.console().print(verdict, soft_wrap=True)
    if result.reason:
        output.plain(f"  {result.reason}")
    output.plain(f"  page: {page}")


def coloured(verdict: Verdict) -> Text:
    """The word alone says it too."""
    from rich.text import Text

    return Text(verdict, style=STYLES[verdict])
