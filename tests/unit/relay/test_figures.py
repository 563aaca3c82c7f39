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

    def total(name: str, of: str) -> float:
        histogram = {"events": figures.events, "wait": figures.wait_s}[of][name]  # type: ignore[index]
        return next(sample.value for sample in histogram.samples() if sample.suffix == "_sum")

    assert (total("high", "events"), total("low", "events")) == (3, 1)
    assert (total("high", "wait"), total("low", "wait")) == (1.0, 2.0)
