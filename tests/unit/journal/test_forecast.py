"""Which bound of a journal is reached first, and when."""

from __future__ import annotations

from typing import Any

import pytest

from migctl.journal.sqlite.forecast import (
    LEAST_SAMPLES,
    NEVER_HOURS,
    SAMPLES,
    Forecast,
    Others,
    forecast,
)
from migctl.journal.sqlite.retention import Keep, Space

GB = 1 << 30
SAMPLE_EVERY_S = 15.0
HOUR = 3600
# Of 10 GB, 1 GB is used; what comes goes after a day, before it is full.
KEEP, SETTLED = Keep(hours=24, max_bytes=10 * GB), 1 * GB / (24 * HOUR)


def hours(space: Space, keep: Keep, **rates: float) -> float | None:
    found = forecast(space, keep, **rates)
    return None if found is None else found.hours


def test_full_in_is_never_where_as_much_goes_as_comes_and_counts_where_a_cursor_stands() -> None:
    keep = Keep(hours=24, max_bytes=10 * GB)
    space = Space(1 * GB, 0, 100 * GB)
    rate = 0.1 * GB / 3600
    assert hours(space, keep, bytes_per_s=rate, held_back_hours=0) is None
    assert hours(space, keep, bytes_per_s=rate, held_back_hours=30) == pytest.approx(90)
    assert hours(space, keep, bytes_per_s=5 * rate, held_back_hours=0) == pytest.approx(18)
    assert hours(space, keep, bytes_per_s=0, held_back_hours=30) is None


def test_a_cursor_that_stands_fills_the_journal_though_what_it_passed_goes() -> None:
    """An outage of an hour: nothing has to give way yet, and nothing that came since ever will."""
    rate = 1000.0
    keep = Keep(hours=24, max_bytes=int(rate * 3600 * 100))  # room for 100 hours
    for held_back_hours, full_in in (
        (0, None),
        (0.9 / 60, None),
        (1.0, 99.0),
        (23.0, 77.0),
        (99.5, 0.5),
        (101.0, 0.0),
    ):
        used = int(rate * 3600 * max(24.0, held_back_hours))
        space = Space(used_bytes=used, reusable_bytes=0, free_bytes=1 << 40)
        found = hours(space, keep, bytes_per_s=rate, held_back_hours=held_back_hours)
        assert found == (None if full_in is None else pytest.approx(full_in)), held_back_hours


def disk(free_gb: float, used_gb: float = 1.0) -> Space:
    return Space(int(used_gb * GB), 0, int(free_gb * GB))


def test_a_disk_that_others_fill_is_full_though_the_journal_never_is() -> None:
    rates: dict[str, Any] = {"bytes_per_s": SETTLED, "held_back_hours": 0}
    assert forecast(disk(20), KEEP, **rates) is None
    found = forecast(disk(20), KEEP, **rates, others_per_s=1 * GB / HOUR)
    assert found == Forecast(pytest.approx(20, rel=0.01), "disk")
    keep = Keep(hours=24, max_bytes=10 * GB, min_free_bytes=5 * GB)
    assert hours(disk(20), keep, **rates, others_per_s=1 * GB / HOUR) == pytest.approx(15, rel=0.01)
    assert forecast(disk(4), keep, **rates) == Forecast(0.0, "disk")  # it is, already


def test_the_bound_that_is_nearer_is_the_one_that_is_named() -> None:
    fast: dict[str, Any] = {"bytes_per_s": 1 * GB / HOUR, "held_back_hours": 0}
    assert forecast(disk(1000), KEEP, **fast) == Forecast(pytest.approx(9), "journal")
    assert forecast(disk(5), KEEP, **fast) == Forecast(pytest.approx(5), "disk")
    assert forecast(disk(1000), KEEP, **fast, others_per_s=1 * GB / HOUR) == Forecast(
        pytest.approx(9), "journal"
    )
    assert forecast(disk(16), KEEP, **fast, others_per_s=1 * GB / HOUR) == Forecast(pytest.approx(8), "disk")


