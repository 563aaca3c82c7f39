"""What a reader of the tables does next, a test for each cell of the tables in core/catchup.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from migctl.events import Position
from migctl.subscriber.core.catchup import (
    PROBES,
    AskLast,
    Attention,
    GoOn,
    Hear,
    Lose,
    Memory,
    ReadRows,
    ReadTombstones,
    Round,
    Stand,
    Step,
    Take,
    judge_hole,
)
from migctl.subscriber.core.merge import Skip
from migctl.target.chain import Head
from tests.kit.releases import release

START = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE_S = 30.0


def head(epoch: str, *, age: int = 0, **more: Any) -> Head:
    """age: in seconds; the least began last."""
    fields: dict[str, Any] = {
        "prev_epoch": None,
        "lost_from": None,
        "lost_to": None,
        "table_tail": 1,
        "table_head": 10,
        "journal_head": 10,
    }
    began = START - timedelta(seconds=age)
    return Head(epoch=epoch, writer_id="w", fence=1, started_at=began, updated_at=START, **(fields | more))


def stand(
    seq: int, missing: tuple[int, int] | None = None, *, heard: int | None = None, epoch: str = "a"
) -> Stand:
    return Stand(
        Position(epoch, seq), missing, heard if heard is not None else (missing[1] if missing else seq)
    )


def begun(*heads: Head, at: Stand, to_the_end: bool = False, memory: Memory | None = None) -> Round:
    """A round whose heads were heard of."""
    started = Round(memory or Memory(patience_s=PATIENCE_S), heads, to_the_end=to_the_end)
    assert isinstance(started.next(at, 0.0), Hear)
    return started


def asked_for_the_end(of: Head, *, at: Stand, last: int | None) -> Round:
    """A round that goes as far as the tables do, which is `last`."""
    started = begun(of, at=at, to_the_end=True)
    assert started.next(at, 0.0) == AskLast(of.epoch, at.top.seq)
    started.last(last)
    return started


def at_the_end(*heads: Head, at: Stand, memory: Memory | None = None) -> Round:
    """A round that saw the end of the tables of its epoch, which another follows."""
    started = begun(*heads, at=at, memory=memory)
    assert isinstance(started.next(at, 0.0), ReadTombstones)
    started.tombstones([])
    assert isinstance(started.next(at, 0.0), ReadRows)
    started.rows([])
    return started


# Heads


def test_heads_are_handed_on_first_also_those_of_the_next_epoch() -> None:
    rule = Round(
        Memory(), [head("a", age=1, table_head=7, journal_head=9), head("b", prev_epoch="a", journal_head=3)]
    )
    assert rule.next(stand(5), 0.0) == Hear((("a", 9), ("b", 3)))


# Pages


def test_nothing_is_read_where_nothing_is_missing() -> None:
    assert begun(head("a"), at=stand(5)).next(stand(5), 0.0) is None


def test_a_run_that_is_missing_is_read_up_to_its_end() -> None:
    at = stand(5, (6, 8))
    rule = begun(head("a"), at=at)
    assert rule.next(at, 0.0) == ReadTombstones("a", 5), "tombstones first"
    rule.tombstones([])
    assert rule.next(at, 0.0) == ReadRows("a", 5, 8)


def test_asked_to_the_end_what_heads_do_not_know_of_is_missing_too() -> None:
    rule = asked_for_the_end(head("a"), at=stand(10), last=12)
    assert rule.next(stand(10), 0.0) == Hear((("a", 12),))
    at = stand(10, (11, 12))
    assert rule.next(at, 0.0) == ReadTombstones("a", 10)
    rule.tombstones([])
    assert rule.next(at, 0.0) == ReadRows("a", 10, 12)


def test_asked_to_the_end_nothing_is_read_where_the_tables_have_no_more() -> None:
    rule = asked_for_the_end(head("a"), at=stand(10), last=None)
    assert isinstance(rule.next(stand(10), 0.0), Hear)
    assert rule.next(stand(10), 0.0) is None


@pytest.mark.parametrize(("last", "heard"), [(7, 7), (None, 7), (6, 7), (7, 6)])
def test_asked_to_the_end_a_round_ends_where_all_is_here_that_was_known_then(
    last: int | None, heard: int
) -> None:
    """More was heard of while it was read, and is left to the next round: where they come quicker than answers, more always is."""
    at = stand(5, (6, heard))
    rule = asked_for_the_end(head("a"), at=at, last=last)
    rule.next(at, 0.0)
    at = stand(5, (6, 7))
    rule.next(at, 0.0)
    rule.tombstones([])
    rule.next(at, 0.0)
    rule.rows([release(6)])
    assert isinstance(rule.next(at, 0.0), Take)
    assert rule.next(stand(6, (7, 9)), 0.0) == ReadRows("a", 6, 9), "a short page proves nothing"
    rule.rows([release(7)])
    assert isinstance(rule.next(stand(6, (7, 9)), 0.0), Take)
    assert rule.next(stand(7, (8, 11)), 0.0) is None


def test_an_epoch_that_another_follows_is_read_to_its_end() -> None:
    rule = begun(head("a", age=1), head("b", prev_epoch="a"), at=stand(10))
    assert rule.next(stand(10), 0.0) == ReadTombstones("a", 10)
    rule.tombstones([])
    assert rule.next(stand(10), 0.0) == ReadRows("a", 10, None)


def test_tombstones_that_are_still_ahead_are_not_read_again() -> None:
    rule = begun(head("a"), at=stand(5, (6, 9)))
    assert rule.next(stand(5, (6, 9)), 0.0) == ReadTombstones("a", 5)
    rule.tombstones([Skip("a", 8)])
    assert rule.next(stand(5, (6, 9)), 0.0) == ReadRows("a", 5, 9)
    rule.rows([release(6), release(7)])
    assert rule.next(stand(5, (6, 9)), 0.0) == Take((release(6), release(7)))
    assert rule.next(stand(7, (8, 9)), 0.0) == ReadRows("a", 7, 9)
    rule.rows([release(9)])
    assert rule.next(stand(7, (8, 9)), 0.0) == Take((Skip("a", 8),)), (
        "of the row nothing is known before its own page"
    )
    assert rule.next(stand(8, (9, 9)), 0.0) == ReadTombstones("a", 8)


def test_what_came_live_meanwhile_ends_the_reading() -> None:
    rule = begun(head("a"), at=stand(5, (6, 8)))
    assert rule.next(stand(5, (6, 8)), 0.0) == ReadTombstones("a", 5)
    rule.tombstones([])
    assert rule.next(stand(8), 0.0) is None


def test_a_page_that_does_not_bring_the_run_to_its_end_has_a_hole() -> None:
    rule = begun(head("a", table_tail=7), at=stand(5, (6, 9)))
    rule.next(stand(5, (6, 9)), 0.0)
    rule.tombstones([])
    rule.next(stand(5, (6, 9)), 0.0)
    rule.rows([release(7), release(8)])
    assert rule.next(stand(5, (6, 9)), 0.0) == Take((release(7), release(8)))
    assert rule.next(stand(5, (6, 6), heard=9), 0.0) == Lose(6, "pruned")


# Holes

NOT_YET, PRUNED, BROKEN = head("a", table_head=5), head("a", table_tail=8), head("a", table_head=8)


@pytest.mark.parametrize(
    ("of", "missing", "beyond_doubt", "verdict"),
    [
        (NOT_YET, None, False, None),
        (NOT_YET, (6, 12), False, None),
        (NOT_YET, (6, 12), True, None),
        (PRUNED, None, False, None),
        (PRUNED, (6, 12), False, Lose(7, "pruned")),
        (PRUNED, (6, 12), True, Lose(7, "pruned")),
        (PRUNED, (6, 6), False, Lose(6, "pruned")),
        (BROKEN, None, True, None),
        (BROKEN, (6, 12), False, None),
        (BROKEN, (6, 12), True, Lose(8, "broken")),
        (BROKEN, (6, 6), True, Lose(6, "broken")),
    ],
)
def test_what_a_seq_that_is_not_there_means(
    of: Head, missing: tuple[int, int] | None, beyond_doubt: bool, verdict: Lose | None
) -> None:
    assert judge_hole(stand(5, missing), of, beyond_doubt=beyond_doubt) == verdict


def probe_hole(memory: Memory, of: Head, at: Stand, now: float = 0.0) -> Step | None:
    rule = begun(of, at=at, memory=memory)
    rule.next(at, now)
    rule.tombstones([])
    rule.next(at, now)
    rule.rows([])
    return rule.next(at, now)


@pytest.mark.parametrize(
    "times",
    [(0.0, 1.0, PATIENCE_S), (0.0, 1.0, 2.0, PATIENCE_S - 0.1, PATIENCE_S), (0.0, PATIENCE_S, PATIENCE_S)],
    ids=["the third is late enough", "three are too early", "two are too few"],
)
def test_what_the_table_should_have_is_probed_thrice_and_for_as_long_as_a_relay_may_take_before_it_is_lost(
    times: tuple[float, ...],
) -> None:
    memory, at = Memory(patience_s=PATIENCE_S), stand(5, (6, 8))
    *before, last = [probe_hole(memory, BROKEN, at, now) for now in times]
    assert set(before) == {None}
    assert last == Lose(8, "broken")


@pytest.mark.parametrize(
    ("after_s", "probes"), [(1.0, PROBES), (PATIENCE_S, PROBES + 1)], ids=["at once", "long after"]
)
def test_a_hole_that_follows_one_that_was_given_up_is_not_waited_for_as_long_again(
    after_s: float, probes: int
) -> None:
    memory, of, first, second = (
        Memory(patience_s=PATIENCE_S),
        head("a", table_head=9),
        stand(5, (6, 6)),
        stand(7, (8, 8)),
    )
    assert [probe_hole(memory, of, first, now) for now in (0.0, 0.0, PATIENCE_S)][-1] == Lose(6, "broken")
    then = PATIENCE_S + after_s
    times = [then, then, then, then + PATIENCE_S][:probes]
    *before, last = [probe_hole(memory, of, second, now) for now in times]
    assert set(before) == {None}
    assert last == Lose(8, "broken")


@pytest.mark.parametrize(
    ("of", "at"),
    [(NOT_YET, stand(5, (6, 8))), (BROKEN, stand(6, (7, 8)))],
    ids=["other heads", "another hole"],
)
def test_probes_of_another_hole_or_under_other_heads_end_the_row(of: Head, at: Stand) -> None:
    memory, hole = Memory(patience_s=0.0), stand(5, (6, 8))
    assert [probe_hole(memory, BROKEN, hole) for _ in range(2)] == [None, None]
    assert probe_hole(memory, of, at) is None
    assert probe_hole(memory, BROKEN, hole) is None


# The end of an epoch


def test_epoch_that_empty_heads_do_not_know_is_waited_for() -> None:
    assert Round(Memory(patience_s=0.0), []).next(stand(5), 0.0) is None


def test_epoch_that_heads_do_not_know_is_left_for_the_newest_after_a_while() -> None:
    memory, heads = Memory(patience_s=PATIENCE_S), [head("b", table_tail=4)]
    assert Round(memory, heads).next(stand(5), 100.0) is None
    assert Round(memory, heads).next(stand(5), 129.9) is None
    assert Round(memory, heads).next(stand(5), 130.0) == GoOn(Position("b", 3), reason="epoch")


def test_epoch_without_a_follower_is_the_last() -> None:
    at = stand(10)
    rule = asked_for_the_end(head("a"), at=at, last=None)
    rule.next(at, 0.0)
    assert rule.next(at, 0.0) is None


def test_epoch_that_comes_after_the_newest_in_no_chain_is_left_after_a_while() -> None:
    memory, at = Memory(patience_s=PATIENCE_S), stand(10)
    heads = (head("a", age=1), head("b", table_tail=4))
    assert begun(*heads, at=at, memory=memory).next(at, 100.0) is None
    assert begun(*heads, at=at, memory=memory).next(at, 130.0) == GoOn(Position("b", 3), reason="epoch")


def test_doubt_of_another_kind_begins_a_time_of_its_own() -> None:
    memory, at = Memory(patience_s=PATIENCE_S), stand(10)
    assert Round(memory, [head("b")]).next(at, 100.0) is None
    unlinked = (head("a", age=1), head("b"))
    assert begun(*unlinked, at=at, memory=memory).next(at, 131.0) is None


FOLLOWED = head("a", age=1)
NEXT = GoOn(Position("b", 0))


def test_follower_waits_until_the_end_of_the_table_was_seen_however_long_that_takes() -> None:
    """A page ended above a hole that heads do not vouch for yet: there may be more rows behind it."""
    at = stand(8, (9, 10))
    lagging = head("a", age=1, table_head=8)
    rule = begun(lagging, head("b", prev_epoch="a"), at=at, memory=Memory(patience_s=0.0))
    rule.next(at, 0.0)
    rule.tombstones([])
    rule.next(at, 0.0)
    rule.rows([release(10)])
    assert rule.next(at, 0.0) == Take((release(10),))
    assert rule.next(stand(8, (9, 9), heard=10), 0.0) is None


def test_follower_waits_while_the_relay_owes_the_rest_and_not_for_ever() -> None:
    memory, at = Memory(patience_s=PATIENCE_S), stand(8)
    heads = (FOLLOWED, head("b", prev_epoch="a"))
    assert at_the_end(*heads, at=at, memory=memory).next(at, 100.0) is None
    assert at_the_end(*heads, at=at, memory=memory).next(at, 130.0) == NEXT


def test_what_the_follower_says_is_lost_is_not_owed() -> None:
    at = stand(8)
    lost = head("b", prev_epoch="a", lost_from=9, lost_to=12)
    assert at_the_end(FOLLOWED, lost, at=at).next(at, 0.0) == GoOn(Position("b", 0), (9, 12), "lost")


def test_row_above_a_hole_is_delivered_before_the_rest_is_lost() -> None:
    at = stand(8, (9, 9), heard=14)
    lost = head("b", prev_epoch="a", lost_from=9, lost_to=12)
    rule = at_the_end(head("a", age=1, table_head=8), lost, at=at)
    assert rule.next(at, 0.0) == Lose(9, "lost")
    assert rule.next(stand(10, (11, 14)), 0.0) == GoOn(Position("b", 0), (11, 14), "lost")


def test_what_was_heard_of_and_never_came_is_lost_with_the_epoch() -> None:
    at = stand(10, (11, 13))
    rule = at_the_end(FOLLOWED, head("b", prev_epoch="a"), at=at)
    assert rule.next(at, 0.0) == GoOn(Position("b", 0), (11, 13), "lost")


def test_epoch_that_is_all_there_is_followed_without_a_loss() -> None:
    at = stand(10)
    rule = at_the_end(FOLLOWED, head("b", prev_epoch="a"), at=at)
    assert rule.next(at, 0.0) == NEXT
    assert rule.next(stand(0, epoch="b"), 0.0) == Hear((("b", 10),)), "the same round reads on there"


def test_ancestors_are_those_that_lead_here_and_no_circle_is_walked_twice() -> None:
    heads = [head("a", age=2), head("b", prev_epoch="a", age=1), head("c", prev_epoch="b")]
    assert Round(Memory(), heads).ancestors("c") == ["b", "a"]
    assert Round(Memory(), [head("a", prev_epoch="b"), head("b", prev_epoch="a")]).ancestors("a") == ["b"]


def test_a_tombstone_above_the_rows_that_were_asked_for_waits_for_them() -> None:
    """What is missing ends at 1: of 3 only the tombstone was read, and a row there would win over it."""
    now = datetime(2026, 1, 5, tzinfo=UTC)
    head = Head("e", None, None, None, "w", 1, now, 1, 3, 3, now)
    round_ = Round(Memory(), [head])
    stand = Stand(Position("e", 0), (1, 1), 3)
    assert isinstance(round_.next(stand, 0.0), Hear)
    assert isinstance(round_.next(stand, 0.0), ReadTombstones)
    round_.tombstones([Skip("e", 3)])
    assert round_.next(stand, 0.0) == ReadRows("e", 0, 1)
    round_.rows([])
    assert not isinstance(round_.next(stand, 0.0), Take)


def test_a_pause_in_which_nobody_could_ask_ends_no_doubt() -> None:
    """An epoch is left while its relay owes the rest, and the tables are away for longer than anybody waits."""
    memory, attention, at = Memory(patience_s=PATIENCE_S), Attention(1000.0), stand(8)
    heads = (FOLLOWED, head("b", prev_epoch="a"))
    assert at_the_end(*heads, at=at, memory=memory).next(at, attention.begun(1001.0)) is None
    back = 1001.0 + 100 * PATIENCE_S
    assert at_the_end(*heads, at=at, memory=memory).next(at, attention.begun(back)) is None
    for second in range(1, 20):
        assert at_the_end(*heads, at=at, memory=memory).next(at, attention.begun(back + second)) is None
    assert at_the_end(*heads, at=at, memory=memory).next(at, attention.begun(back + 20)) == NEXT
