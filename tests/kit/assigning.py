"""A flag that says the same to everybody."""

from __future__ import annotations

from collections.abc import Callable

from migctl.flags.assignment import Assigned
from migctl.transports import TransportName


def everybody(transport: TransportName) -> Callable[[str], Assigned]:
    return lambda _: Assigned(transport, "STATIC", 1)
