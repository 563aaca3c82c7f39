"""Conducts a drill from its file to its document: cleans up after those that were killed, deploys, runs, judges, keeps.

In a project of the operator's own what the drill wrote is taken out before its document is written: where that fails, so does it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from migctl.clock import now
from migctl.config.files import make_state_folder
from migctl.drills import history, ledger, objectives
from migctl.drills.document import Configuration
from migctl.drills.functions.signs import figures
from migctl.drills.listening import ListenedTo
from migctl.drills.loading import OwnLoad
from migctl.drills.measuring import Found
from migctl.drills.objectives import Objective, Verdict
from migctl.drills.ordering import Order
from migctl.drills.result import Result, Signs, Skew, TimelineEntry
from migctl.drills.running import Run, Watch, shielded
from migctl.drills.world.deployment import Deployment, deployed
from migctl.drills.world.observed import observed
from migctl.drills.world.project import Project, erase, need_idle
from migctl.errors import MigctlError
from migctl.events.ids import uuid7
from migctl.faults.clock import SteppedClock
from migctl.faults.disk import SmallDisk
from migctl.faults.lacking import Lacking
from migctl.rollout import drills

Noted = Callable[[Path], Callable[[], object]]


def equip(on: Deployment, of: Configuration) -> None:
    """Give it what its drill needs of this machine. Raises Lacking."""
    if of.clock:
        on.clock = SteppedClock(on.folder)
    if of.disk_mib is not None:
        on.disk = SmallDisk(on.state, of.disk_mib << 20, on.folder / "disk.log")


def conduct(
    order: Order, watch: Watch, *, equip: Callable[[Deployment, Configuration], None] = equip
) -> Result:
    """Raises MigctlError where it can't even be begun; whatever happens later is in the document, which is kept."""
    enter(order.state, order.project)
    make_state_folder(order.state)
    drill_id, started = f"{now():%Y%m%dT%H%M%S}-{order.name}-{uuid7()[-4:]}", now()

    notes, signs, skew = _Notes(order, drill_id), list[Signs](), None
    if order.checked.drill.read_only:
        run, target, (signs, skew) = _listen(order, watch, notes.noted)
    else:
        run = _rehearse(order, watch, notes, equip)
        target = order.project.name if order.project is not None else "embedded stack"
    result = _result(order, drill_id, run, started, target, signs, skew)
    history.keep(order.state, result)
    if order.counts and not order.without:  # what fails on purpose says nothing of the system
        drills.append(
            order.state, drills.Drilled(order.name, result.verdict, result.finished_at, order.config)
        )
    return result


def enter(state: Path, project: Project | None) -> None:
    """What killed drills left is undone. Raises Refused where somebody lives in the project, and whatever hinders to find out."""
    ledger.clean(state, project)
    if project is not None:
        project.need_keys()
        need_idle(project)


@dataclass
class _Notes:
    """The note of one drill, once there is a folder."""

    order: Order
    drill_id: str
    ledger: ledger.Ledger | None = None

    def noted(self, folder: Path) -> Callable[[], None]:
        note = ledger.ours(self.drill_id, self.order.name, folder, kept=self.order.keep is not None)
        self.ledger = ledger.Ledger(self.order.state, note)
        return self.ledger.done


def _listen(order: Order, watch: Watch, noted: Noted) -> tuple[Run, str, tuple[list[Signs], Skew | None]]:
    """To the deployment that runs: the run, its name, and what it heard. Raises Transient where no serve answers."""
    with observed(order.url, token=order.token, keep=order.keep, noted=noted) as on:
        on.need_status()
        asyncio.run(on.learn())
        run = Run(order.checked, on, ListenedTo(on), watch)
        run.perform()
        return run, on.name, figures(on, run.until or time.time())


def _rehearse(
    order: Order, watch: Watch, notes: _Notes, equip: Callable[[Deployment, Configuration], None]
) -> Run:
    """On a deployment of its own."""
    configuration, project = order.checked.drill.configuration, order.project
    with deployed(
        rtt_s=configuration.rtt_ms / 1000, keep=order.keep, noted=notes.noted, project=project
    ) as on:
        on.settings = order.settings
        on.redis = configuration.redis
        on.supervised = configuration.supervised and "restart" not in order.without
        on.source = configuration.source
        on.flag = None if configuration.flag == "record" else configuration.flag
        on.without = frozenset(order.without)
        run = Run(order.checked, on, OwnLoad(on), watch)
        try:
            equip(on, configuration)
        except Lacking as error:  # nothing was tried, so nothing failed
            run.verdicts.append(("inconclusive", f"{error.what}; {error.do}"))
        else:
            with _as_a_guest(on, project, notes, run):
                run.perform()
    return run


