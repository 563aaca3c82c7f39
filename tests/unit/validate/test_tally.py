"""Tally: the sum of shards has everything that each of them counted."""

from __future__ import annotations

import msgspec
import pytest

from migctl.validate.tally import COLUMNS, MAX_FIELDS, Example, SideTally, Tally

COUNTERS = [field.name for field in msgspec.structs.fields(Tally) if field.type is int or field.type == "int"]
SIDE_COUNTERS = [field.name for field in msgspec.structs.fields(SideTally) if field.type in (int, "int")]
HISTOGRAMS = [
    field.name
    for field in msgspec.structs.fields(SideTally)
    if getattr(SideTally(), field.name).__class__.__name__ == "Histogram"
]


def test_every_counter_is_among_those_below() -> None:
    assert {"expected", "matched", "lost", "excused", "outside", "unexpected"} <= set(COUNTERS)
    assert {"lines", "late", "received", "repeats"} <= set(SIDE_COUNTERS)
    assert len(HISTOGRAMS) == 5


@pytest.mark.parametrize("name", COUNTERS)
def test_a_counter_of_two_shards_is_their_sum(name: str) -> None:
    one, other = Tally(), Tally()
    setattr(one, name, 3)
    setattr(other, name, 4)
    one.merge(other)
    assert getattr(one, name) == 7


@pytest.mark.parametrize("name", SIDE_COUNTERS)
@pytest.mark.parametrize("side", range(3))
def test_so_is_one_of_a_side_and_of_no_other(name: str, side: int) -> None:
    one, other = Tally(), Tally()
    setattr(one.sides[side], name, 3)
    setattr(other.sides[side], name, 4)
    one.merge(other)
    assert [getattr(each, name) for each in one.sides] == [7 if at == side else 0 for at in range(3)]


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_and_a_histogram_of_a_side(name: str) -> None:
    one, other = Tally(), Tally()
    getattr(one.sides[1], name).add_all([1000])
    getattr(other.sides[1], name).add_all([3000])
    one.merge(other)
    assert getattr(one.sides[1], name).n == 2


def test_cells_fields_examples_and_what_is_missing_are_brought_together() -> None:
    one = Tally(
        missing=[0, 1, 2],
        by_event_type={"a": [1] * len(COLUMNS)},
        fields={"x": 1},
        examples={"late": [Example(1, {})]},
    )
    other = Tally(
        missing=[0, 3, 4],
        by_event_type={"a": [2] * len(COLUMNS), "b": [5] * len(COLUMNS)},
        by_minute={7: [1] * len(COLUMNS)},
        fields={"x": 1, "y": 2},
        examples={"late": [Example(2, {})], "unexpected": [Example(3, {})]},
    )
    other.difference.add_all([5])
    other.sides[2].torn_line = 9
    one.merge(other)
    assert one.missing == [0, 4, 6]
    assert one.by_event_type == {"a": [3] * len(COLUMNS), "b": [5] * len(COLUMNS)}
    assert one.by_minute == {7: [1] * len(COLUMNS)}
    assert one.fields == {"x": 2, "y": 2}
    assert {kind: [each.at for each in found] for kind, found in one.examples.items()} == {
        "late": [1, 2],
        "unexpected": [3],
    }
    assert one.difference.n == 1
    assert one.sides[2].torn_line == 9


def test_fields_are_bounded_and_none_is_left_uncounted() -> None:
    tally = Tally()
    for number in range(MAX_FIELDS + 50):
        tally.count_field(f"data.{number}")
    assert len(tally.fields) <= MAX_FIELDS + 1
    assert sum(tally.fields.values()) == MAX_FIELDS + 50
