"""How far types are from ours, and for how long a change would stop everybody."""

from __future__ import annotations

import pytest

from migctl.schema.adoption import estimates
from migctl.schema.adoption.wanted import change
from tests.kit.shapes import column, index, shape


@pytest.mark.parametrize(
    ("name", "found", "how"),
    [
        ("id", "uuid", "none"),
        ("id", "character varying(36)", "rewritten"),
        ("id", "bigint", "impossible"),
        ("id", "uuid[]", "impossible"),
        ("source", "character varying(50)", "noted"),
        ("source", "character(8)", "rewritten"),
        ("source", "text[]", "impossible"),
        ("timestamp", "timestamp without time zone", "noted"),
        ("timestamp", "timestamp(3) with time zone", "noted"),
        ("timestamp", "timestamp without time zone[]", "impossible"),
        ("data", "json", "rewritten"),
        ("seq", "integer", "impossible"),
    ],
)
def test_a_type_is_ours_is_noted_as_ours_is_rewritten_or_can_not_be(name: str, found: str, how: str) -> None:
    assert change(name, found) == how


def test_a_rewriting_takes_longer_the_more_bytes_and_indexes_there_are() -> None:
    narrow = column("data", "json")
    small, large = shape(narrow, bytes=1_000_000, rows=5_000), shape(narrow)
    assert estimates.change_s(small, "data") < 1 < estimates.change_s(large, "data")
    more = shape(narrow, indexes=(*large.indexes, index("i", "source")))
    assert estimates.change_s(more, "data") > estimates.change_s(large, "data")


def test_an_index_of_an_expression_is_built_anew_for_a_wider_text_too() -> None:
    narrow = shape(
        column("source", "character varying"), indexes=(index("i", made_of=("source",), plain=False),)
    )
    assert estimates.in_place(narrow, 0) == frozenset()
    assert estimates.in_place(narrow, 60) == {"source"}


def test_only_an_index_of_times_makes_a_noted_change_slow() -> None:
    bare = shape(column("timestamp", "timestamp without time zone"), column("source", "character varying"))
    assert estimates.in_place(bare, 0) == {"timestamp", "source"}
    indexed = shape(*bare.columns.values(), indexes=(index("a", "timestamp"), index("b", "source")))
    assert estimates.in_place(indexed, 0) == {"source"}
    assert estimates.in_place(indexed, 60) == {"timestamp", "source"}