@contextmanager
def _as_a_guest(on: Deployment, project: Project | None, notes: _Notes, run: Run) -> Iterator[None]:
    """What the drill writes to the project in this block is noted before, and taken out after, however the block ends."""
    if project is None:
        yield
        return
    assert notes.ledger is not None
    traces = asyncio.run(on.begin_journal(project))
    notes.ledger.wrote(traces)
    try:
        yield
    finally:
        with shielded(run):
            on.kill()  # a serve that lives would write it again
            try:
                gone = erase(project, traces)
            except MigctlError as error:
                run.conclude(
                    "error",
                    f"what the drill wrote to {project.name} is still there: {error.what}; {error.do}",
                )
            else:
                notes.ledger.erased()
                run.write("rollback", f"{gone} events of the drill were taken out of {project.name}")


def _result(
    order: Order,
    drill_id: str,
    run: Run,
    started: datetime,
    target: str,
    signs: list[Signs],
    skew: Skew | None,
) -> Result:
    drill, found, ended = order.checked.drill, run.found, now()
    judged = objectives.judge(drill.objectives.bounds(), found.measured) if found is not None else []
    verdict, reason = _verdict(run, judged)
    measured = found.measured if found is not None else {}

    def figure(name: str) -> float | None:
        value = measured.get(name)
        return value if isinstance(value, int | float) else None

    def count(name: str) -> int | None:
        value = figure(name)
        return None if value is None else int(value)

    figures = found.figures if found is not None else None
    whole = figures.availability.get("whole", {}) if figures is not None else {}
    return Result(
        id=drill_id,
        drill=order.name,
        title=drill.title,
        verdict=verdict,
        reason=reason,
        started_at=started,
        finished_at=ended,
        seconds=round((ended - started).total_seconds(), 1),
        config=order.config,
        target=target,
        without=order.without,
        rate_per_s=_rate(drill.configuration, run),
        published=_published(found),
        lost=count("lost"),
        duplicates=count("duplicates"),
        out_of_order=count("out_of_order"),
        lost_ids=found.lost_ids if found is not None else [],
        duplicate_ids=found.duplicate_ids if found is not None else [],
        time_to_detect_ms=count("time_to_detect_ms"),
        time_to_fallback_ms=count("time_to_fallback_ms"),
        time_to_recover_ms=count("time_to_recover_ms"),
        longest_silence_ms=count("longest_silence_ms"),
        availability_percent=figure("availability_percent"),
        availability_without_grace_percent=whole.get("availability_without_grace_percent"),
        objectives=judged,
        steady_states=run.steady_states,
        faults=found.faults if found is not None else [],
        subscribers=figures.subscribers if figures is not None else [],
        store=found.store if found is not None else None,
        availability=figures.availability if figures is not None else {},
        timeline=[
            TimelineEntry(
                at_ms=round(1000 * (one.at - (run.began or started.timestamp()))),
                kind=one.kind,
                what=one.what,
            )
            for one in sorted(run.moments, key=lambda one: one.at)
        ],
        series=found.series if found is not None else [],
        states=found.states if found is not None else [],
        seed=run.seed,
        read_only=drill.read_only,
        signs=signs,
        clock_skew=skew,
        missed_without_a_fault=figures.missed_without_a_fault if figures is not None else {},
    )


def _rate(of: Configuration, run: Run) -> float | None:
    """Events a second: as it was asked for, or as they came; None where they were not counted."""
    found = run.found
    if of.source is None and not run.checked.drill.read_only:
        return of.rate_per_s
    if found is None:
        return None
    return round((_published(found) or 0) / max(1.0, run.until - run.began), 1)


def _published(found: Found | None) -> int | None:
    """What was acknowledged; of another's deployment, what it committed meanwhile."""
    if found is None:
        return None
    return (
        found.store.acknowledged
        if found.store is not None
        else sum(round(one.committed) for one in found.series)
    )


def _verdict(run: Run, judged: list[Objective]) -> tuple[Verdict, str]:
    """The worst of what happened and of the objectives; why it is no pass."""
    if run.found is None and run.verdict == "pass":
        if not run.on.subscribers and run.checked.drill.read_only:  # its probes have said all
            return "pass", ""
        return "error", "nothing was judged"
    if run.verdict != "pass":
        return run.verdict, run.reason
    verdict = objectives.worst([one.verdict for one in judged])
    missed = [one for one in judged if one.verdict == verdict and verdict != "pass"]
    unsound = (
        [
            *(["the store"] if run.found.store is not None and not run.found.store.is_sound else []),
            *(one.name for one in run.found.figures.subscribers if one.is_promised and not one.is_sound),
        ]
        if run.found
        else []
    )
    if verdict == "pass" and unsound:
        return "fail", f"not known to be whole: {', '.join(unsound)}"
    return verdict, "; ".join(_words(one) for one in missed)


def _words(one: Objective) -> str:
    return f"{one.name} {one.bound:g}: {one.value:g}" if one.value is not None else f"{one.name}: {one.note}"
