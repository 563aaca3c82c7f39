"""What a drill found, on a terminal: its objectives, its subscribers, the verdict, and where its page is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from migctl.cli import output
from migctl.exits import Exit

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from migctl.drills.objectives import Verdict
    from migctl.drills.result import Result
    from migctl.drills.sampling import Sample

STYLES: dict[Verdict, str] = {
    "pass": "green", "fail": "bold red", "error": "bold red", "inconclusive": "yellow", "terminated": "yellow",
}  # fmt: skip
_EXIT_CODES: dict[Verdict, int] = {"pass": Exit.DONE, "terminated": Exit.INTERRUPTED}


def leave_by(verdict: Verdict) -> None:
    """The exit code of a run."""
    code = _EXIT_CODES.get(verdict, Exit.WANTING)
    if code:
        raise typer.Exit(code)


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
    if len(result.faults) > 1:
        output.table(
            [("AT", "right"), "FAULT", ("DETECTED", "right"), ("FELL BACK", "right"), ("RECOVERED", "right")],
            [
                [f"{one.armed_at_ms / 1000:,.0f} s", one.name, figure(one.time_to_detect_ms, "ms"),
                 figure(one.time_to_fallback_ms, "ms"), figure(one.time_to_recover_ms, "ms")]
                for one in result.faults
            ],
        )  # fmt: skip
    if result.signs:
        output.table(
            [("SIGNS OVER", "whole"), ("HEARD", "right"), ("LONGEST APART", "right"), ("P99 LATE", "right")],
            [
                [
                    one.transport,
                    figure(one.heard),
                    figure(one.longest_apart_ms, "ms"),
                    figure(one.late_p99_ms, "ms"),
                ]
                for one in result.signs
            ],
        )
    if result.clock_skew is not None:
        skew = result.clock_skew
        way = "ahead of" if skew.ahead_ms >= 0 else "behind"
        output.plain(
            f"the clock of serve is {abs(skew.ahead_ms):,.1f} ms {way} ours, give or take {skew.within_ms:,.1f} ms"
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
    if result.availability_percent is not None:
        without = figure(result.availability_without_grace_percent, "%")
        output.plain(f"  available {figure(result.availability_percent, '%')}, without grace {without}")
    if result.seed is not None:
        output.plain(f"  seed {result.seed}: --seed {result.seed} draws the same faults again")
    output.plain(f"  page: {page}")


def draw(seconds: float, sample: Sample, armed: Sequence[str], heads: Mapping[str, int]) -> RenderableType:
    """The moment, below the lines: what is armed, and how far everybody is behind the journal."""
    from rich.table import Table

    drawn = Table.grid(padding=(0, 2))
    drawn.add_row("load", f"{seconds:,.0f} s", "armed: " + (", ".join(armed) or "nothing"))
    if sample.away:
        drawn.add_row("journal", "-", "serve does not answer")
    else:
        drawn.add_row("journal", f"{sample.head:,}", "fallback is active" if sample.fallback else "")
        for name, seq in {"table": sample.table_head, **heads}.items():
            behind = sample.head - seq
            drawn.add_row(name, f"{seq:,}", f"{behind:,} behind" if behind > 0 else "")
    return drawn


def coloured(verdict: Verdict) -> Text:
    """The word alone says it too."""
    from rich.text import Text

    return Text().append(verdict, STYLES[verdict])
