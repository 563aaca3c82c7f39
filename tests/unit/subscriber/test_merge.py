"""When a gap wants repair, and what is told of it. The run itself is tested as a state machine."""

from __future__ import annotations

from migctl.events import Position
from migctl.subscriber.core.merge import Merge, Skip
from migctl.subscriber.core.release import Discontinuity, Release
from tests.kit.releases import release


def started(seq: int = 0, **bounds: int) -> Merge:
    merge = Merge(**bounds)  # type: ignore[arg-type]
    merge.start(Position("a", seq), 0.0)
    return merge


def seqs(merge: Merge) -> list[int]:
    return [item.seq for item in merge.take() if isinstance(item, Release)]


def test_gap_is_due_150_ms_after_something_above_it_came() -> None:
    merge = started()
    merge.offer(release(1), 1.0)
    assert merge.repair_at() is None
    merge.offer(release(3), 2.0)
    merge.offer(release(4), 2.1)
    assert merge.repair_at() == 2.15
    assert merge.missing() == (2, 2)


def test_gap_that_the_late_hint_fills_is_not_due_any_more() -> None:
    merge = started()
    merge.offer(release(2), 1.0)
    merge.offer(release(1), 1.1)
    assert merge.repair_at() is None
    assert seqs(merge) == [1, 2]
    assert merge.gaps_repaired == 0


def test_lost_last_hint_shows_by_a_heartbeat() -> None:
    merge = started(7)
    merge.hear("a", 9, 1.0)
    assert merge.repair_at() == 1.15
    assert merge.missing() == (8, 9)


def test_event_that_was_only_named_is_due_at_once() -> None:
    merge = started()
    merge.name("a", 1, 5.0)
    assert merge.repair_at() == 5.0


def test_event_named_beyond_a_hole_does_not_hurry_the_hole() -> None:
    merge = started()
    merge.name("a", 2, 5.0)
    assert merge.repair_at() == 5.15


def test_what_came_before_the_start_counts_from_the_start_on() -> None:
    merge = Merge()
    for seq in (1, 2, 3, 6):
        merge.offer(release(seq), 0.0)
    assert merge.take() == []
    merge.start(Position("a", 3), 1.0)
    assert merge.repeats_dropped == 3
    assert merge.missing() == (4, 5)


def test_repeats_are_counted_once_each() -> None:
    merge = started(3)
    for seq in (1, 3, 5, 5, 4, 4):
        merge.offer(release(seq), 0.0)
    assert seqs(merge) == [4, 5]
    assert merge.repeats_dropped == 4


def test_gap_counts_as_repaired_once_however_long_it_is() -> None:
    merge = started()
    merge.offer(release(5), 0.0)
    for seq in (1, 2, 3, 4):
        merge.offer(release(seq, via="table"), 1.0)
    merge.offer(release(6), 1.0)
    assert seqs(merge) == [1, 2, 3, 4, 5, 6]
    assert merge.gaps_repaired == 1


def test_gap_above_the_bound_drops_the_buffer_but_not_the_knowledge() -> None:
    merge = started(0, max_gap=10)
    merge.offer(release(5), 0.0)
    merge.offer(release(11), 0.0)
    assert merge.buffers_dropped == 1
    assert merge.missing() == (1, 11)


def test_full_buffer_is_dropped_and_paged_for() -> None:
    merge = started(0, max_buffer_bytes=3 * 700)
    for seq in (2, 3, 4, 5):
        merge.offer(release(seq), 0.0)
    assert merge.buffers_dropped == 1
    assert merge.bytes <= 3 * 700
    assert merge.heard == 5


def test_slow_consumer_keeps_what_is_ready_and_pages_for_the_rest() -> None:
    merge = started(0, max_buffer_bytes=2 * 700)
    for seq in (1, 2, 3, 4):
        merge.offer(release(seq), 0.0)
    assert seqs(merge) == [1, 2]
    assert merge.position == Position("a", 2)
    assert merge.missing() == (3, 4)


def test_tombstone_without_text_is_passed_over() -> None:
    merge = started()
    merge.offer(Skip("a", 1), 0.0)
    merge.offer(release(2), 0.0)
    assert seqs(merge) == [2]
    assert merge.position == Position("a", 2)


def test_what_is_declared_lost_is_told_between_the_releases() -> None:
    merge = started()
    merge.offer(release(1), 0.0)
    merge.offer(release(4), 0.0)
    merge.lose(3, "broken", 1.0)
    first, gap, last = merge.take()
    assert isinstance(first, Release)
    assert isinstance(last, Release)
    assert (first.seq, last.seq) == (1, 4)
    assert gap == Discontinuity(Position("a", 1), Position("a", 3), "broken", 2, 3)


def test_hints_of_the_next_epoch_wait_until_this_one_is_finished() -> None:
    merge = started()
    merge.offer(release(1, "b"), 0.0)
    assert merge.behind
    assert merge.take() == []
    merge.offer(release(1, "a"), 0.0)
    merge.next_epoch(Position("b", 0), 1.0)
    assert [item.position for item in merge.take() if isinstance(item, Release)] == [("a", 1), ("b", 1)]
    assert not merge.behind


def test_epoch_that_ends_without_loss_moves_the_position_without_an_event() -> None:
    merge = started(4)
    merge.next_epoch(Position("b", 0), 1.0)
    assert merge.take() == []
    assert merge.position == Position("b", 0)


def test_late_hint_of_the_epoch_before_is_a_repeat() -> None:
    merge = started(4)
    merge.next_epoch(Position("b", 0), 1.0)
    merge.offer(release(5, "a"), 2.0)
    assert merge.repeats_dropped == 1
    assert not merge.behind


def test_position_that_is_ahead_of_the_gateway_goes_back_and_on() -> None:
    merge = started(9)
    merge.next_epoch(Position("a", 4), 1.0, reason="ahead")
    merge.offer(release(5), 2.0)
    gap, after = merge.take()
    assert isinstance(gap, Discontinuity)
    assert isinstance(after, Release)
    assert after.seq == 5
