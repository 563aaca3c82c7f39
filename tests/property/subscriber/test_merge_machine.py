"""A reader's releases are one contiguous run, each once, whatever happens to the hints."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from migctl.events import Position
from migctl.subscriber.core.merge import Item, Merge, Skip
from migctl.subscriber.core.release import Discontinuity, Release

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def release(epoch: str, seq: int, via: str = "live", size: int = 10) -> Release:
    return Release(
        id=f"{epoch}-{seq}",
        epoch=epoch,
        seq=seq,
        event_type="t",
        timestamp="2026-01-01T00:00:00.000000Z",
        source="s",
        data=b"x" * size,
        committed_at=None,
        via=via,  # type: ignore[arg-type]
        received_at=WHEN,
        received_mono_ns=0,
        transport="realtime",
    )


class Reader(RuleBasedStateMachine):
    """The world: epochs with events, some of which are skipped or lost; a table that lags; hints that do as they like."""

    merge_class = Merge

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        # Room for a dozen items and gaps of up to twenty, so that both bounds are met.
        self.merge = self.merge_class(max_buffer_bytes=12 * 620, max_gap=20)
        self.sizes = {"a": 0}
        self.order = ["a"]
        self.lost: dict[str, tuple[int, int]] = {}
        self.declared: dict[tuple[str, int], int] = {}  # from where up to where, within an epoch
        self.skips: set[tuple[str, int]] = set()
        self.started_at: Position | None = None
        self.taken: list[Release | Discontinuity] = []

    def item(self, epoch: str, seq: int, via: str) -> Item:
        return Skip(epoch, seq) if (epoch, seq) in self.skips else release(epoch, seq, via)

    @rule(count=st.integers(1, 30), skip=st.sets(st.integers(0, 29), max_size=3))
    def append(self, count: int, skip: set[int]) -> None:
        epoch = self.order[-1]
        first = self.sizes[epoch] + 1
        self.sizes[epoch] += count
        self.skips |= {(epoch, first + at) for at in skip if at < count}

    @precondition(lambda self: len(self.order) < 4)
    @rule(lost=st.integers(0, 5))
    def rotate(self, lost: int) -> None:
        old = self.order[-1]
        new = chr(ord(old) + 1)
        if lost:
            self.lost[old] = (self.sizes[old] + 1, self.sizes[old] + lost)
        self.order.append(new)
        self.sizes[new] = 0

    @precondition(lambda self: self.started_at is None)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        epoch = self.order[-1]
        self.started_at = Position(epoch, data.draw(st.integers(0, self.sizes[epoch])))
        self.merge.start(self.started_at, self.now)

    @rule(data=st.data(), passed=st.floats(0, 0.3))
    def hints(self, data: st.DataObject, passed: float) -> None:
        """Any seqs of any epoch, in any order, as often as they like."""
        self.now += passed
        epoch = data.draw(st.sampled_from(self.order))
        if self.sizes[epoch] == 0:
            return
        seqs = data.draw(st.lists(st.integers(1, self.sizes[epoch]), max_size=12))
        self.merge.offer_all(
            [release(epoch, seq) for seq in seqs if (epoch, seq) not in self.skips], self.now
        )

    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from(self.order))
        self.merge.hear(epoch, self.sizes[epoch], self.now)

    @rule(data=st.data())
    def reference(self, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from(self.order))
        if self.sizes[epoch]:
            self.merge.name(epoch, data.draw(st.integers(1, self.sizes[epoch])), self.now)

    @precondition(lambda self: self.started_at is not None)
    @rule(length=st.integers(1, 15))
    def page(self, length: int) -> None:
        """What follows the run, from the tables; at the end of an epoch the next begins."""
        top = self.merge.top
        assert top is not None
        if top.seq >= self.sizes[top.epoch]:
            self.end_epoch(top)
            return
        last = min(self.sizes[top.epoch], top.seq + length)
        for seq in range(top.seq + 1, last + 1):
            item = self.item(top.epoch, seq, "table")
            if not self.merge.fits(item):
                return
            self.merge.offer(item, self.now)

    @precondition(lambda self: self.merge.missing() is not None)
    @rule(count=st.integers(1, 4), again=st.booleans())
    def lose(self, count: int, again: bool) -> None:
        """Of what is not there; to declare it once more changes nothing."""
        top, missing = self.merge.top, self.merge.missing()
        assert top is not None
        assert missing is not None
        to = min(missing[1], top.seq + count, self.sizes[top.epoch])
        if to > top.seq:
            self.declared[top.epoch, top.seq + 1] = to
            self.merge.lose(to, "broken", self.now)
            if again:
                self.merge.lose(to, "lost", self.now)

    def end_epoch(self, top: Position) -> None:
        following = self.order[self.order.index(top.epoch) + 1 :]
        if not following:
            return
        if top.epoch in self.lost:
            lost = self.lost[top.epoch]
            self.merge.next_epoch(Position(following[0], 0), self.now, lost=lost, reason="lost")
        else:
            self.merge.next_epoch(Position(following[0], 0), self.now)

    @rule(limit=st.integers(1, 20))
    def take(self, limit: int) -> None:
        self.taken += self.merge.take(limit)

    def expected_run(self) -> list[object]:
        """What a reader that sees everything hands out from where it started."""
        assert self.started_at is not None
        run: list[object] = []
        for epoch in self.order[self.order.index(self.started_at.epoch) :]:
            begin = self.started_at.seq if epoch == self.started_at.epoch else 0
            seq = begin + 1
            while seq <= self.sizes[epoch]:
                to = self.declared.get((epoch, seq))
                if to is not None:
                    run.append((seq, to))
                elif (epoch, seq) not in self.skips:
                    run.append(f"{epoch}-{seq}")
                seq = seq + 1 if to is None else to + 1
            if epoch in self.lost:
                run.append(self.lost[epoch])
        return run

    def seen(self) -> list[object]:
        return [
            item.id if isinstance(item, Release) else (item.lost_from, item.lost_to) for item in self.taken
        ]

    @invariant()
    def releases_are_one_contiguous_run_each_once(self) -> None:
        if self.started_at is None:
            assert not self.taken
            return
        seen = self.seen()
        assert seen == self.expected_run()[: len(seen)]

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.merge.bytes <= 12 * 620
        assert len(self.merge._named) <= 20

    @invariant()
    def a_gap_is_told_exactly_where_something_is_missing(self) -> None:
        if self.merge.top is not None:
            assert (self.merge.repair_at() is not None) == self.merge.behind
            missing = self.merge.missing()
            if missing is not None:
                assert missing[0] == self.merge.top.seq + 1
                assert missing[0] <= missing[1]

    def teardown(self) -> None:
        """Whatever was lost: told of the heads, and paged, it ends complete."""
        if self.started_at is None:
            return
        for _ in range(2000):
            self.page(15)
            self.taken += self.merge.take()
            top = self.merge.top
            assert top is not None
            if top.epoch == self.order[-1] and top.seq >= self.sizes[top.epoch]:
                break
        self.taken += self.merge.take()
        assert self.seen() == self.expected_run()
        assert self.merge.position == Position(self.order[-1], self.sizes[self.order[-1]])


Reader.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestReader = Reader.TestCase
