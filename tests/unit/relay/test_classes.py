"""Event classes by pattern and by rate."""

from __future__ import annotations

from migctl.delivery.classes import Classifier, Rates


def _window(classifier: Classifier, number: int, count: int) -> str:
    found = "none"
    for index in range(count):
        found = classifier.observe("cpu", number * 30 + index * 30 / count)
    return found


def test_first_pattern_that_matches_decides_whatever_the_rate() -> None:
    classifier = Classifier({"cpu.*": "high", "*": "medium"}, Rates())
    assert classifier.observe("cpu.load", 0.0) == "high"
    assert classifier.observe("health", 0.0) == "medium"


def test_type_moves_after_three_windows_that_say_the_same() -> None:
    classifier = Classifier({}, Rates())
    assert [_window(classifier, number, 600) for number in range(4)] == ["low", "low", "low", "medium"]


def test_one_burst_moves_nothing() -> None:
    classifier = Classifier({}, Rates())
    found = [_window(classifier, number, count) for number, count in enumerate([60, 4000, 60, 4000, 60, 60])]
    assert set(found) == {"low"}


def test_silence_counts_as_windows_of_a_low_rate() -> None:
    classifier = Classifier({}, Rates())
    for number in range(4):
        _window(classifier, number, 600)
    assert classifier.observe("cpu", 10 * 30.0) == "low"


def test_rates_on_the_bound_belong_to_the_lower_class() -> None:
    assert [Rates().class_of(rate) for rate in (5.0, 5.1, 100.0, 100.1)] == [
        "low",
        "medium",
        "medium",
        "high",
    ]


def test_bounds_windows_and_how_many_of_them_move_a_type_are_settings() -> None:
    classifier = Classifier(
        {}, Rates(high_above_per_s=3.0, medium_above_per_s=1.0, window_s=10.0, move_after_windows=2)
    )
    found = [classifier.observe("cpu", at / 4) for at in range(4 * 40)]  # 4 a second
    assert [found[0], found[79], found[80]] == ["low", "low", "high"]


def test_windows_in_a_row_are_of_one_class_and_a_third_class_begins_anew() -> None:
    classifier = Classifier({}, Rates())
    counts = [600, 600, 6000, 600, 600, 600, 600]
    assert [_window(classifier, number, count) for number, count in enumerate(counts)] == [
        "low", "low", "low", "low", "low", "low", "medium"
    ]  # fmt: skip
