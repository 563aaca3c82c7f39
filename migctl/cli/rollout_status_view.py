"""How a rollout looks on a terminal of 80 columns and more: where it stands, gates, brakes, processes; its plan and its history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from migctl.events.durations import lasting
from migctl.rollout.report import RolloutStatus, SharesView

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from migctl.flags.record import Audited
    from migctl.rollout.judgement import GateView
    from migctl.rollout.stages import Stage

_STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "terminated": "yellow"}
_BAR = 24


def view(of: RolloutStatus) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, line in _lines(of):
        grid.add_row(name, line if isinstance(line, Text) else Text(line))
    parts: list[RenderableType] = [grid]
    if of.gates:
        parts.append(_gates(of.gates))
        parts += [Text(line, style="yellow") for line in _missing(of.gates)]
    if of.problems:
        parts.append(Text("not well", style="bold red"))
        listed = Table.grid(padding=(0, 0), pad_edge=False)
        listed.add_column(no_wrap=True)
        listed.add_column(overflow="fold")
        for problem in of.problems:
            listed.add_row("  ", Text(problem))
        parts.append(listed)
    return Group(*parts)


def line(of: RolloutStatus) -> str:
    """For pipes: where it stands, with the time."""
    parts = [f"{of.stage or 'no stage yet'}, {of.state.phase or 'nothing began'}"]
    if of.state.paused_by is not None:
        parts[0] += f" by {of.state.paused_by}"
    parts.append(f"{_percent(of.percent)} on Realtime{', DISABLED' if of.disabled else ''}")
    if of.evidence is not None:
        parts.append(f"gates {of.evidence.verdict}")
    if of.processes:
        parts.append(f"{sum(one.agrees for one in of.processes)} of {len(of.processes)} processes agree")
    if of.state.awaits:
        parts.append(f"awaits {of.state.awaits}")
    parts += of.problems
    return f"{of.at:%Y-%m-%dT%H:%M:%SZ} {'; '.join(parts)}"


def changes(of: RolloutStatus) -> object:
    """What another line is worth. Figures that move, ages and what is left, are none."""
    gates = [(gate.name, gate.verdict) for gate in of.gates]
    processes = [(one.name, one.agrees) for one in of.processes]
    brakes = [brake.id for brake in (*of.brakes, *of.own)]
    shares = of.percent, of.written, of.effective, of.disabled
    return of.tier, of.stage, of.state.phase, of.state.paused_by, shares, gates, processes, brakes


def _lines(of: RolloutStatus) -> Iterator[tuple[str, str | Text]]:
    from rich.text import Text

    yield "target", of.target
    yield "flag", f"{of.flag}, n {of.n}" + (", DISABLED" if of.disabled else "")
    if of.away is not None:
        yield "from", f"{of.tier}: the record is away"
    share = Text(f"{_percent(of.percent)} ")
    if of.percent is not None:
        filled = round(_BAR * of.percent / 100)
        share.append("━" * filled, style="green").append("━" * (_BAR - filled), style="dim")
    if of.effective is not None:
        share.append(_besides(of.effective))
    if of.written is not None and of.effective is not None and of.written != of.effective:
        share.append(f"; written {_percent(of.written.percent)}{_besides(of.written)}", style="yellow")
    yield "on Realtime", share
    yield "stage", "none yet" if of.stage is None else f"{of.stage}, {of.title}"
    state = of.state
    if state.phase is not None:
        by = f" by {state.paused_by}" if state.paused_by is not None else ""
        yield "state", f"{state.phase}{by}" + (f": {state.reason}" if state.reason else "")
    if state.awaits:
        yield "awaits", state.awaits
    if state.left_s is not None:
        yield "left", f"about {lasting(state.left_s)}"
    if of.walker is not None:
        yield "walked by", f"{of.walker.holder}, lease until {of.walker.until:%H:%M:%S}"
    if of.evidence is not None:
        age = "" if of.evidence.age_s is None else f", the newest {lasting(of.evidence.age_s)} ago"
        yield "evidence", f"{of.evidence.gathered:,} of {of.evidence.needed:,} minutes{age}"
    for brake in of.brakes:
        why = brake.reason or "no reason"
        yield (
            "brake",
            f"{brake.split} at most {brake.max_percent:g} %, by {brake.by} at {brake.at[:19]}Z: {why} ({brake.id})",
        )
    agree = sum(one.agrees for one in of.processes)
    yield "processes", f"{agree} of {len(of.processes)} agree" if of.processes else "none is known"
    for one in of.processes:
        mark = Text("✓ ", style="green") if one.agrees else Text("✗ ", style="red")
        n = f"n {one.n}" if one.n is not None else "n ?"
        yield "", mark.append(f"{one.name}, {n}" + (f": {one.why}" if one.why else ""))


def _besides(of: SharesView) -> str:
    parts = [f"{name} {percent:g} %" for name, percent in of.segments.items()]
    if of.users:
        parts.append(f"{of.users} user{'s' if of.users != 1 else ''}")
    return f"  {', '.join(parts)}" if parts else ""


def _gates(gates: Sequence[GateView]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="dim")
    drawn.add_column("GATE", no_wrap=True)
    for name in ("BOUND", "WORST", "EVENTS", "MIN"):
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column("VERDICT", overflow="fold")
    for gate in gates:
        verdict = Text(gate.verdict, style=_STYLES.get(gate.verdict, ""))
        if gate.dry_run:
            verdict = Text(f"{gate.verdict} (dry run)", style="dim")
        if gate.beyond:
            verdict.append(f": beyond in {gate.beyond} min, {gate.failure_limit} may be", style="default")
        value = "-" if gate.value is None else f"{gate.value:g}"
        drawn.add_row(gate.name, f"{gate.bound:g}", value, f"{gate.samples:,}", f"{gate.evidence:,}", verdict)
    return drawn


def _missing(gates: Sequence[GateView]) -> Iterator[str]:
    """What evidence is missing, once for all gates that miss the same."""
    found: dict[str, list[str]] = {}
    for gate in gates:
        if gate.missing is not None:
            found.setdefault(gate.missing, []).append(gate.name)
    for words, names in found.items():
        yield f"missing: {words} ({', '.join(names) if len(names) < len(gates) else 'every gate'})"


def plan(stages: Sequence[Stage], of: RolloutStatus) -> Table:
    """A line a step; what must hold in each of them is below: `in_each`."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name in ("", "STAGE", "OPENS"):
        drawn.add_column(name, no_wrap=name != "OPENS")
    drawn.add_column("SOAK", justify="right", no_wrap=True)
    common = _common(stages)
    drawn.add_column("MUST HOLD BESIDES" if common else "MUST HOLD", overflow="fold")
    for stage in stages:
        mark = "▶" if stage.stage == of.stage else "✓" if stage.stage in of.passed else ""
        opens = [
            f"{stage.open.percent:g} %",
            *(f"{name} {share:g} %" for name, share in stage.open.segments.items()),
        ]
        holds = [bound for bound in _bounds(stage) if bound not in common]
        holds += [f"drill {name}" for name in stage.drills]
        style = "bold" if mark == "▶" else ""
        cells = [mark, stage.stage, ", ".join(opens), lasting(60.0 * stage.soak_minutes), ", ".join(holds)]
        drawn.add_row(*(Text(cell, style=style) for cell in cells))
    return drawn