def test_a_journal_that_still_grows_to_its_size_leaves_the_rest_of_the_disk_to_others() -> None:
    # It comes to 6 GB, of which 1 GB is there; the other 5 GB are taken in 20 hours, 15 remain for who takes 0.1 GB an hour.
    rates: dict[str, Any] = {"bytes_per_s": 6 * GB / (24 * HOUR), "held_back_hours": 0}
    assert hours(disk(20), KEEP, **rates, others_per_s=0.1 * GB / HOUR) == pytest.approx(150)
    assert hours(disk(7), KEEP, **rates, others_per_s=0.15 * GB / HOUR) == pytest.approx(7 / 0.4)


def test_what_a_cursor_holds_back_and_others_fill_the_disk_together() -> None:
    rates: dict[str, Any] = {"bytes_per_s": 0.1 * GB / HOUR, "held_back_hours": 10}
    # 1 GB is held back: nothing of it goes.
    assert hours(disk(6), KEEP, **rates, others_per_s=0.2 * GB / HOUR) == pytest.approx(20)
    # The stream has stopped: what is there stays.
    stopped: dict[str, Any] = {"bytes_per_s": 1e-3, "held_back_hours": 10}
    assert hours(disk(6), KEEP, **stopped, others_per_s=0.2 * GB / HOUR) == pytest.approx(30, rel=0.01)


def test_what_is_years_away_is_never() -> None:
    rates: dict[str, Any] = {"bytes_per_s": 0, "held_back_hours": 0}
    slow = 20 * GB / (HOUR * NEVER_HOURS)
    assert hours(disk(20), KEEP, **rates, others_per_s=0.99 * slow) is None
    assert hours(disk(20), KEEP, **rates, others_per_s=1.01 * slow) is not None


def taken(free: list[float], *, every_s: float = SAMPLE_EVERY_S, used: float = 0.0) -> float:
    """What others take a second, where the disk had so much room at these moments."""
    others = Others(SAMPLE_EVERY_S)
    for n, one in enumerate(free):
        others.measured(Space(int(used), 0, int(one)), 1000 + n * every_s)
    return others.per_s


def test_a_steady_loss_of_room_is_its_slope_and_room_that_comes_is_none() -> None:
    assert taken([1e9 - 150 * n for n in range(40)]) == pytest.approx(10)
    assert taken([1e9 + 150 * n for n in range(40)]) == 0


def test_what_the_journal_itself_takes_is_not_of_others() -> None:
    others = Others(SAMPLE_EVERY_S)
    for n in range(40):
        others.measured(Space(int(1e6 * n), int(1e8 - 5e5 * n), int(1e9 - 5e5 * n)), n * SAMPLE_EVERY_S)
    assert others.per_s == 0


def test_one_large_file_or_a_log_that_is_cut_is_no_trend() -> None:
    assert taken([1e9] * 30 + [5e8] * 10) == 0
    log = [64e6 * (n % 8) for n in range(60)]  # a write-ahead log: it grows, and begins anew
    assert taken([1e9 - one for one in log]) < 64e6 / SAMPLE_EVERY_S / 100
    grows = [64e6 * (n % 8) + 15e6 * n for n in range(60)]
    assert taken([1e9 - one for one in grows]) == pytest.approx(1e6, rel=0.1)


def test_nothing_is_said_before_enough_was_measured_and_old_samples_go() -> None:
    losing = [1e9 - 150 * n for n in range(LEAST_SAMPLES)]
    assert taken(losing[:-1]) == 0
    assert taken(losing) > 0
    # Measured once a second, it is sampled as often as ever.
    assert taken([1e9 - 10 * n for n in range(LEAST_SAMPLES + 1)], every_s=1) == 0
    assert taken([1e9 - 150 * n for n in range(100)] + [9e8] * 2 * SAMPLES) == 0
