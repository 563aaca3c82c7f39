"""Backoff: how long to stay away after the n-th failure in a row. Exponential, with full jitter, so that many who failed together
do not come back together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_LARGEST_EXPONENT = 30  # 2**30 of any first delay is above every bound; a larger one would only overflow


@dataclass(frozen=True, slots=True)
class Backoff:
    """A policy: the bound of the delay is `first_s` after the first failure and doubles with each further one, up to `most_s`."""

    first_s: float
    most_s: float

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.most_s:
            raise ValueError(f"expected 0 < first_s <= most_s, got {self.first_s} and {self.most_s}")

    def bound_s(self, failures: int) -> float:
        """The longest delay after this many failures in a row; failures is at least 1."""
        return min(self.most_s, self.first_s * 2.0 ** min(failures - 1, _LARGEST_EXPONENT))

    def delay_s(self, failures: int, random: Callable[[], float]) -> float:
        """Seconds to wait, anywhere between 0 and the bound. random: uniform in [0, 1), such as `Random().random`."""
        return random() * self.bound_s(failures)
