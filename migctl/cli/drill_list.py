"""`migctl drill list|show|history|clean`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output
from migctl.cli.drill_tables import print_table

if TYPE_CHECKING:
    from migctl.drills.document import Activity
    from migctl.drills.functions.soak import OfFault, OfSoak


def list_drills(output_format: context.OutputOption = "text") -> None:
    """The drills that can be run by their names, and when each was run last here.

    \b
    migctl drill list
    """
    from migctl.config import load
    from migctl.drills import catalog
    from migctl.drills.functions.checking import read
    from migctl.drills.functions.parts import parts_of
    from migctl.drills.history import history as kept

    newest = {one.drill: one for one in kept(load().state)}
    checked = {name: read(catalog.path_of(name)) for name in catalog.names()}
    drills = {name: one.drill for name, one in checked.items()}
    parts = {name: sorted(set(parts_of(one).values())) for name, one in checked.items()}
    if output_format == "json":
        rows = [
            {
                "drill": name,
                "title": drill.title,
                "file": str(catalog.path_of(name)),
                "read_only": drill.read_only,
                "own_project": not parts[name],
                "needs": parts[name],
                "last": None
                if name not in newest
                else {"verdict": newest[name].verdict, "finished_at": newest[name].finished_at.isoformat()},
            }
            for name, drill in drills.items()
        ]
        output.document({"schema": "migctl.drills/1", "drills": rows})
        return
    output.table(
        [("DRILL", "whole"), "WHAT FAILS", ("YOUR PROJECT", "whole"), ("LAST RUN, UTC", "whole")],
        [
            [
                name,
                drill.title,
                "listens" if drill.read_only else "no" if parts[name] else "yes",
                f"{newest[name].verdict}, {newest[name].finished_at:%Y-%m-%d %H:%M}"
                if name in newest
                else "-",
            ]
            for name, drill in drills.items()
        ],
        tight=True,
    )


def show(
    drill: Annotated[str | None, typer.Argument(metavar="[NAME|FILE]", show_default=False)] = None,
    functions: Annotated[
        bool,
        typer.Option("--functions", help="The functions that activities may name, with their arguments."),
    ] = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="The file as it is, to copy and change.")] = False,
    output_format: context.OutputOption = "text",
) -> None:
    """What a drill does, and what must hold; or which functions there are.

    \b
    migctl drill show failover
    """
    from migctl.drills import catalog
    from migctl.drills.functions.checking import read
    from migctl.drills.functions.parts import parts_of
    from migctl.drills.functions.soak import OfSoak
    from migctl.errors import Usage

    context.only_with("--yaml", as_yaml, "NAME", drill is not None)
    if functions and drill is not None:
        raise Usage("--functions are those of every drill, and one is named", do="leave one of them out")
    if functions:
        _show_functions(output_format)
        return
    if drill is None:
        raise Usage("no drill is named", do="name one of `migctl drill list`, or a file; or add --functions")
    path = catalog.path_of(drill)
    if as_yaml:
        output.plain(path.read_text(encoding="utf-8").rstrip())
        return
    checked = read(path)
    found = checked.drill
    if output_format == "json":
        output.document(found.model_dump(mode="json", by_alias=True))
        return
    output.plain(f"{found.title}\n{path}\n\n{found.description.strip()}\n")
    rows = [
        ["steady state", one.name, _provider(one), _tolerance(one)]
        for one in found.steady_state_hypothesis.probes
    ]
    for one in found.method:
        rows.append(["method", one.name, _provider(one), _pauses(one)])
        bound = checked.bound.get(one.name)
        if bound is not None and isinstance(bound.arguments, OfSoak):
            rows += [["drawn", each.name, *_drawn(each, bound.arguments)] for each in bound.arguments.faults]
    rows += [["rollback", one.name, _provider(one), ""] for one in found.rollbacks]
    output.table(["", "ACTIVITY", "DOES", ""], rows)
    output.table(
        ["OBJECTIVE", ("BOUND", "right")],
        [[name, f"{bound:g}"] for name, bound in found.objectives.bounds().items()],
    )
    if found.read_only:
        output.plain("a project of your own: it only listens, and may do so there")
    elif parts := parts_of(checked):
        what = ", ".join(f"{name} ({part})" for name, part in parts.items())
        output.plain(f"a project of your own: no, only a stack of its own has what this acts on: {what}")
    else:
        output.plain("a project of your own: yes, where nothing lives in it yet, and once its name is typed")
    for remedy, measure in found.without.items():
        output.plain(f"--without {remedy}: {measure} must then fail")


def history(
    drill: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False)] = None,
    output_format: context.OutputOption = "text",
) -> None:
    """The drills that were run here, with what they measured, and the game days. Times are in milliseconds.

    \b
    migctl drill history failover
    """
    from migctl.config import load
    from migctl.drills.history import days, page_path
    from migctl.drills.history import history as kept

    state = load().state
    found = [one for one in kept(state) if drill is None or one.drill == drill]
    held = days(state) if drill is None else []
    if output_format == "json":
        output.document({"schema": "migctl.drill-history/1", "drills": found, "gamedays": held})
        return
    if not found and not held:
        output.note("no drill was run here yet: `migctl drill failover`")
        return
    if found:
        print_table(found, dated=True)
    for day in held:
        output.plain(
            f"{day.started_at:%Y-%m-%d %H:%M} game day: {day.verdict}, {day.passed} of {day.asked} passed; "
            f"{page_path(state, day.id)}"
        )


def clean() -> None:
    """Undo what drills left that were killed. The next drill does the same before it begins.

    What one wrote to a project of your own is taken out where SUPABASE_URL and DATABASE_URL name that project; else exit code 1.

    \b
    migctl drill clean
    """
    from migctl.config import load
    from migctl.drills.ledger import clean as undo
    from migctl.drills.ledger import left_behind
    from migctl.drills.world.project import project_of
    from migctl.errors import Wanting

    settings = load()
    state = settings.state
    for left in undo(state, project_of(settings)):
        output.plain(
            f"drill {left.drill} ({left.id}) was killed: {left.folder} {'is kept' if left.kept else 'is gone'}"
        )
        if left.traces is not None:
            output.plain(f"  its events were taken out of {left.traces.project}")
    still = [left for _, left in left_behind(state)]
    for left in still:
        if left.is_running:
            output.note(f"drill {left.drill} ({left.id}) is still running, pid {left.pid}")
    for left in still:
        if not left.is_running and left.traces is not None:
            of = left.traces
            raise Wanting(
                f"drill {left.drill} ({left.id}) was killed, and its events are still in {of.project}, schema {of.schema}",
                do=f"run this again with SUPABASE_URL, SUPABASE_SECRET_KEY and DATABASE_URL of that project ({of.database})",
            )


def _show_functions(output_format: str) -> None:
    from migctl.drills.functions import FUNCTIONS
    from migctl.drills.functions.checking import OWN

    found = [(one.kind, one.name, one.summary, one.arguments) for one in FUNCTIONS.values()]
    found += [("action", name, (of.__doc__ or "").strip().splitlines()[0], of) for name, of in OWN.items()]
    found.sort(key=lambda one: one[:2])
    if output_format == "json":
        output.document(
            [
                {"func": name, "kind": kind, "what": what, "arguments": of.model_json_schema()}
                for kind, name, what, of in found
            ]
        )
        return
    output.table(
        [("FUNC", "whole"), "KIND", "WHAT IT DOES", "ARGUMENTS"],
        [[name, kind, what, ", ".join(of.model_fields)] for kind, name, what, of in found],
    )


def _call(func: str, arguments: Mapping[str, object]) -> str:
    """Lists of keys and values have rows of their own."""
    words = ", ".join(f"{key} {value}" for key, value in arguments.items() if key != "faults")
    return func + (f" ({words})" if words else "")


def _drawn(one: OfFault, of: OfSoak) -> list[str]:
    drawn = {
        **{key: f"one of {', '.join(map(str, values))}" for key, values in one.one_of.items()},
        **{key: f"{low} to {high}" for key, (low, high) in one.between.items()},
    }
    lasts = f"{one.lasts_s:g}" if one.lasts_s is not None else "{:g} to {:g}".format(*of.lasts_s)
    return [_call(one.func, {**one.arguments, **drawn}), f"for {lasts} s"]


def _provider(one: Activity) -> str:
    match one.provider.type:
        case "migctl":
            return _call(one.provider.func, one.provider.arguments)
        case "process":
            return " ".join([one.provider.path, *one.provider.arguments])
        case "http":
            return f"{one.provider.method} {one.provider.url}"


def _tolerance(one: Activity) -> str:
    return "" if one.tolerance is None else f"is {one.tolerance}".lower()


def _pauses(one: Activity) -> str:
    return f"then {one.pauses.after:g} s" if one.pauses.after else ""
