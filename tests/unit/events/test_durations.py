"""Durations as people read them: two units at most, and never more than it is."""

from __future__ import annotations

import pytest

from migctl.events.durations import lasting


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"), (0.9, "0 s"), (12, "12 s"), (119.9, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"),
        (7260, "2 h 1 min"), (90_000, "25 h"), (172_799, "47 h 59 min"), (172_800, "2 d"), (187_200, "2 d 4 h"),
    ],
)  # fmt: skip
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert lasting(seconds) == words
