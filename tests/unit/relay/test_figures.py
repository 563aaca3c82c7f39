"""What is counted of batches, by class."""

from __future__ import annotations

from migctl.delivery.batches import Waiting
from migctl.delivery.figures import BatchFigures


def test_a_batch_of_two_classes_counts_in_each_with_its_own_events_and_its_own_longest_wait() -> None:
    figures = BatchFigures()
    figures.formed(
        [Waiting("high", 100, 10.0), Waiting("low", 100, 9.0), Waiting("high", 100, 10.5)], "count", 11.0
    )
    figures.formed([Waiting("high", 100, 20.0)], "drained", 20.0)
    assert figures.by_cut() == {"count": 1, "drained": 1}
    assert figures.cuts == {("high", "count"): 1, ("low", "count"): 1, ("high", "drained"): 1}

    assert (figures.events["high"].sum, figures.events["low"].sum) == (3, 1)
    assert (figures.wait_s["high"].sum, figures.wait_s["low"].sum) == (1.0, 2.0)
