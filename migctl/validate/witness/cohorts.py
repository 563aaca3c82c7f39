"""Cohorts: what counts as evidence for each segment that has a share of its own. Pure.

Nobody outside knows who is in a segment, but the record says where its users are: what counts for it are the events that came out
of every transport on which they are. The fewest of those: a sum would hide a transport that is silent.

| the segment's share, under the brakes | its users are on | its events of a window |
|---|---|---|
| 0 | WebSocket | those that came out of the WebSocket |
| 100 | Realtime | those that came out of Realtime |
| between | both | the fewer |
| not known: the record is away, or the flag says it in words of its own | - | it is left out: no evidence, and gates wait |
"""

from __future__ import annotations

from collections.abc import Mapping

from migctl.flags.shares import Shares
from migctl.validate.witness.minute import Minute


def cohorts_of(minute: Minute, shares: Shares | None) -> Mapping[str, int]:
    """As the window has them, with one for each segment. shares: what is in force."""
    found = dict(minute.cohorts)
    for name, percent in shares.segments.items() if shares is not None else ():
        on = [
            transport for transport, has in (("realtime", percent > 0), ("websocket", percent < 100)) if has
        ]
        found[name] = min(of.received if (of := minute.transports.get(each)) else 0 for each in on)
    return found
