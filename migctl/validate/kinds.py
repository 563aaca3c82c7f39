"""Kinds: the words of a report, and whether two lines of the same id have the same body. Pure."""

from __future__ import annotations

from enum import IntEnum

from migctl.events.equality import Equality, differences, equal
from migctl.validate.lines import Line


class Side(IntEnum):
    """Whose word a line is. The order is the order in which a report believes them."""

    JOURNAL = 0
    WEBSOCKET = 1
    REALTIME = 2

    @property
    def label(self) -> str:
        return self.name.lower()


TRANSPORTS = (Side.WEBSOCKET, Side.REALTIME)

# Of events and of lines, in the order in which a report names them.
KINDS = (
    "missing_websocket",
    "missing_realtime",
    "payload_mismatch",
    "number_precision",
    "duplicate_websocket",
    "duplicate_realtime",
    "out_of_order_websocket",
    "out_of_order_realtime",
    "late",
    "unexpected",
)


def compare(a: Line, b: Line) -> Equality:
    """Compare two bodies: event_type, timestamp as an instant, source where both have one, data as jsonb sees it.

    Raises ValueError where data is no JSON.
    """
    if a.event_type != b.event_type or a.timestamp != b.timestamp:
        return Equality.DIFFERENT
    if a.source != b.source and a.source is not None and b.source is not None:
        return Equality.DIFFERENT
    return equal(a.data, b.data)


def fields_that_differ(a: Line, b: Line) -> list[str]:
    """`event_type`, `timestamp`, `source`, and paths such as `data.disks[0].used`; (number_precision) stands behind such a one."""
    found = []
    if a.event_type != b.event_type:
        found.append("event_type")
    if a.timestamp != b.timestamp:
        found.append("timestamp")
    if a.source != b.source and a.source is not None and b.source is not None:
        found.append("source")
    for difference in differences(a.data, b.data):
        path = "data" + ("" if difference.path == "." else difference.path)
        found.append(f"{path} ({difference.kind})" if difference.kind == "number_precision" else path)
    return found