def in_each(stages: Sequence[Stage]) -> Iterator[str]:
    """What must hold in every step, once."""
    common = _common(stages)
    if common:
        yield "must hold in each:"
        yield from (f"  {bound}" for bound in common)


def _common(stages: Sequence[Stage]) -> list[str]:
    first, *others = [_bounds(stage) for stage in stages]
    return [bound for bound in first if all(bound in bounds for bounds in others)]


def _bounds(stage: Stage) -> list[str]:
    return [_bound(gate.model_dump(exclude_none=True)) for gate in stage.gates]


def _bound(gate: dict[str, object]) -> str:
    name = next(key for key in gate if key.startswith(("min_", "max_")) and key != "min_events")
    value = gate[name]
    words = f"{value:g}" if isinstance(value, float | int) else str(value)
    return f"{name} {words}" + (" (dry run)" if gate.get("dry_run") else "")


def entry(one: Audited) -> list[str]:
    """Of the history."""
    return [
        one.at[:19].replace("T", " "),
        one.actor,
        one.action.removeprefix("rollout.").removeprefix("flags."),
        _to(one),
        one.reason,
    ]


def _to(one: Audited) -> str:
    after = one.after if isinstance(one.after, dict) else {}
    if one.action == "flags.forget":
        before = one.before if isinstance(one.before, dict) else {}
        return f"without {before.get('name', '?')}"
    if "max_percent" in after:
        return f"{after.get('split')} at most {after['max_percent']:g} %"
    return f"{after.get('stage', '?')}, {after.get('phase', '?')}"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:g} %"
