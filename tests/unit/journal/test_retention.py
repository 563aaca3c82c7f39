"""What may leave a journal, and when it is full."""

from __future__ import annotations

import pytest

from migctl.journal.sqlite.retention import Extent, Keep, Space, bound, why_full
from migctl.journal.sqlite.rows import SEQ_BITS

HELD = Keep(min_events=10, readers=frozenset({"relay"}))
GB = 1 << 30


def pos(ordinal: int, seq: int) -> int:
    return (ordinal << SEQ_BITS) + seq


def one(head: int, tail: int = 1) -> list[Extent]:
    return [Extent(1, "E1", tail, head)]


@pytest.mark.parametrize(
    ("cursors", "may_go"),
    [
        ({"relay": ("E1", 50)}, pos(1, 50)),
        ({"relay": ("E1", 100)}, pos(1, 90)),
        ({"relay": ("E1", 80), "other": ("E1", 30)}, pos(1, 30)),
        ({}, 0),
        ({"other": ("E1", 80)}, 0),
        ({"relay": ("E0", 80)}, 0),
    ],
    ids=[
        "up to the cursor",
        "but for the newest",
        "the least cursor",
        "no cursor yet",
        "not ours",
        "unknown epoch",
    ],
)
def test_only_what_every_cursor_has_passed_and_enough_newer_ones_follow_may_go(
    cursors: dict[str, tuple[str, int]], may_go: int
) -> None:
    assert bound(one(100), cursors, HELD) == may_go


def test_without_a_relay_only_the_count_holds_back() -> None:
    assert bound(one(100), {}, Keep(min_events=10)) == pos(1, 90)
    assert bound(one(9), {}, Keep(min_events=10)) == 0


def test_the_newest_are_counted_across_epochs() -> None:
    extents = [Extent(1, "E1", 51, 100), Extent(2, "E2", 1, 4)]
    assert bound(extents, {"relay": ("E2", 4)}, HELD) == pos(1, 94)
    assert bound(extents, {"relay": ("E1", 60)}, HELD) == pos(1, 60)


def test_full_is_told_with_its_bound() -> None:
    keep = Keep(max_bytes=100, min_free_bytes=50)
    assert why_full(Space(99, 0, 50), keep) is None
    assert "journal.max_bytes is 100" in (why_full(Space(100, 0, 50), keep) or "")
    assert "journal.min_free_bytes is 50" in (why_full(Space(10, 9, 40), keep) or "")
    assert why_full(Space(10, 10, 40), keep) is None
