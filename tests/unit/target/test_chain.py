"""Which epoch comes after which, whatever heads say, and what a hole means."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.target.chain import Head, elsewhere, fate, following, newest, oldest
from tests.kit.entries import START


def head(
    epoch: str, prev: str | None = None, *, began: int | None = None, tail: int = 1, table: int = 0
) -> Head:
    """began: seconds; as the alphabet has it where none is said."""
    at = START + timedelta(seconds=ord(epoch) - 96 if began is None else began)
    return Head(epoch, prev, None, None, "we", 0, at, tail, table, table, START)


def named(found: Head | None) -> str | None:
    return None if found is None else found.epoch


# Few names and few moments, so that circles, forks, ties and epochs that nobody knows all come.
names = st.sampled_from("abcdef")
histories = st.dictionaries(names, st.tuples(st.none() | st.sampled_from("abcdefx"), st.integers(1, 3))).map(
    lambda rows: [head(epoch, prev, began=began) for epoch, (prev, began) in rows.items()]
)


def answers(heads: Sequence[Head]) -> list[str | None]:
    each = [
        named(rule(head.epoch, heads)) for rule in (following, elsewhere) for head in sorted(heads, key=named)
    ]
    return [named(newest(heads)), named(oldest(heads)), *each]


@given(histories, st.randoms(use_true_random=False))
def test_every_order_of_the_same_heads_tells_the_same(heads: list[Head], rng: random.Random) -> None:
    shuffled = list(heads)
    rng.shuffle(shuffled)
    assert answers(shuffled) == answers(heads)


@given(histories, names)
def test_a_reader_comes_from_anywhere_to_the_epoch_that_the_relay_writes_and_passes_none_twice(
    heads: list[Head], begin: str
) -> None:
    end = newest(heads)
    assert (end is None) == (not heads)
    if end is None:
        return
    assert following(end.epoch, heads) is None
    at, passed = begin, [begin]
    while (after := following(at, heads) or elsewhere(at, heads)) is not None:
        at = after.epoch
        assert at not in passed
        passed.append(at)
    assert at == end.epoch


@given(histories)
def test_the_oldest_and_the_newest_are_ends(heads: list[Head]) -> None:
    followers = {named(following(each.epoch, heads)) for each in heads}
    first = oldest(heads)
    assert (first is None) == (not heads)
    if first is not None:
        assert first.epoch not in followers


def test_an_epoch_that_follows_itself_follows_nothing() -> None:
    heads = [head("a", began=1), head("b", "b", began=2), head("c", began=1)]
    assert named(newest(heads)) == "b"
    assert following("b", heads) is None


def test_a_circle_begins_with_the_one_that_began_first() -> None:
    heads = [head("b", "a"), head("c", "b"), head("a", "c")]
    assert [named(oldest(heads)), named(newest(heads))] == ["a", "c"]
    assert [named(following(each, heads)) for each in "abc"] == ["b", "c", None]


def test_epochs_that_began_at_one_moment_are_told_apart_by_their_names() -> None:
    heads = [head("b", began=1), head("a", began=1)]
    assert [named(oldest(heads)), named(newest(heads))] == ["a", "b"]


def test_hole_is_not_there_yet_above_the_head_gone_below_the_tail_and_broken_between() -> None:
    where = head("a", tail=10, table=20)
    assert [fate(seq, where) for seq in (9, 10, 20, 21)] == ["pruned", "broken", "broken", "not_yet"]


def test_epochs_are_followed_by_their_chain_not_by_their_clocks() -> None:
    heads = [head("c", "b", began=1), head("a", began=3), head("b", "a", began=2)]
    assert [named(oldest(heads)), named(newest(heads))] == ["a", "c"]
    assert [named(following(each, heads)) for each in "abc"] == ["b", "c", None]
    assert newest([]) is None


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        ([head("a"), head("b", "a"), head("c", "b")], {"a": None, "b": None, "c": None}),
        ([head("a"), head("c", "unknown"), head("d", "c")], {"a": "c", "c": None, "d": None, "nobody": "c"}),
        (
            [head("a"), head("b", "a"), head("c", "a"), head("d", "c")],
            {"a": None, "b": "c", "c": None, "d": None},
        ),
        ([], {"a": None}),
    ],
)
def test_where_no_chain_leads_on_the_stream_is_found_elsewhere_and_else_nowhere(
    heads: list[Head], expected: dict[str, str | None]
) -> None:
    assert {epoch: named(elsewhere(epoch, heads)) for epoch in expected} == expected
