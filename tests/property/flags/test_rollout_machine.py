"""The invariants of shares that change hands, over processes, stores that die and come back old, persons, a walker and kills.

The machine plays the world; what is tested is what a process does with what it hears: `merged`, `went_back` and `Assignments`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from migctl.flags.assignment import Assignments, Switch
from migctl.flags.shares import ALL, EVERYTHING, Shares
from migctl.flags.snapshot import Brake, Row, Snapshot, merged, of_row, went_back

SWITCH = Switch("transport", "realtime", "websocket")
USERS = [f"user-{number}" for number in range(60)]
TARGET = "project"


def document(percent: float) -> object:
    rule = Shares("realtime", "websocket", percent=percent).targeting()
    variants = {"websocket": "websocket", "realtime": "realtime"}
    flag = {"state": "ENABLED", "variants": variants, "defaultVariant": "websocket", "targeting": rule}
    return {"flags": {"transport": flag}}


@dataclass
class Process:
    """disk: survives a kill. blind: the record was not reached since the start."""

    disk: Snapshot
    blind: bool = True
    override: str | None = None
    confirmed: dict[str, Brake] = field(default_factory=dict)

    def hold(self, heard: Snapshot) -> None:
        self.disk = merged(self.disk, heard)

    def realtime(self) -> set[str]:
        assignments = Assignments(SWITCH, self.disk, override=self.override, blind=self.blind)
        return {user for user in USERS if assignments.assign(user).variant == "realtime"}


@dataclass
class Record:
    """rows: append-only; brakes: with the rows. alive: may be asked."""

    rows: list[Row] = field(default_factory=list)
    brakes: dict[str, Brake] = field(default_factory=dict)
    alive: bool = True

    @property
    def head(self) -> Row | None:
        return self.rows[-1] if self.rows else None

    def snapshot(self) -> Snapshot:
        said = Snapshot(target=TARGET, brakes=self.brakes)
        for row in self.rows:
            said = merged(said, of_row(TARGET, row))
        return said

    def live(self) -> set[str]:
        lifted = {brake_id for row in self.rows for brake_id in row.lifts}
        return set(self.brakes) - lifted


percents = st.sampled_from([0.0, 1.0, 25.0, 50.0, 75.0, 100.0])
splits = st.sampled_from([ALL, EVERYTHING])


class World(RuleBasedStateMachine):
    brakes = Bundle("brakes")

    @initialize()
    def begin(self) -> None:
        self.record = Record()
        self.redis = Snapshot(target=TARGET)
        self.redis_alive = True
        self.backups: list[Record] = []
        self.old_redis: list[Snapshot] = []
        self.processes = [Process(Snapshot(target=TARGET)) for _ in range(3)]
        self.clock = itertools.count(1)
        self.ids = itertools.count()
        self.raised: list[tuple[Row, float]] = []
        self._write(None, 0.0, ())

    def _write(self, seen: int | None, percent: float, lifts: tuple[str, ...]) -> Row:
        """n: above the head, the clock and what the caller saw, so that a record put back never gives one twice."""
        head = self.record.head
        n = max((head.n if head else 0) + 1, next(self.clock), (seen or 0) + 1)
        row = Row(n=n, id=f"row-{next(self.ids)}", document=document(percent), lifts=lifts)
        self.record.rows.append(row)
        self.raised.append((row, percent))
        return row

    # Persons and the walker

    @rule(percent=percents, sees=st.booleans())
    def a_person_raises(self, percent: float, sees: bool) -> None:
        """With the brakes that are live in the record named, as they were shown; else it is refused."""
        if not self.record.alive:
            return
        live = self.record.live()
        if live and not sees:
            return  # refused: somebody's brake that nobody saw is not lifted
        known = max(process.disk.n for process in self.processes)
        self._write(known, percent, tuple(sorted(live)))

    @rule(
        target=brakes, percent=percents, split=splits, reaches=st.sets(st.integers(0, 2)), redis=st.booleans()
    )
    def a_person_lowers(self, percent: float, split: str, reaches: set[int], redis: bool):  # type: ignore[no-untyped-def]
        brake = Brake(id=f"brake-{next(self.ids)}", flag="transport", max_percent=percent, split=split)
        for number in reaches:
            self.processes[number].hold(Snapshot(target=TARGET, brakes={brake.id: brake}))
            self.processes[number].confirmed[brake.id] = brake
        if redis and self.redis_alive:
            self.redis = merged(self.redis, Snapshot(target=TARGET, brakes={brake.id: brake}))
        if self.record.alive and (reaches or redis):
            self.record.brakes.setdefault(brake.id, brake)
        return brake if reaches else multiple()

    # Processes

    @rule(number=st.integers(0, 2))
    def asks_the_record(self, number: int) -> None:
        process = self.processes[number]
        if not self.record.alive:
            return
        for brake in went_back(process.disk, self.record.head, "transport", "realtime", "websocket"):
            process.hold(Snapshot(target=TARGET, brakes={brake.id: brake}))
            process.confirmed[brake.id] = brake
        process.hold(self.record.snapshot())
        process.blind = False

    @rule(number=st.integers(0, 2))
    def asks_redis(self, number: int) -> None:
        if self.redis_alive:
            self.processes[number].hold(self.redis)

    @rule(number=st.integers(0, 2))
    def hands_its_brakes_on(self, number: int) -> None:
        disk = self.processes[number].disk
        if self.redis_alive:
            self.redis = merged(
                self.redis, Snapshot(target=TARGET, brakes=disk.brakes, lifts=disk.lifts, rows=disk.rows)
            )
        if self.record.alive:
            lifted = {brake_id for row in self.record.rows for brake_id in row.lifts}
            for brake in disk.brakes.values():
                if brake.id not in lifted and brake.id not in disk.lifts:
                    self.record.brakes.setdefault(brake.id, brake)

    @rule(number=st.integers(0, 2))
    def is_killed_and_starts_again(self, number: int) -> None:
        self.processes[number].blind = True

    @rule(number=st.integers(0, 2), override=st.sampled_from(["websocket", "realtime", None]))
    def has_its_kill_switch_set(self, number: int, override: str | None) -> None:
        self.processes[number].override = override

    # Stores

    @rule()
    def the_record_is_backed_up(self) -> None:
        self.backups.append(Record(list(self.record.rows), dict(self.record.brakes)))

    @rule(data=st.data())
    def the_record_is_put_back(self, data: st.DataObject) -> None:
        if self.backups:
            chosen = data.draw(st.sampled_from(self.backups))
            self.record = Record(list(chosen.rows), dict(chosen.brakes))

    @rule(alive=st.booleans())
    def the_record_goes_or_returns(self, alive: bool) -> None:
        self.record.alive = alive

    @rule()
    def redis_is_saved(self) -> None:
        self.old_redis.append(self.redis)

    @rule(data=st.data())
    def redis_returns_old_or_empty(self, data: st.DataObject) -> None:
        self.redis = data.draw(st.sampled_from([*self.old_redis, Snapshot(target=TARGET)]))

    @rule(alive=st.booleans())
    def redis_goes_or_returns(self, alive: bool) -> None:
        self.redis_alive = alive

    # What must hold

    @invariant()
    def a_confirmed_brake_holds_until_a_row_that_names_it_is_held(self) -> None:
        for process in self.processes:
            if process.override is not None:
                continue
            has = process.realtime()
            for brake in process.confirmed.values():
                lifted_at = process.disk.lifts.get(brake.id)
                if lifted_at is not None and lifted_at <= process.disk.n:
                    continue
                allowed = Snapshot(target=TARGET).with_row(
                    Row(n=1, id="x", document=document(brake.max_percent))
                )
                most = Assignments(SWITCH, allowed)
                assert has <= {user for user in USERS if most.assign(user).variant == "realtime"}

    @invariant()
    def nobody_has_more_than_some_up_row_said(self) -> None:
        most = max(percent for _, percent in self.raised)
        row = Row(n=1, id="x", document=document(most))
        allowed = Assignments(SWITCH, Snapshot(target=TARGET).with_row(row))
        for process in self.processes:
            if process.override is None:
                assert process.realtime() <= {
                    user for user in USERS if allowed.assign(user).variant == "realtime"
                }

    @invariant()
    def the_kill_switch_beats_everything(self) -> None:
        for process in self.processes:
            if process.override is not None:
                assert process.realtime() == (set(USERS) if process.override == "realtime" else set())

    @invariant()
    def any_order_of_merges_gives_the_same(self) -> None:
        a, b, c = (process.disk for process in self.processes)
        assert merged(merged(a, b), c) == merged(a, merged(b, c)) == merged(merged(c, a), b)
        assert merged(a, a) == a

    @rule(percent=percents)
    def once_all_is_back_a_raise_reaches_every_process(self, percent: float) -> None:
        """Hand on, see, raise with what was shown, hear: no brake is left that nobody can end."""
        self.record.alive = self.redis_alive = True
        for number in range(3):
            self.asks_the_record(number)
            self.hands_its_brakes_on(number)
        known = max(process.disk.n for process in self.processes)
        self._write(known, percent, tuple(sorted(self.record.live())))
        row = Row(n=1, id="x", document=document(percent))
        wanted = Assignments(SWITCH, Snapshot(target=TARGET).with_row(row))
        expected = {user for user in USERS if wanted.assign(user).variant == "realtime"}
        for number, process in enumerate(self.processes):
            self.asks_the_record(number)
            process.override = None
            assert process.realtime() == expected, (process.disk.live_brakes(), percent)


World.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestWorld = World.TestCase
