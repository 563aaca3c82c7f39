"""Walkers among persons, brakes, processes that are killed and records that are put back: what they do with what they read.

A walker reads, and acts later on what it read then, as one does that is held up in between; the record takes what its functions do.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from migctl.flags.shares import EVERYTHING, Shares
from migctl.flags.snapshot import Brake, Snapshot, merged, shares_in
from migctl.rollout import walk
from migctl.rollout.gates import Gate
from migctl.rollout.opening import brake_id, braked, is_open, marker_id
from migctl.rollout.walk import Facts, Mark, Open, Roll, State, Step, Wait
from tests.property.flags.test_rollout_machine import TARGET, Record, World
from tests.unit.rollout.test_walk import BOTH, T0, minutes

STEPS = [
    Step(
        stage=f"2b-{percent:g}", percent=percent, gates=(Gate("max_lost", 0),), soak_minutes=2,
        max_evidence_age_s=1e9, move_timeout_s=60, settle_timeout_s=30,
    )
    for percent in (25.0, 50.0, 100.0)
]  # fmt: skip
NAMES = [step.stage for step in STEPS]
EVIDENCE = {name: minutes(30, lost=lost) for name, lost in (("good", 0), ("bad", 1))}


@dataclass
class Walked(Record):
    """With the row of the rollout: it is put back with all the others."""

    version: int = 0
    state: State | None = None
    holder: int | None = None
    fence: int = 0


@dataclass(frozen=True)
class View:
    """What a walker read, in the order in which it reads. row: the number and the id of the newest of the flags."""

    row: tuple[int, str]
    shares: Shares | None
    brakes: tuple[Brake, ...]
    version: int
    state: State | None
    fence: int


class WalkedWorld(World):
    record: Walked

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.record = Walked(self.record.rows)
        self.views: dict[int, View] = {}
        self.markers: dict[str, str] = {}
        self.steps = 0
        self.walked: list[tuple[str, ...]] = []
        self.backed: list[Walked] = []

    def _move(self, state: State) -> None:
        self.record.version += 1
        self.record.state = msgspec.structs.replace(state, version=self.record.version)

    def _now(self) -> datetime:
        """After all evidence, so that a soak that begins has none but what is drawn for it."""
        self.steps += 1
        return T0 + timedelta(seconds=self.steps)

    # Persons; the base class has those who only touch the flags

    @precondition(lambda self: self.record.alive and self.record.state is not None)
    @rule(stop=st.booleans())
    def a_person_pauses_or_aborts(self, stop: bool) -> None:
        assert self.record.state is not None
        if stop:
            brake_name = f"abort-{next(self.ids)}"
            self.record.brakes[brake_name] = Brake(
                id=brake_name, flag="transport", max_percent=0, split=EVERYTHING
            )
            self._move(walk.aborted(self.record.state, "no more", self._now()))
        elif self.record.state.phase not in ("done", "aborted"):
            self._move(walk.paused(self.record.state, "lunch", self._now()))

    @precondition(lambda self: self.record.alive and self.record.state is not None)
    @rule()
    def a_person_resumes(self) -> None:
        """With every live brake named, in one transaction."""
        state = self.record.state
        assert state is not None
        if state.phase in ("paused", "aborted"):
            self._move(walk.resumed(state, NAMES[0], f"step-{next(self.ids)}", self._now()))
            known = max(process.disk.n for process in self.processes)
            self._write(known, self._share(), tuple(sorted(self.record.live())))

    def _share(self) -> float:
        assert self.record.head is not None
        shares = shares_in(self.record.head, "transport", "realtime", "websocket")
        assert shares is not None
        return shares.percent

    # Walkers

    @precondition(lambda self: self.record.alive)
    @rule(number=st.integers(0, 1), expired=st.booleans())
    def a_walker_reads(self, number: int, expired: bool) -> None:
        """Flags first, then the lease with the state. expired: the other one was silent for so long that its lease is over."""
        record = self.record
        head = record.head
        assert head is not None
        live = tuple(record.brakes[one] for one in sorted(record.live()))
        if record.holder not in (None, number) and not expired:
            self.views.pop(number, None)
            return
        if record.holder != number or expired:
            record.holder, record.fence = number, record.fence + 1
        shares = shares_in(head, "transport", "realtime", "websocket")
        self.views[number] = View((head.n, head.id), shares, live, record.version, record.state, record.fence)

    @precondition(lambda self: self.views)
    @rule(
        data=st.data(),
        evidence=st.sampled_from(sorted(EVIDENCE)),
        killed=st.booleans(),
        reaches=st.sets(st.integers(0, 2)),
    )
    def a_walker_acts(self, data: st.DataObject, evidence: str, killed: bool, reaches: set[int]) -> None:
        """On what it read, whenever that was. killed: between the brake and the word for it."""
        self._act(data.draw(st.sampled_from(sorted(self.views))), evidence, killed, reaches)

    @precondition(lambda self: self.record.alive)
    @rule(
        number=st.integers(0, 1),
        rounds=st.integers(1, 30),
        evidence=st.sampled_from(["good", "good", "bad"]),
        reaches=st.sets(st.integers(0, 2)),
    )
    def a_walker_walks(self, number: int, rounds: int, evidence: str, reaches: set[int]) -> None:
        """Nobody is in its way for so many rounds."""
        for _ in range(rounds):
            self.a_walker_reads(number, expired=True)
            self._act(number, evidence, killed=False, reaches=reaches)

    def _act(self, number: int, evidence: str, killed: bool, reaches: set[int]) -> None:
        view, now = self.views.pop(number), self._now()
        if view.state is None:
            self._write_state(view, walk.begun(view.version, NAMES[0], f"step-{next(self.ids)}", now))
            return
        index = NAMES.index(view.state.stage)
        step, following = STEPS[index], STEPS[index + 1] if index + 1 < len(STEPS) else None
        marker = self.markers.get(marker_id(view.state, "e")) or view.state.marker
        begin = view.state.soak_from or now
        facts = Facts(
            minutes=[
                msgspec.structs.replace(one, started_at=begin + timedelta(minutes=place))
                for place, one in enumerate(EVIDENCE[evidence])
            ],
            moved=True,
            epoch="e",
            marker=marker,
            released=BOTH,
            braked=braked(view.shares, view.brakes, step, own={brake_id(view.state)})
            if view.shares
            else None,
            share=view.shares is not None and is_open(view.shares, step),
        )
        action = walk.advance(view.state, step, following, facts, now, f"step-{next(self.ids)}")
        if isinstance(action, Wait):
            return
        if isinstance(action, Mark):
            self.markers[marker_id(view.state, "e")] = f"e/{len(self.markers) + 1}"
            return
        if isinstance(action, Open):
            self._open(view, action, step)
            return
        if isinstance(action, Roll):
            brake = Brake(id=brake_id(view.state), flag="transport", max_percent=0, split=EVERYTHING)
            for one in reaches:
                self.processes[one].hold(Snapshot(target=TARGET, brakes={brake.id: brake}))
                self.processes[one].confirmed[brake.id] = brake
            if self.redis_alive:
                self.redis = merged(self.redis, Snapshot(target=TARGET, brakes={brake.id: brake}))
            if self.record.alive:
                self.record.brakes.setdefault(brake.id, brake)
            if killed:
                return
        self._write_state(view, action.state)

    def _is_taken(self, view: View) -> bool:
        """Whether the record takes a write of this walker."""
        record = self.record
        return record.alive and record.version == view.version and record.fence == view.fence

    def _write_state(self, view: View, state: State) -> None:
        if self._is_taken(view):
            self._move(state)
            self.walked.append(state.passed)
            event(f"{state.stage} {state.phase} {state.paused or ''}")

    def _open(self, view: View, action: Open, step: Step) -> None:
        """In one transaction: the state, the row, and no brake that is not named. It names none."""
        head = self.record.head
        assert head is not None
        if not self._is_taken(view) or (head.n, head.id) != view.row or self.record.live():
            return
        assert self.record.state is not None
        assert self.record.state.phase == "moving"
        assert view.shares is not None
        event(f"opened {step.stage}")
        self._move(action.state)
        known = max(process.disk.n for process in self.processes)
        self._write(known, max(step.percent, view.shares.percent), ())

    # The record is put back with the row of its rollout

    @rule()
    def the_record_is_backed_up(self) -> None:
        self.backed.append(
            dataclasses.replace(self.record, rows=list(self.record.rows), brakes=dict(self.record.brakes))
        )

    @rule(data=st.data())
    def the_record_is_put_back(self, data: st.DataObject) -> None:
        if self.backed:
            chosen = data.draw(st.sampled_from(self.backed))
            self.record = dataclasses.replace(chosen, rows=list(chosen.rows), brakes=dict(chosen.brakes))

    @invariant()
    def no_stage_is_passed_over(self) -> None:
        for passed in self.walked:
            assert list(passed) == sorted(set(passed), key=NAMES.index)
            assert list(passed) == NAMES[: len(passed)]


WalkedWorld.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
TestWalkedWorld = WalkedWorld.TestCase
