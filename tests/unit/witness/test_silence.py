"""Silence: each row of its table."""

from __future__ import annotations

from migctl.validate.witness.silence import Silence

S = 1_000_000


class Counted:
    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []
        self.silence = Silence(lambda begin, end: self.times.append((begin / S, end / S)))

    def released(self, committed: float, received: float) -> None:
        self.silence.released(round(committed * S), round(received * S))


def test_a_release_within_two_seconds_is_no_silence() -> None:
    counted = Counted()
    counted.released(10, 12)
    assert counted.times == []


def test_a_later_one_is_silence_from_the_second_second_and_never_counted_twice() -> None:
    counted = Counted()
    counted.released(10, 15)
    counted.released(11, 15)
    counted.released(12, 16)
    assert counted.times == [(12, 15), (15, 16)]


def test_what_is_owed_when_a_window_closes_goes_on_being_owed_until_it_comes() -> None:
    counted = Counted()
    counted.silence.window_ends(60 * S, [50 * S, 55 * S])
    counted.silence.window_ends(120 * S, [])
    counted.released(50, 130)
    counted.released(55, 131)
    counted.released(131, 131.1)
    assert counted.times == [(52, 60), (60, 120), (120, 130), (130, 131)]


def test_what_was_passed_over_is_missing_and_owed_no_more() -> None:
    counted = Counted()
    counted.released(58, 58.1)
    counted.silence.window_ends(60 * S, [50 * S])
    counted.silence.window_ends(120 * S, [])
    assert counted.times == []
