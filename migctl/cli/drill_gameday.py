"""`migctl drill run --all`: a game day."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from migctl.cli import context, output
from migctl.cli.drill_gameday_view import Progress, print_day
from migctl.cli.drill_view import leave_by
from migctl.cli.live import Display

if TYPE_CHECKING:
    from migctl.config import Settings


def run_all(
    settings: Settings,
    only: list[str],
    skip: list[str],
    rate: float | None,
    keep: Path | None,
    output_format: context.OutputFormat,
) -> None:
    """Every file is checked before the first drill begins. keep: has a folder for each drill."""
    from migctl.drills import catalog, history
    from migctl.drills.conducting import conduct
    from migctl.drills.functions.checking import read
    from migctl.drills.gameday import expected_s
    from migctl.drills.holding import chosen, hold
    from migctl.drills.ordering import ordered

    names = chosen(lambda name: read(catalog.path_of(name)), only, skip)
    orders = [
        ordered(settings, name, keep=keep / name if keep is not None else None, rate_per_s=rate)
        for name in names
    ]
    last = history.lengths(settings.state)
    expected = [expected_s(one.checked.drill, last.get(one.name)) for one in orders]
    with Display(quiet=output_format == "json") as display:
        day = hold(orders, Progress(display, expected), conduct)
    if output_format == "json":
        output.document(day)
    else:
        print_day(day, history.page_path(settings.state, day.id))
    leave_by(day.verdict)
