"""The soak's deck of faults."""

from __future__ import annotations

from random import Random

from benchmarks.faults import FAULTS, Deck, lasts_s


def test_every_fault_comes_before_any_comes_again_and_the_same_seed_draws_the_same() -> None:
    names = list(FAULTS)
    deck, same = Deck(names, Random(3)), Deck(names, Random(3))
    drawn = [deck.draw() for _ in range(2 * len(names))]
    assert sorted(drawn[: len(names)]) == sorted(drawn[len(names) :]) == sorted(names)
    assert drawn == [same.draw() for _ in drawn]
    assert all(1.0 <= lasts_s(name, Random(1)) <= 10.0 for name in names)
