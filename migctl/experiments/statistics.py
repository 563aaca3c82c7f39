"""Statistics: the one place that knows SciPy, which is an extra of migctl."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from migctl.errors import Usage

if TYPE_CHECKING:
    from types import ModuleType


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A mean difference with its doubt. effective: of how many independent blocks it is worth."""

    difference: float
    low: float
    high: float
    p: float
    effective: float


def library() -> ModuleType:
    """`scipy.stats`. Raises Usage where it is not installed."""
    try:
        from scipy import stats
    except ImportError:
        raise Usage(
            "SciPy is not installed, which reports of experiments are made with",
            do="pip install 'migctl[experiments]'",
        ) from None
    found: ModuleType = stats
    return found


def lag_one(values: Sequence[float]) -> float:
    """How much each value is like the one before: 0 not at all, 1 wholly."""
    mean = math.fsum(values) / len(values)
    around = [value - mean for value in values]
    whole = math.fsum(one * one for one in around)
    return math.fsum(a * b for a, b in pairwise(around)) / whole if whole else 0.0


def paired(differences: Sequence[float], confidence_percent: float) -> Interval:
    """Student's t-test of paired differences, for at least two. What each has of the one before makes them worth fewer.

    Where they are independent it is `scipy.stats.ttest_1samp` of them against 0.
    """
    stats, count = library(), len(differences)
    mean = math.fsum(differences) / count
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in differences) / (count - 1))
    alike = min(max(0.0, lag_one(differences)), 0.99)
    effective = max(2.0, count * (1 - alike) / (1 + alike))
    error = deviation / math.sqrt(effective)
    if error == 0:
        return Interval(
            difference=mean, low=mean, high=mean, p=1.0 if mean == 0 else 0.0, effective=effective
        )
    of = stats.t(effective - 1)
    reach = float(of.ppf(0.5 + confidence_percent / 200)) * error
    p = 2 * float(of.sf(abs(mean) / error))
    return Interval(difference=mean, low=mean - reach, high=mean + reach, p=p, effective=effective)


def ratio_p(parts: Sequence[tuple[int, int, float]]) -> float:
    """How likely such counts are by chance: the chi-square test of each part together.

    parts: of how many users, how many have the opened variant, and its share as a fraction above 0 and below 1. Not empty.
    """
    statistic = math.fsum((has - of * share) ** 2 / (of * share * (1 - share)) for of, has, share in parts)
    return float(library().chi2.sf(statistic, len(parts)))
