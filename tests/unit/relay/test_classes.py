"""Event classes by pattern and by rate."""

from __future__ import annotations

from migctl.delivery.classes import Classifier, class_of_rate


def _window(classifier: Classifier, number: int, count: int) -> str:
    found = "none"
    for index in range(count):
        found = classifier.observe("cpu", number * 30 + index * 30 / count)
    return found


def test_first_pattern_that_matches_decides_whatever_the_rate() -> None:
    classifier = Classifier({"cpu.*": "high", "*": "medium"})
    assert classifier.observe("cpu.load", 0.0) == "high"
    assert classifier.observe("health", 0.0) == "medium"


def test_type_moves_after_three_windows_that_say_the_same() -> None:
    classifier = Classifier({})
    assert [_window(classifier, number, 600) for number in range(4)] == ["low", "low", "low", "medium"]


def test_one_burst_moves_nothing() -> None:
    classifier = Classifier({})
    found = [_window(classifier, number, count) for number, count in enumerate([60, 4000, 60, 4000, 60, 60])]
    assert set(found) == {"low"}


def test_silence_counts_as_windows_of_a_low_rate() -> None:
    classifier = Classifier({})
    for number in range(4):
        _window(classifier, number, 600)
    assert classifier.observe("cpu", 10 * 30.0) == "low"


def test_rates_on_the_bound_belong_to_the_lower_class() -> None:
    assert [class_of_rate(rate) for rate in (5.0, 5.1, 100.0, 100.1)] == ["low", "medium", "medium", "high"]
