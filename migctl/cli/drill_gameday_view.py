"""A game day on a terminal: a line for each drill while it goes on, and one table at its end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from migctl.cli import context, output
from migctl.cli.drill_tables import missed_of, percent, print_table
from migctl.cli.drill_view import coloured
from migctl.cli.live import Display

if TYPE_CHECKING:
    from rich.console import RenderableType

    from migctl.drills.gameday import GameDay, Summary
    from migctl.drills.ordering import Order
    from migctl.drills.running import Run
    from migctl.drills.sampling import Moment

_DRAW_S = 0.25


def print_day(day: GameDay, page: Path) -> None:
    """Fits into 80 columns."""
    from migctl.events.durations import lasting

    print_table(day.drills, dated=False)
    verdict = coloured(day.verdict)
    verdict.append(f": {day.passed} of {day.asked} drills passed, in {lasting(day.seconds)}", style="none")
    output.console().print(verdict, soft_wrap=True)
    if day.not_run:
        output.plain(f"  not run: {', '.join(day.not_run)}")
    output.plain(f"  page: {page}")


class Progress:
    """Looks on at a game day. expected: about how many seconds each drill takes."""

    def __init__(self, display: Display, expected: list[float]) -> None:
        self._display = display
        self._expected = expected
        self._took: list[float] = []
        self._name = ""
        self._doing = ""
        self._began = self._drill_began = time.monotonic()
        self._drawn = 0.0

    def begins(self, order: Order) -> None:
        self._name, self._doing = order.name, "its stack starts"
        self._drill_began = time.monotonic()
        self._draw()

    def ended(self, one: Summary) -> None:
        now = time.monotonic()
        self._took.append(now - self._drill_began)
        self._drill_began = now
        number = f"{len(self._took)} of {len(self._expected)}"
        found = (
            missed_of(one)
            or f"lost {one.lost}, twice {one.duplicates}, available {percent(one.availability_percent)} %"
        )
        after = (
            f"; {self.left()}"
            if len(self._took) < len(self._expected) and one.verdict != "terminated"
            else ""
        )
        self._show(f"{number:>8}  {one.verdict} {one.drill}: {found}{after}")

    def went_wrong(self, error: Exception) -> None:
        context.report(error)

    def moment(self, moment: Moment) -> None:
        """What ends the day is shown as it comes; the rest is where the drill stands now."""
        if moment.kind == "signal" or (moment.kind == "verdict" and moment.what.startswith("terminated")):
            self._show(f"{'':>8}  {self._name}: {moment.what}")
        self._doing = f"{moment.kind}: {moment.what}"
        self._draw()

    def tick(self, run: Run) -> None:
        if time.monotonic() >= self._drawn + _DRAW_S:
            self._draw(run.armed)

    def left(self) -> str:
        """`about 7 min left`."""
        from migctl.drills.gameday import left_s
        from migctl.events.durations import lasting

        return (
            f"about {lasting(left_s(self._expected, self._took, time.monotonic() - self._drill_began))} left"
        )

    def _show(self, line: str) -> None:
        self._display.show(time.monotonic() - self._began, line)

    def _draw(self, armed: list[str] | None = None) -> None:
        if self._display.is_live:
            self._drawn = time.monotonic()
            self._display.draw(self._drawing(armed or []))

    def _drawing(self, armed: list[str]) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        drawn = Table.grid(padding=(0, 2))
        drawn.add_row(
            f"{len(self._took) + 1} of {len(self._expected)}", Text(self._name, style="bold"), self.left()
        )
        drawn.add_row("", Text(self._doing), Text(f"armed: {', '.join(armed)}" if armed else ""))
        return drawn
