"""Rehearsal: the walk against made-up evidence and a clock that is only a number: two weeks in a second.

| injected | in the middle of its stage |
|---|---|
| loss | one event of each of three windows is lost |
| slow | three windows have a p99 of 10 s |
| silence | no event for a quarter of the soak, at least for longer than evidence may be old |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, cast, get_args

import msgspec

from migctl.errors import Usage
from migctl.rollout import walk
from migctl.rollout.walk import Facts, Mark, Open, Roll, State, Step, Wait, Write
from migctl.rollout.wording import words
from migctl.validate.witness.minute import QUIET, Figures, Minute

Fault = Literal["loss", "slow", "silence"]
EVENTS = 600  # in a window, as much as the strictest stage asks for in two
BAD_WINDOWS = 3
MOVES_S = 5.0
_BOTH = frozenset(("websocket", "realtime"))
# More steps than any walk has: one that goes round and round ends here.
_MOST = 100_000


class Injected(msgspec.Struct, frozen=True):
    """A fault in the middle of a stage."""

    stage: str
    fault: Fault


class Happened(msgspec.Struct, frozen=True):
    """One entry of the timeline. after_s: since the walk began. percent: open to all then."""

    after_s: float
    stage: str
    phase: str
    percent: float
    what: str


def parse(words: Sequence[str], steps: Sequence[Step]) -> list[Injected]:
    """`STAGE:FAULT`, each. Raises Usage."""
    found = list[Injected]()
    for word in words:
        stage, _, fault = word.partition(":")
        if stage not in {step.stage for step in steps} or fault not in get_args(Fault):
            stages = ", ".join(step.stage for step in steps)
            raise Usage(
                f"--inject {word!r}: expected STAGE:FAULT",
                do=f"name a stage ({stages}) and one of {', '.join(get_args(Fault))}",
            )
        found.append(Injected(stage, cast("Fault", fault)))
    return found


class _World:
    """What a walk would see. Windows are made as the clock goes over their ends."""

    def __init__(self, steps: Sequence[Step], faults: Sequence[Injected], begin: datetime) -> None:
        self._faults = {one.stage: one.fault for one in faults}
        self._steps = {step.stage: step for step in steps}
        self._window = timedelta(seconds=steps[0].window_s)
        self.now = begin
        self._next = begin
        self.minutes: list[Minute] = []
        self.percent = 0.0
        self.opened: set[str] = set()
        self.markers = 0
        self._bad: tuple[datetime, datetime, Fault] | None = None
        self._counted: str | None = None

    def soaks(self, state: State) -> None:
        """A soak began: its stage's fault, which happens once, is set for its middle."""
        step, begin = self._steps[state.stage], state.soak_from
        if begin is None or self._counted == state.stage:
            return
        self._counted, self.minutes, self._bad = state.stage, [], None
        fault = self._faults.get(state.stage)
        if fault is not None:
            middle = begin + self._window * (step.soak_minutes // 2)
            windows = BAD_WINDOWS
            if fault == "silence":
                age = int(step.max_evidence_age_s / step.window_s)
                windows = max(step.soak_minutes // 4, age + BAD_WINDOWS)
            self._bad = (middle, middle + self._window * windows, fault)

    def goes(self, seconds: float) -> None:
        """Up to the next moment at which something may change: near a fault, window by window."""
        step = self._window.total_seconds()
        until = self.now + timedelta(seconds=max(seconds, 0.001))
        if self._bad is not None:
            begin, end, _ = self._bad
            if self.now < begin < until:
                until = begin
            elif begin <= self.now <= end + self._window:
                until = min(until, self.now + timedelta(seconds=step))
        self.now = until
        while self._next + self._window <= self.now:
            self.minutes.append(self._minute(self._next))
            self._next += self._window

    def _minute(self, at: datetime) -> Minute:
        fault = None
        if self._bad is not None and self._bad[0] <= at < self._bad[1]:
            fault = self._bad[2]
        made = Minute(id=f"{at:%Y%m%dT%H%M%SZ}", started_at=at, epoch="rehearsal", first_seq=0, last_seq=0)
        if fault == "silence":
            return msgspec.structs.replace(made, verdict="inconclusive", reason=QUIET)
        p99 = 10_000.0 if fault == "slow" else 40.0
        one = Figures(received=EVENTS, latency_p99_ms=p99, latency_n=EVENTS, delay_p99_ms=p99, delay_n=EVENTS)
        lost = 1 if fault == "loss" else 0
        segments = {name for step in self._steps.values() for name in step.segments}
        return msgspec.structs.replace(
            made,
            expected=EVENTS,
            matched=EVENTS - lost,
            lost=lost,
            error_rate_percent=0.0,
            requests=EVENTS,
            availability_percent=100.0,
            transports={"websocket": one, "realtime": one},
            cohorts=dict.fromkeys(("all", *segments), EVENTS),
        )

    def facts(self, state: State, step: Step) -> Facts:
        moved = (self.now - state.since).total_seconds() >= MOVES_S
        marker = f"rehearsal/{self.markers}" if self.markers else None
        share = step.stage in self.opened
        return Facts(
            minutes=self.minutes,
            moved=moved,
            epoch="rehearsal",
            marker=marker,
            released=_BOTH if moved else frozenset(),
            share=share,
        )


def rehearse(
    steps: Sequence[Step], faults: Sequence[Injected], begin: datetime
) -> tuple[list[Happened], State]:
    """The timeline, and where it ended: done, aborted, or paused for a person. A drill that is asked for counts as passed."""
    aligned = begin.timestamp() // steps[0].window_s * steps[0].window_s
    start = datetime.fromtimestamp(aligned, begin.tzinfo)
    world = _World(steps, faults, start)
    names = [step.stage for step in steps]
    state = walk.begun(0, names[0], "rehearsal-0", start)
    timeline = [_entry(world, state, start, "the walk begins")]
    for _ in range(_MOST):
        index = names.index(state.stage)
        step = steps[index]
        following = steps[index + 1] if index + 1 < len(steps) else None
        action = walk.advance(
            state, step, following, world.facts(state, step), world.now, f"rehearsal-{index + 1}"
        )
        if isinstance(action, Wait):
            if state.phase in ("done", "aborted") or state.paused in ("person", "gate", "brake"):
                return timeline, state
            world.goes(MOVES_S if state.phase in ("moving", "settling") else action.left_s or step.window_s)
            continue
        if isinstance(action, Mark):
            world.markers += 1
            continue
        if isinstance(action, Open):
            world.percent = step.percent
            world.opened.add(step.stage)
        if isinstance(action, Roll):
            world.percent = 0.0
            timeline.append(_entry(world, state, start, "braked to 0 %"))
        before, state = state, action.state
        world.soaks(state)
        if isinstance(action, Open):
            timeline.append(_entry(world, state, start, "opened"))
        elif isinstance(action, (Write, Roll)) and (state.phase != before.phase or state.reason):
            timeline.append(_entry(world, state, start, words(state)))
    raise RuntimeError("the walk comes to no end")


def _entry(world: _World, state: State, start: datetime, what: str) -> Happened:
    phase = state.phase if state.paused is None else f"paused: {state.paused}"
    return Happened((world.now - start).total_seconds(), state.stage, phase, world.percent, what)
