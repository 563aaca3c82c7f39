"""Doctor: checks that take the whole way through a target, from outside, as a publisher and a subscriber would go it."""

from __future__ import annotations

from migctl.doctor.delivery import NEEDS, Delivery, Way, check

__all__ = ["NEEDS", "Delivery", "Way", "check"]
