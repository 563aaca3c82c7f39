"""A reader of the tables gets everything that is there and says what is not, whatever relay, pruning, heads and hints do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from migctl.events import Position
from migctl.subscriber.core.catchup import (
    PATIENCE_S,
    PROBES,
    AskLast,
    GoOn,
    Hear,
    Lose,
    Memory,
    ReadRows,
    ReadTombstones,
    Round,
    Step,
    Take,
    stand_of,
)
from migctl.subscriber.core.merge import Item, Merge, Skip
from migctl.subscriber.core.release import Release
from migctl.target.chain import Head
from tests.kit.releases import release

START = datetime(2026, 1, 1, tzinfo=UTC)
Place = tuple[str, int]


class Epoch:
    """journal: how far it goes. written: how far the table was written. told_*: what heads say. lost: of the one before it.

    ever: how far it went before a backup was put back; what lies above the journal then was published, and is nowhere any more.
    """

    def __init__(self, prev: str | None, age: int) -> None:
        self.prev = prev
        self.started_at = START + timedelta(seconds=age)
        self.journal = self.ever = self.written = self.told_table = self.told_journal = 0
        self.tail = 1
        self.lost: tuple[int, int] | None = None


class Reader(RuleBasedStateMachine):
    """The world, and one reader that started before the first event."""

    round_class = Round

    @initialize(first=st.sampled_from(["a", "a", "z"]))
    def begin(self, first: str) -> None:
        self.now = 0.0
        self.epochs = {"a": Epoch(None, 0)}
        self.rows: dict[Place, Item] = {}
        self.tombstones: dict[Place, Item] = {}
        self.merge = Merge(max_gap=1000)
        self.merge.start(Position(first, 0), self.now)  # heads know of no z
        self.memory = Memory()
        self.accounted: dict[str, list[int]] = {"a": [], "z": []}
        self.began: Place = "a", 0
        self.holes: set[Place] = set()
        self.skipped: set[Place] = set()
        self.hinted: set[Place] = set()

    @property
    def last(self) -> Epoch:
        return self.epochs[max(self.epochs)]

    # The world

    @rule(count=st.integers(1, 12))
    def append(self, count: int) -> None:
        self.last.journal += count
        self.last.ever = self.last.journal

    @rule(
        epoch=st.sampled_from("abc"),
        kinds=st.lists(st.sampled_from(["row", "text", "skip", "both"]), max_size=12),
    )
    def relay(self, epoch: str, kinds: list[str]) -> None:
        of = self.epochs.get(epoch) if epoch in self._carried() else None
        for kind in kinds:
            if of is None or of.written == of.journal:
                return
            of.written += 1
            place = epoch, of.written
            if kind in ("row", "both"):
                self.rows[place] = release(of.written, epoch, via="table")
            if kind != "row":
                whole = kind == "text"
                self.tombstones[place] = (
                    release(of.written, epoch, via="table") if whole else Skip(epoch, of.written)
                )
                if not whole:
                    self.skipped.add(place)

    @rule(epoch=st.sampled_from("abc"))
    def move_heads(self, epoch: str) -> None:
        of = self.epochs.get(epoch) if epoch in self._carried() else None
        if of is not None:
            of.told_table, of.told_journal = of.written, max(of.told_journal, of.journal)

    def _carried(self) -> list[str]:
        """Those that the table knows: the relay begins one, with its row of heads, once the one before is carried and told."""
        found = []
        for name, of in self.epochs.items():
            found.append(name)
            if not of.written == of.told_table == of.journal <= of.told_journal:
                break
        return found

    @precondition(lambda self: len(self.epochs) < 3)
    @rule(lost=st.integers(0, 3), unwritten=st.booleans())
    def rotate(self, lost: int, unwritten: bool) -> None:
        """A backup of the journal is put back: what it lacks and the table lacks is lost, told of or not."""
        name, of = max(self.epochs), self.last
        if unwritten:
            of.journal = max(of.written, of.journal - 2)
        of.ever += lost
        new = self.epochs[chr(ord(name) + 1)] = Epoch(name, len(self.epochs))
        new.lost = (of.journal + 1, of.ever) if of.ever > of.journal else None
        self.accounted[max(self.epochs)] = []

    @rule(epoch=st.sampled_from("abc"), count=st.integers(1, 5))
    def prune(self, epoch: str, count: int) -> None:
        """Below what heads vouch for: the tail moves first, then the rows go."""
        of = self.epochs.get(epoch)
        if of is None:
            return
        of.tail = min(of.tail + count, of.told_table + 1)
        for place in [place for place in {**self.rows, **self.tombstones} if self._pruned(place)]:
            self.rows.pop(place, None)
            self.tombstones.pop(place, None)

    def _pruned(self, place: Place) -> bool:
        return place[1] < self.epochs[place[0]].tail

    @rule(data=st.data())
    def a_row_vanishes(self, data: st.DataObject) -> None:
        if self.rows:
            place = data.draw(st.sampled_from(sorted(self.rows)))
            del self.rows[place]
            if place not in self.tombstones:
                self.holes.add(place)

    @rule(epoch=st.sampled_from("abc"), count=st.integers(1, 4))
    def the_end_vanishes(self, epoch: str, count: int) -> None:
        """Rows and tombstones of the highest seqs: a backup of the database is put back, and heads know more."""
        of = self.epochs.get(epoch)
        if of is None:
            return
        for seq in range(of.written, max(of.written - count, of.tail - 1), -1):
            self.rows.pop((epoch, seq), None)
            self.tombstones.pop((epoch, seq), None)
            self.holes.add((epoch, seq))

    @rule(pruned=st.booleans(), gone=st.integers(1, 3), cap=st.integers(1, 5))
    def what_was_written_goes_while_more_is_told_of(self, pruned: bool, gone: int, cap: int) -> None:
        """The relay is behind, and of the tables nothing is left that the reader could take."""
        name, of = max(self.epochs), self.last
        self.append(gone)
        self.relay(name, ["row"] * (of.journal - of.written))
        self.move_heads(name)
        self.prune(name, of.journal) if pruned else self.the_end_vanishes(name, gone)
        self.append(2)
        of.told_journal = of.journal
        for _ in range(PROBES):
            self._round(to_the_end=False, cap=cap)
            self.now += PATIENCE_S

    @rule(waits=st.lists(st.sampled_from([0.0, 1.0, PATIENCE_S]), min_size=PROBES, max_size=2 * PROBES + 2))
    def every_other_row_vanishes_and_is_looked_for(self, waits: list[float]) -> None:
        """Somebody deletes rows, and heads know more; the relay may be about to bring them back."""
        name, of = max(self.epochs), self.last
        self.append(5)
        self.relay(name, ["row"] * (of.journal - of.written))
        self.move_heads(name)
        for seq in (of.written - 3, of.written - 1):
            self.rows.pop((name, seq), None)
            self.holes.add((name, seq))
        for seconds in waits:
            self._round(to_the_end=False, cap=5)
            self.now += seconds

    # The reader

    @rule(data=st.data())
    def hints(self, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from(sorted(self.epochs)))
        if ever := self.epochs[epoch].ever:
            seqs = data.draw(st.lists(st.integers(1, ever), max_size=4))
            self.merge.offer_all([release(seq, epoch) for seq in seqs], self.now)
            self.hinted |= {(epoch, seq) for seq in seqs}

    @rule(data=st.data(), to_the_end=st.booleans(), cap=st.integers(1, 5))
    def round(self, data: st.DataObject, to_the_end: bool, cap: int) -> None:
        self._round(to_the_end=to_the_end, cap=cap, between=lambda: self.hints(data))

    @rule(cap=st.integers(1, 5), hints=st.sampled_from(["none", "names", "whole"]))
    def round_to_the_end_while_events_come(self, cap: int, hints: str) -> None:
        """One with each answer, whatever is told of it: the round ends all the same."""

        def come() -> None:
            self.append(1)
            epoch, seq = max(self.epochs), self.last.journal
            self.relay(epoch, ["row"])
            if hints == "names":
                self.merge.name(epoch, seq, self.now)
            elif hints == "whole":
                self.merge.offer(release(seq, epoch), self.now)
                self.hinted.add((epoch, seq))

        self._round(to_the_end=True, cap=cap, between=come)

    @rule(seconds=st.floats(0.1, 40.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        for item in self.merge.take():
            if isinstance(item, Release):
                self.accounted[item.epoch].append(item.seq)
            elif item.lost_from is not None and item.lost_to is not None:
                self.accounted[item.after.epoch] += range(item.lost_from, item.lost_to + 1)

    def _heads(self) -> list[Head]:
        found = []
        for name in self._carried():
            of = self.epochs[name]
            lost_from, lost_to = of.lost or (None, None)
            head = of.told_table, of.told_journal
            found.append(
                Head(name, of.prev, lost_from, lost_to, "w", 1, of.started_at, of.tail, *head, START)
            )
        return found

    def _round(self, *, to_the_end: bool, cap: int, between: object = None) -> None:
        rule_ = self.round_class(self.memory, self._heads(), to_the_end=to_the_end)
        for _ in range(1000):
            stand = stand_of(self.merge)
            assert stand is not None
            step = rule_.next(stand, self.now)
            if step is None:
                for epoch in rule_.ancestors(stand.top.epoch):
                    self.merge.forget(epoch)
                return
            self._do(step, rule_, stand.top, cap)
            if callable(between):
                between()
        raise AssertionError("it reads for ever")

    def _do(self, step: Step, rule_: Round, top: Position, cap: int) -> None:
        match step:
            case Hear():
                for epoch, head in step.heads:
                    self.merge.hear(epoch, head, self.now)
            case AskLast():
                seqs = [seq for epoch, seq in {**self.tombstones, **self.rows} if epoch == step.epoch]
                rule_.last(max((seq for seq in seqs if seq > step.after), default=None))
            case ReadTombstones():
                rule_.tombstones(self._page(self.tombstones, step.epoch, step.after, cap))
            case ReadRows():
                rows = self._page(self.rows, step.epoch, step.after, cap)
                rule_.rows([row for row in rows if step.upto is None or row.seq <= step.upto])
            case Take():
                for item in step.items:
                    self.merge.offer(item, self.now)
            case Lose():
                self._check_loss(top, top.seq + 1, step.to)
                self.merge.lose(step.to, step.reason, self.now)
            case GoOn():
                if step.lost is not None:
                    self._check_loss(top, *step.lost)
                if step.reason == "epoch":
                    newest = self._carried()[-1]
                    assert step.position == Position(newest, self.epochs[newest].tail - 1), (
                        "all that is there"
                    )
                    self.began = newest, step.position.seq
                self.merge.next_epoch(step.position, self.now, lost=step.lost, reason=step.reason)

    def _page(self, table: dict[Place, Item], epoch: str, after: int, cap: int) -> list[Item]:
        return [table[place] for place in sorted(table) if place[0] == epoch and place[1] > after][:cap]

    def _check_loss(self, top: Position, first: int, last: int) -> None:
        for seq in range(first, last + 1):
            place = top.epoch, seq
            of = self.epochs[top.epoch]
            assert place not in self.rows, f"{place} is a row, and was declared lost"
            assert place not in self.tombstones, f"{place} is a tombstone, and was declared lost"
            assert place not in self.hinted, f"{place} came, waits in the buffer, and was declared lost"
            gone = self._pruned(place) or place in self.holes or of.journal < seq <= of.ever
            assert gone, f"{place} is still to be written, and was declared lost"

    # What holds

    @invariant()
    def what_was_handed_out_or_declared_is_one_run_each_seq_once(self) -> None:
        for epoch, seqs in self.accounted.items():
            assert seqs == sorted(set(seqs)), epoch

    def teardown(self) -> None:
        """The relay catches up, heads tell all, and time passes: then everything that is there is handed out, and it ends."""
        if not hasattr(self, "epochs"):
            return
        for epoch, of in self.epochs.items():
            self.relay(epoch, ["row"] * (of.journal - of.written))
            self.move_heads(epoch)
        for _ in range(3 * PROBES * (len(self.holes) + 3)):
            self._round(to_the_end=True, cap=3)
            self.now += PATIENCE_S + 1
            self.take()
        top = self.merge.top
        assert top == Position(max(self.epochs), self.last.journal)
        for place, item in {**self.tombstones, **self.rows}.items():
            if isinstance(item, Release) and not self._pruned(place) and place > self.began:
                assert place[1] in self.accounted[place[0]], f"{place} is there and was not handed out"
        for epoch, of in self.epochs.items():
            for place in ((epoch, seq) for seq in range(1, of.ever + 1)):
                known = place[1] in self.accounted[epoch] or place in self.skipped or place <= self.began
                assert known, f"{place} was neither handed out nor declared"


Reader.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestReader = Reader.TestCase
