"""Runs a drill on a deployment: load, hypothesis, method, hypothesis, rollbacks, hypothesis, drain, verdict.

| what happens                        | rollbacks run | verdict                                                     |
|-------------------------------------|---------------|-------------------------------------------------------------|
| all as it should be                 | yes           | that of the objectives                                      |
| the hypothesis does not hold before | yes           | inconclusive: the method was not begun                      |
| it does not hold after the method   | yes           | fail                                                        |
| it does not hold after the rollbacks | yes          | fail                                                        |
| a probe of the method does not hold | yes           | fail; the method is ended                                   |
| an activity can't be carried out    | yes           | error                                                       |
| a rollback can't be carried out     | the others    | error                                                       |
| Ctrl-C, SIGTERM                     | yes           | terminated; a second one does not stop the rollbacks        |
| a process died that nobody killed   | yes           | fail                                                        |
| not everything came in time         | yes           | fail                                                        |

Every fault is lifted before the hypothesis is checked after the method, whether its drill says so or not. In the main thread.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import randrange
from types import FrameType
from typing import Protocol

from migctl.drills.document import Activity, Configuration, Section
from migctl.drills.functions import Armed, Function
from migctl.drills.functions.checking import Checked, OfLift, OfListen
from migctl.drills.functions.foreign import ask
from migctl.drills.functions.soak import MOST_SEED, OfSoak, plan
from migctl.drills.measuring import Found, Struck
from migctl.drills.objectives import Verdict, worst
from migctl.drills.result import Probed, SteadyState, When
from migctl.drills.sampling import Moment, Sample, Sampler
from migctl.drills.world.around import Around, NotReady
from migctl.drills.world.tail import last_seq
from migctl.errors import MigctlError

TICK_S = 0.1
TRY_S = 0.25


class Interrupted(BaseException):
    """SIGINT or SIGTERM; nothing that carries a drill on may take it for a failure."""


class _Deviated(Exception):
    """A probe of the method did not hold; the rest of the method is not begun."""


class Watch(Protocol):
    """Who looks on. moment: something happened, at unix seconds. tick: time passes."""

    def moment(self, moment: Moment) -> None: ...

    def tick(self, run: Run) -> None: ...


class Load(Protocol):
    """What a drill's subscribers are to receive, and what is made of it. Each may conclude something, and raise MigctlError.

    begin: serve, subscribers and events are there, and `began` is set; not where nothing came to be judged by. check: is asked
    again and again while time passes. end: everything has come, or never will; what was measured, None where nothing is to be.
    """

    def begin(self, run: Run) -> None: ...

    def check(self, run: Run) -> None: ...

    def end(self, run: Run) -> Found | None: ...


@dataclass
class Run:
    """One drill on one deployment. `perform` once. Afterwards all that is known stands in its fields.

    began, until: unix seconds of the time under load; 0.0 before. found: None where it did not come to a judgement.
    seed: by which a soak drew its faults; None where nothing was drawn.
    """

    checked: Checked
    on: Around
    load: Load
    watch: Watch
    began: float = 0.0
    until: float = 0.0
    verdicts: list[tuple[Verdict, str]] = field(default_factory=list)
    steady_states: list[SteadyState] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    _unshown: list[Moment] = field(default_factory=list)
    struck: list[Struck] = field(default_factory=list)
    away: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    found: Found | None = None
    seed: int | None = None
    _armed: dict[str, tuple[str, float, float, Armed]] = field(default_factory=dict)

    @property
    def armed(self) -> list[str]:
        """Faults that are armed now, by the names of their activities."""
        return list(self._armed)

    @property
    def kills_serve(self) -> bool:
        """A fault is armed that does; then it is no wonder that it is gone."""
        return any(function == "kill-serve" for function, *_ in self._armed.values())

    @property
    def verdict(self) -> Verdict:
        """The worst of what happened, before objectives are asked."""
        return worst([verdict for verdict, _ in self.verdicts]) if self.verdicts else "pass"

    @property
    def reason(self) -> str:
        """Why it is no pass; empty where it is one so far."""
        return next((why for verdict, why in self.verdicts if verdict == self.verdict), "")

    def heads(self) -> dict[str, int]:
        """How far each subscriber is, by the last seq that it released; one of the old protocol knows none."""
        there = {name: each for name, each in self.on.subscribers.items() if each.kind != "legacy"}
        return {name: last_seq(each.path) for name, each in there.items()}

    def perform(self) -> None:
        """Raises nothing that a drill can end with: that is in `verdicts`."""
        with (
            _signals(self) as signals,
            Sampler(self.on.status, self._note, every_s=self.on.sample_every_s) as sampler,
        ):
            self.samples = sampler.samples
            try:
                self.load.begin(self)
                if self.began:
                    self._hypothesis("before")
                if self.verdict == "pass":
                    self.pass_time(self.configuration.calm_s)
                    self._method()
                    self._lift_all()
                    self._hypothesis("after")
            except Interrupted as error:
                self.conclude("terminated", str(error))
            except MigctlError as error:
                self.conclude("error", f"{error.what}; {error.do}")
            except _Deviated:
                pass
            signals.shielded = True
            self._lift_all()
            self._roll_back()
            if self.began:
                self._hypothesis("after_rollbacks")
            signals.shielded = self.verdict == "terminated"
            if self.began and self.verdict not in ("terminated", "error"):
                self._drain_and_judge()

    # The parts, in their order

    def _hypothesis(self, when: When) -> None:
        """Checked again and again until it holds, or the time is over; where the drill was cut short, once."""
        self.write("phase", f"hypothesis, {when.replace('_', ' ')}")
        began = time.time()
        limit = 0.0 if self.verdict == "terminated" else self.configuration.steady_within_s
        if (
            when == "after_rollbacks"
            and not self.steady_states[-1].holds
            and not self.checked.drill.rollbacks
        ):
            limit = 0.0  # it has had its time, and nothing was done since
        while True:
            probes = [self._probe(one) for one in self.checked.drill.steady_state_hypothesis.probes]
            holds = all(one.holds for one in probes)
            if holds or time.time() - began >= limit:
                break
            self.pass_time(TRY_S)
        waited = round(1000 * (time.time() - began))
        self.steady_states.append(SteadyState(when=when, holds=holds, waited_ms=waited, probes=probes))
        bad = "; ".join(f"{one.name}: {one.value}" for one in probes if not one.holds)
        self.write("hypothesis", f"{when.replace('_', ' ')}: {'holds' if holds else bad}")
        if not holds:
            # What did not hold before proves nothing against the drill when it does not hold afterwards.
            verdict: Verdict = "fail" if self.steady_states[0].holds else "inconclusive"
            self.conclude(verdict, f"the hypothesis does not hold {when.replace('_', ' ')}: {bad}")

    def _method(self) -> None:
        for activity in self.checked.drill.method:
            self.pass_time(activity.pauses.before)
            if activity.type == "probe":
                found = self._probe(activity)
                self.write("probe", f"{activity.name}: {found.value}")
                if not found.holds:
                    self._deviates(activity, found.value)
                    raise _Deviated
            else:
                self._act(activity)
            self.pass_time(activity.pauses.after)

    def _deviates(self, activity: Activity, value: object) -> None:
        if not self.checked.drill.read_only or value is not None:
            self.conclude("fail", f"{activity.name}: {value} is not tolerated")
            return
        # Who listened and heard nothing has found nothing out.
        why = self.on.trouble()
        nothing = f"{activity.name}: nothing to measure it by" + (f"; {why}" if why else "")
        self.conclude("inconclusive", nothing)

    def _roll_back(self) -> None:
        for activity in self.checked.drill.rollbacks:
            self.write("rollback", activity.name)
            try:
                self._act(activity)
            except MigctlError as error:
                self.conclude("error", f"rollback {activity.name}: {error.what}; {error.do}")

    def _drain_and_judge(self) -> None:
        try:
            self.found = self.load.end(self)
        except Interrupted as error:
            self.conclude("terminated", str(error))
        except MigctlError as error:
            self.conclude("error", f"{error.what}; {error.do}")

    # Activities

    def _probe(self, activity: Activity) -> Probed:
        bound = self.checked.bound.get(activity.name)
        try:
            if bound is not None and bound.function is not None:
                value = bound.function.probe(self.on, bound.arguments)
                return Probed(name=activity.name, value=value, holds=activity.tolerates(value))
            value, good = ask(activity)
            return Probed(name=activity.name, value=value, holds=good)
        except (MigctlError, OSError) as error:
            return Probed(name=activity.name, value=f"error: {error}", holds=False)

    def _act(self, activity: Activity) -> None:
        """Raises MigctlError where it can't be carried out."""
        bound = self.checked.bound.get(activity.name)
        if bound is None:
            value, good = ask(activity)
            self.write("action", f"{activity.name}: {value}")
            if not good:
                raise NotReady(f"{activity.name}: {value}")
        elif isinstance(bound.arguments, OfLift):
            self._lift(bound.arguments.fault)
        elif isinstance(bound.arguments, OfListen):
            self.write("action", f"{activity.name}: {bound.arguments.seconds:g} s")
            self.pass_time(bound.arguments.seconds)
        elif isinstance(bound.arguments, OfSoak):
            self._soak(activity.name, bound.arguments)
        else:
            assert bound.function is not None
            if bound.function.kind == "fault":
                self._arm(activity.name, bound.function, bound.arguments)
                return
            detail = bound.function.act(self.on, bound.arguments)
            self.write("action", f"{activity.name}" + (f": {detail}" if detail else ""))

    def _soak(self, name: str, of: OfSoak) -> None:
        """Arms and lifts what is drawn. A fault that takes long to arm or to lift makes those after it later, not fewer."""
        self.seed = of.seed if of.seed is not None else randrange(MOST_SEED)
        strikes = plan(of, self.seed)
        self.write("action", f"{name}: seed {self.seed}, faults: {len(strikes)} in {of.minutes:g} minutes")
        began = time.time()
        for one in strikes:
            self.pass_time(began + one.at_s - time.time())
            self._arm(one.name, one.function, one.arguments)
            self.pass_time(one.lasts_s)
            self._lift(one.name)
        self.pass_time(began + 60 * of.minutes - time.time())

    def _arm(self, name: str, function: Function, arguments: Section) -> None:
        at = time.time()
        armed = function.arm(self.on, arguments)
        self._armed[name] = (function.name, at, time.time(), armed)
        self.write("fault", f"{name}" + (f": {armed.detail}" if armed.detail else ""), at)

    def _lift(self, name: str) -> None:
        if name not in self._armed:
            return
        function, at, held, armed = self._armed[name]
        armed.lift()
        del self._armed[name]
        now = time.time()
        if armed.away is not None:
            self.away.setdefault(armed.away, []).append((at, now))
        self.struck.append(Struck(name, function, armed.detail, at, held, now, armed.to))
        self.write("lift", name, now)

    def _lift_all(self) -> None:
        """The last one first. One that can't be lifted does not keep the others armed."""
        for name in reversed(list(self._armed)):
            try:
                self._lift(name)
            except MigctlError as error:
                del self._armed[name]
                self.conclude("error", f"{name} could not be lifted: {error.what}; {error.do}")

    # Time

    def pass_time(self, seconds: float) -> None:
        end = time.time() + seconds
        while (left := end - time.time()) > 0:
            self._tick()
            time.sleep(min(TICK_S, left))

    def wait_until(self, condition: Callable[[], bool], within_s: float) -> bool:
        deadline = time.time() + within_s
        while not condition():
            if time.time() > deadline:
                return False
            self._tick()
            time.sleep(TICK_S)
        return True

    def _tick(self) -> None:
        self.watch.tick(self)
        self.load.check(self)

    # Words

    @property
    def configuration(self) -> Configuration:
        return self.checked.drill.configuration

    def conclude(self, verdict: Verdict, why: str) -> None:
        self.verdicts.append((verdict, why))
        self.write("verdict", f"{verdict}: {why}")

    def write(self, kind: str, what: str, at: float | None = None) -> None:
        self._note(Moment(at=time.time() if at is None else at, kind=kind, what=what))

    def heed(self, what: str) -> None:
        """A signal came, maybe in the midst of a line, into which the same thread can write no other: it is shown after that."""
        moment = Moment(at=time.time(), kind="signal", what=what)
        self.moments.append(moment)
        try:
            self.watch.moment(moment)
        except RuntimeError:
            self._unshown.append(moment)

    def _note(self, moment: Moment) -> None:
        self.moments.append(moment)
        self.watch.moment(moment)
        while self._unshown:
            self.watch.moment(self._unshown.pop(0))


@contextmanager
def shielded(run: Run) -> Iterator[None]:
    """While the block lasts a signal is noted only: what it does has to be done whole."""
    with _signals(run) as state:
        state.shielded = True
        yield


@dataclass
class _Signals:
    """shielded: what undoes a drill is not interrupted."""

    shielded: bool = False


@contextmanager
def _signals(run: Run) -> Iterator[_Signals]:
    """While the block lasts SIGINT and SIGTERM raise Interrupted, or, while it is shielded, are noted only."""
    state = _Signals()

    def handle(number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if state.shielded:
            run.heed(f"{name}: rollbacks go on, this takes a moment")
            return
        state.shielded = True
        raise Interrupted(f"{name} came")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
