"""Holds a game day: many drills, one after another.

| what happens to a drill                     | its verdict  | the day                                             |
|---------------------------------------------|--------------|-----------------------------------------------------|
| it ends, with whatever verdict              | its own      | goes on                                             |
| it can't even be begun, or we have a bug    | error        | goes on                                             |
| Ctrl-C, SIGTERM                             | terminated   | ends: the others are not run, and it is terminated  |
| the same while its rollbacks run            | its own      | ends after it                                       |

Each drill is kept and counts for gates as if it were run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from migctl.clock import now
from migctl.drills import catalog, history, objectives
from migctl.drills.functions.checking import Checked
from migctl.drills.functions.parts import parts_of
from migctl.drills.functions.soak import OfSoak
from migctl.drills.gameday import PREFIX, GameDay, Summary, summary_of
from migctl.drills.objectives import Verdict
from migctl.drills.ordering import Order
from migctl.drills.result import Result
from migctl.drills.sampling import Moment
from migctl.errors import MigctlError, Usage
from migctl.events.ids import uuid7

if TYPE_CHECKING:
    from migctl.drills.running import Run, Watch


class DayWatch(Protocol):
    """Who looks on, at what each drill does, too. went_wrong: one came to no document, by an error of ours."""

    def begins(self, order: Order) -> None: ...

    def ended(self, one: Summary) -> None: ...

    def went_wrong(self, error: Exception) -> None: ...

    def moment(self, moment: Moment) -> None: ...

    def tick(self, run: Run) -> None: ...


def chosen(
    checked: Callable[[str], Checked],
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    *,
    with_stack: bool = True,
) -> list[str]:
    """The drills of a day, by name. Raises Usage, and what `checked` raises, which reads a drill's file.

    One that draws its faults, such as soak, is as long as its operator likes: it is left out unless `only` names it. One that is
    read-only is left out: it listens to the deployment that runs, and rehearses nothing. with_stack: False: there is none, so
    those that act on parts of one are left out too, unless `only` names them.
    """
    for name in (*only, *skip):
        catalog.path_of(name)
        if name in only and checked(name).drill.read_only:
            raise Usage(
                f"drill {name} is read-only: it rehearses nothing, and is no part of a game day",
                do=f"run it by itself: `migctl drill {name}`",
            )
    wanted = [name for name in (only or catalog.names()) if name not in skip]
    found = [
        name
        for name in dict.fromkeys(wanted)
        if name in only or not (_by_itself(checked(name)) or (not with_stack and parts_of(checked(name))))
    ]
    if not found:
        raise Usage("no drill is left to run", do="name fewer with --skip, or others with --only")
    return found


def _by_itself(checked: Checked) -> bool:
    return draws(checked) or checked.drill.read_only


def draws(checked: Checked) -> bool:
    """Its faults are drawn by chance."""
    return any(isinstance(bound.arguments, OfSoak) for bound in checked.bound.values())


def hold(orders: Sequence[Order], watch: DayWatch, run: Callable[[Order, Watch], Result]) -> GameDay:
    """Run these, at least one, and keep what they found. In the main thread. run: carries one out, and keeps what it found."""
    began, done = now(), list[Summary]()
    heard = _Heard(watch)
    for order in orders:
        one = _run(order, watch, heard, run)
        done.append(one)
        watch.ended(one)
        if heard.signalled or one.verdict == "terminated":
            break
    not_run = [order.name for order in orders[len(done) :]]
    ended = now()
    cut_short = bool(not_run) or done[-1].verdict == "terminated"
    day = GameDay(
        id=f"{PREFIX}{began:%Y%m%dT%H%M%S}-{uuid7()[-4:]}",
        verdict="terminated" if cut_short else objectives.worst([one.verdict for one in done]),
        started_at=began,
        finished_at=ended,
        seconds=_seconds(began, ended),
        config=orders[0].config,
        target=orders[0].project.name if orders[0].project is not None else "embedded stack",
        drills=done,
        not_run=not_run,
    )
    history.keep_day(orders[0].state, day)
    return day


def _run(order: Order, watch: DayWatch, heard: Watch, run: Callable[[Order, Watch], Result]) -> Summary:
    began = now()

    def none(verdict: Verdict, reason: str) -> Summary:
        return Summary(
            drill=order.name,
            title=order.checked.drill.title,
            id=None,
            verdict=verdict,
            reason=reason,
            started_at=began,
            seconds=_seconds(began, now()),
        )

    try:
        watch.begins(order)
        return summary_of(run(order, heard))
    # Before its load or after its verdict: there was nothing to roll back.
    except (KeyboardInterrupt, SystemExit):
        return none("terminated", "it was interrupted while its stack started or ended")
    except MigctlError as error:
        return none("error", f"{error.what}; {error.do}")
    except Exception as error:  # noqa: BLE001 - one drill's end, whatever it is, is no reason to lose what the others find
        watch.went_wrong(error)
        return none("error", f"an error of ours: {type(error).__name__}: {error}")


class _Heard:
    """Looks on for another, and notes whether a signal came that the drill itself did not end by."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.signalled = False

    def moment(self, moment: Moment) -> None:
        self.signalled = self.signalled or moment.kind == "signal"
        self._watch.moment(moment)

    def tick(self, run: Run) -> None:
        self._watch.tick(run)


def _seconds(began: datetime, ended: datetime) -> float:
    return round((ended - began).total_seconds(), 1)
