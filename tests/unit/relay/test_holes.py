"""Holes: which part is counted next, and how the first seq that is missing is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.delivery.holes import Halving, Part, Turns


def found(there: set[int], part: Part) -> tuple[int | None, int]:
    """The hole, and how often was asked."""
    halving, asked = Halving(part), 0
    while (ask := halving.ask) is not None:
        asked += 1
        halving.answer(len(there & set(range(ask.first, ask.last + 1))))
    return halving.hole, asked


@given(st.integers(1, 40), st.integers(0, 200), st.sets(st.integers(1, 240)))
def test_the_first_seq_that_is_missing_is_found(first: int, size: int, missing: set[int]) -> None:
    every = set(range(first, first + size))
    hole, _ = found(every - missing, Part("E", first, first + size - 1))
    assert hole == min(every & missing, default=None)


@pytest.mark.parametrize(
    ("missing", "asked"), [(set(), 1), ({1}, 18), ({100_000}, 18)], ids=["none", "the first", "the last"]
)
def test_one_request_where_all_is_there_and_some_18_where_one_is_not(missing: set[int], asked: int) -> None:
    assert found(set(range(1, 100_001)) - missing, Part("E", 1, 100_000))[1] <= asked


def test_the_newest_part_is_always_counted_and_what_is_below_in_turns() -> None:
    turns, extents = Turns(10), [Part("A", 1, 12), Part("B", 1, 0), Part("C", 4, 25)]
    newest = Part("C", 16, 25)
    assert [turns.next(extents) for _ in range(5)] == [
        [newest, Part("C", 6, 15)],
        [newest, Part("C", 4, 5)],
        [newest, Part("A", 3, 12)],
        [newest, Part("A", 1, 2)],
        [newest],
    ]
    assert turns.next(extents) == [newest, Part("C", 6, 15)]


def test_what_is_carried_meanwhile_belongs_to_the_newest_part_and_an_epoch_that_is_gone_ends_a_turn() -> None:
    turns = Turns(10)
    assert turns.next([Part("A", 1, 30)]) == [Part("A", 21, 30), Part("A", 11, 20)]
    assert turns.next([Part("A", 1, 35)]) == [Part("A", 26, 35), Part("A", 1, 10)]
    assert turns.next([Part("B", 1, 15)]) == [Part("B", 6, 15), Part("B", 1, 5)]


@pytest.mark.parametrize("extents", [[], [Part("A", 1, 0)], [Part("A", 8, 7)]])
def test_where_nothing_was_carried_nothing_is_counted(extents: list[Part]) -> None:
    assert Turns().next(extents) == []
