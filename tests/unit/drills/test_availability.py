"""Availability, silence and blame, from events whose times are known."""

from __future__ import annotations

from math import inf

from migctl.drills.availability import (
    Fault,
    Releases,
    availability_percent,
    blame,
    fallback_s,
    longest_silence_s,
    missed_seconds,
    spans,
)


def steady(seconds: int, outage: tuple[float, float] | None = None) -> Releases:
    """Ten events a second, each there after 10 ms; those of the outage at its end."""
    committed = [1000 + tenth / 10 for tenth in range(seconds * 10)]
    arrived = [
        outage[1] if outage is not None and outage[0] <= moment < outage[1] else moment + 0.01
        for moment in committed
    ]
    return Releases(committed, arrived)


def seconds_missed(releases: Releases, grace_s: float, **more: object) -> tuple[set[int], int]:
    return missed_seconds(releases, since=1000, until=1020, grace_s=grace_s, **more)  # type: ignore[arg-type]


def test_what_comes_at_once_misses_no_second_with_or_without_grace() -> None:
    assert seconds_missed(steady(20), 2.0) == (set(), 20)
    assert seconds_missed(steady(20), 0.0) == (set(), 20)


def test_an_outage_counts_from_two_seconds_after_the_first_event_it_held() -> None:
    outage = steady(20, (1005.0, 1009.5))
    assert seconds_missed(outage, 2.0) == ({7, 8, 9}, 20)
    assert seconds_missed(outage, 0.0) == ({5, 6, 7, 8, 9}, 20)


def test_an_outage_within_the_grace_is_missed_only_without_it() -> None:
    outage = steady(20, (1005.0, 1006.9))
    assert seconds_missed(outage, 2.0)[0] == set()
    assert seconds_missed(outage, 0.0)[0] == {5, 6}


def test_an_event_that_came_behind_a_hole_counts_as_released_with_the_hole() -> None:
    releases = Releases([1000.0, 1000.1, 1000.2], [1000.01, 1004.5, 1000.21])
    assert releases.released == [1000.01, 1004.5, 1004.5]
    assert seconds_missed(releases, 2.0)[0] == {2, 3, 4}


def test_what_a_client_without_order_missed_is_over_with_the_next_that_it_gets() -> None:
    releases = Releases([1000.0, 1003.0, 1010.0], [1000.01, inf, 1010.01], in_order=False)
    assert releases.released == [1000.01, 1010.01, 1010.01]
    assert seconds_missed(releases, 2.0)[0] == {5, 6, 7, 8, 9, 10}


def test_an_event_that_never_came_is_missed_to_the_end_and_so_is_all_behind_it() -> None:
    releases = Releases([1000.0, 1003.0], [inf, 1003.01])
    assert seconds_missed(releases, 2.0)[0] == set(range(2, 20))


def test_seconds_in_which_the_subscriber_was_stopped_are_neither_missed_nor_wanted() -> None:
    outage = steady(20, (1005.0, 1009.5))
    assert seconds_missed(outage, 2.0, away=[(1005.0, 1008.0)]) == ({8, 9}, 17)


def test_availability_without_seconds_is_no_figure() -> None:
    assert availability_percent(0, 0) is None
    assert availability_percent(3, 20) == 85.0


def test_a_time_in_which_nothing_was_committed_is_no_silence() -> None:
    silent = Releases([1000.0, 1010.0, 1010.5], [1000.2, 1010.1, 1012.5])
    assert longest_silence_s(silent, until=1020) == (2.0, 1010.5)
    assert longest_silence_s(Releases([], []), until=1020) is None


def test_fallback_ends_with_an_event_that_was_committed_while_the_fault_held() -> None:
    releases, live = Releases([1000.0, 1002.0, 1003.0], [1005.0, 1005.0, 1005.0]), [True] * 3
    assert fallback_s(releases, live, Fault("cut", 1001.0, 1009.0)) == 4.0
    assert fallback_s(releases, live, Fault("cut", 1004.0, 1009.0)) is None


def test_what_still_came_through_while_the_fault_was_being_armed_is_no_fallback() -> None:
    releases = Releases([1001.1, 1002.0], [1001.2, 1004.0])
    assert fallback_s(releases, [True, True], Fault("cut", 1001.0, 1009.0, held=1001.5)) == 3.0


def test_a_catch_up_that_hears_nothing_afterwards_is_no_fallback() -> None:
    releases = Releases([1001.1, 1002.0], [1001.2, 1004.0])
    assert fallback_s(releases, [False, True], Fault("cut", 1001.0, 1009.0)) == 3.0
    assert fallback_s(releases, [False, False], Fault("cut", 1001.0, 1009.0)) is None


def test_a_missed_second_is_the_last_fault_s_before_it() -> None:
    faults = [Fault("reset", 1005.5, 1006.0), Fault("kill", 1010.0, 1012.0)]
    found = blame({"a": {2, 5, 9, 10, 11}, "b": {11}}, faults, 1000)
    assert found == {None: {"a": [2]}, 0: {"a": [5, 9]}, 1: {"a": [10, 11], "b": [11]}}
    assert spans([2, 3, 4, 9]) == "2-4, 9"
