"""The tests of an experiment, against SciPy's own figures and against data of which the truth is known."""

from __future__ import annotations

import random

import pytest
from scipy import stats

from migctl.experiments.statistics import lag_one, paired, ratio_p


def alike(seed: int, count: int, likeness: float, mean: float = 0.0) -> list[float]:
    """Each value is as much like the one before."""
    of, value, found = random.Random(seed), 0.0, list[float]()
    for _ in range(count + 100):
        value = likeness * value + of.gauss(0, 1)
        found.append(mean + value)
    return found[100:]


def independent(seed: int, count: int = 40) -> list[float]:
    """Of which none is like the one before."""
    while lag_one(found := alike(seed, count, 0.0, mean=0.2)) > 0:
        seed += 1000
    return found


@pytest.mark.parametrize("seed", range(20))
def test_independent_differences_have_the_figures_of_scipy(seed: int) -> None:
    values = independent(seed)
    found, wanted = paired(values, 95), stats.ttest_1samp(values, 0)
    interval = wanted.confidence_interval(0.95)
    assert found.p == pytest.approx(wanted.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.effective == len(values)


@pytest.mark.parametrize("likeness", [0.0, 0.3, 0.6])
def test_no_difference_is_found_one_in_twenty_times(likeness: float) -> None:
    found = sum(paired(alike(seed, 60, likeness), 95).p < 0.05 for seed in range(1000))
    # 0.05 of 1,000, with four of its standard deviations, and as much again where values are alike.
    assert 22 <= found <= (78 if likeness == 0 else 95)


def test_a_difference_is_found_and_its_interval_has_the_truth() -> None:
    found = [paired(alike(seed, 60, 0.3, mean=1.5), 95) for seed in range(300)]
    assert sum(one.p < 0.05 for one in found) > 290
    assert 270 <= sum(one.low <= 1.5 <= one.high for one in found) <= 299


def test_one_difference_all_over_is_certain_and_none_at_all_is_none() -> None:
    assert (paired([2.0] * 10, 95).p, paired([0.0] * 10, 95).p) == (0.0, 1.0)


@pytest.mark.parametrize(("has", "of", "share"), [(250, 1000, 0.25), (300, 1000, 0.25), (9, 40, 0.5)])
def test_one_share_has_the_figure_of_scipy(has: int, of: int, share: float) -> None:
    wanted = stats.chisquare([has, of - has], [of * share, of * (1 - share)]).pvalue
    assert ratio_p([(of, has, share)]) == pytest.approx(wanted)


def test_users_who_fit_their_shares_are_rarely_refused() -> None:
    refused = 0
    for seed in range(1000):
        of = random.Random(seed)
        parts = [(500, sum(of.random() < share for _ in range(500)), share) for share in (0.1, 0.5)]
        refused += ratio_p(parts) < 0.05
    assert 22 <= refused <= 78
