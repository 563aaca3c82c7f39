"""How many events a second a `serve` takes and carries."""

from __future__ import annotations

from msgspec import Struct


class RatesStatus(Struct, frozen=True, kw_only=True):
    """Events a second over the last so many seconds. None for a way that the mode does not have.

    to_websocket_per_s: frames, one for each subscriber. to_realtime_per_s: events in hints.
    """

    over_s: float
    taken_per_s: float
    to_table_per_s: float | None = None
    to_websocket_per_s: float | None = None
    to_realtime_per_s: float | None = None
