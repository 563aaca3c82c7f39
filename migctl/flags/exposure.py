"""Exposure: that a user was served a variant, as whoever keeps it is handed it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from migctl.flags.assignment import Placed

# What gave a variant to nobody by chance: the environment, ignorance, one variant for all, a brake, an error.
NOT_DRAWN = ("OVERRIDE", "STALE", "STATIC", "BRAKED", "DISABLED", "ERROR")


@dataclass(frozen=True, slots=True)
class Exposure:
    """assigned: the variant. transport: where the user was sent, another one while a breaker is open; None for other flags.

    n: of the flag set. placed: says by what share the user was drawn; None where nobody knows.
    """

    flag: str
    user: str
    assigned: str
    transport: str | None
    reason: str
    n: int
    placed: Callable[[], Placed | None]


@dataclass(frozen=True, slots=True)
class Served:
    """What a user was answered. n: of the flag set; 0 where none said so."""

    variant: str
    reason: str
    n: int


class Exposures(Protocol):
    """Who keeps them."""

    def served(self, exposure: Exposure) -> None:
        """Never raises, and waits for nothing."""
        ...
