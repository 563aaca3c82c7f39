"""What is judged of a live stream, which nobody ends: up to a position, in journal, table and captures alike."""

from __future__ import annotations

from migctl.drills.evidence import until
from migctl.drills.judging import Committed, Truth, judge_store

JOURNAL = [Committed(("e", seq), f"id-{seq}", float(seq)) for seq in (1, 2, 3, 4)]
ROWS = [(("e", seq), f"id-{seq}") for seq in (1, 3, 4)]


def test_what_came_after_the_end_is_neither_promised_nor_a_stranger_and_what_is_missing_before_it_is_lost() -> (
    None
):
    found = judge_store(until(Truth([], JOURNAL, ROWS, [(("e", 4), "id-4")]), ("e", 3)))
    assert (found.acknowledged, found.committed, found.rows, found.tombstones) == (3, 3, 2, 0)
    assert found.lost_ids == ["id-2"]
    assert (found.strangers_in_the_table, found.never_acknowledged) == (0, 0)


def test_what_a_drill_posted_itself_and_the_journal_lacks_is_lost() -> None:
    found = judge_store(until(Truth(["id-9", "id-1"], JOURNAL, ROWS, []), ("e", 1)))
    assert found.lost_ids == ["id-9"]
