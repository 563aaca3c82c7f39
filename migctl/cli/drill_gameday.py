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
    from migctl.drills.world.project import Project


def may_drill(project: Project, what: str, confirm: str | None) -> None:
    """Go on once the project's name was typed, or given by --confirm. Raises Refused."""
    from migctl.cli.prompt import confirm_name

    question = (
        f"run {what} there: events are published, the line to it is broken, and the events are taken out again "
        "(with SUPABASE_URL unset a drill has a stack of its own)"
    )
    confirm_name(question, project.name, given=confirm and confirm.rstrip("/"), target=project.target)


def run_all(
    settings: Settings,
    only: list[str],
    skip: list[str],
    rate: float | None,
    keep: Path | None,
    output_format: context.OutputFormat,
    project: Project | None,
    confirm: str | None,
) -> None:
    """Every file is checked before the first drill begins. keep: has a folder for each drill."""
    from migctl.drills import catalog, history
    from migctl.drills.conducting import conduct, enter
    from migctl.drills.functions.checking import read
    from migctl.drills.gameday import expected_s
    from migctl.drills.holding import chosen, hold
    from migctl.drills.ordering import ordered

    names = chosen(lambda name: read(catalog.path_of(name)), only, skip, with_stack=project is None)
    orders = [
        ordered(
            settings, name, keep=keep / name if keep is not None else None, rate_per_s=rate, project=project
        )
        for name in names
    ]
    if project is not None:
        may_drill(project, f"{len(orders)} drills", confirm)
        enter(settings.state, project)  # each asks again; what is wrong with all of them is said once
    last = history.lengths(settings.state)
    expected = [expected_s(one.checked.drill, last.get(one.name)) for one in orders]
    with Display(quiet=output_format == "json") as display:
        day = hold(orders, Progress(display, expected), conduct)
    if output_format == "json":
        output.document(day)
    else:
        print_day(day, history.page_path(settings.state, day.id))
    leave_by(day.verdict)
