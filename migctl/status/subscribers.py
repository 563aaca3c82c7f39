"""Who is attached to the gateway, and how far behind each is, as `GET /admin/subscribers` says it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from migctl.events.times import Moment
from migctl.status.delivery import TransportName

SubscriberPhase = Literal["live", "catching up", "standby", "piped", "closing"]


class SubscriberStatus(Struct, frozen=True, kw_only=True):
    """A socket of the gateway. user: as it names itself; None for one that is assigned nothing. assigned: where the flag sends it.

    reads: what brings it events; realtime for a standby socket. since: when it came. peer: its address. token: the name of the one
    that it came with. position: the last that was written to it, `epoch/seq`. behind_events: that it was not written yet.
    queued_bytes: written, and not sent yet. behind_s: how long something has waited for it. These three are None where somebody
    else feeds it. closing: the code of a goodbye that is not answered yet. witness: it is the witness's own.
    """

    peer: str
    form: Literal["v2", "legacy", "piped"]
    phase: SubscriberPhase
    standby: bool
    reads: TransportName
    user: str | None
    assigned: str | None
    token: str | None
    since: Moment
    position: str | None
    behind_events: int | None
    behind_s: float | None
    queued_bytes: int
    closing: int | None
    witness: bool


class SubscribersTotal(Struct, frozen=True, kw_only=True):
    """Of those that are not closing, and not the witness's. misplaced: assigned to what they don't read.

    behind: how many are behind at all; most_behind_*: of the one that is it most.
    """

    websocket: int
    realtime: int
    misplaced: int
    behind: int
    most_behind_events: int
    most_behind_s: float
    queued_bytes: int


class SubscribersStatus(Struct, frozen=True, kw_only=True):
    """The document of `/admin/subscribers`. epoch, head: of the journal at that moment."""

    schema: Literal["migctl.subscribers/1"] = "migctl.subscribers/1"
    at: Moment
    epoch: str
    head: int
    total: SubscribersTotal
    subscribers: list[SubscriberStatus]


def total_of(subscribers: Iterable[SubscriberStatus]) -> SubscribersTotal:
    """How many read what, and how far the worst is behind."""
    here = [one for one in subscribers if one.closing is None and not one.witness]
    events, seconds = [one.behind_events or 0 for one in here], [one.behind_s or 0.0 for one in here]
    return SubscribersTotal(
        websocket=sum(one.reads == "websocket" for one in here),
        realtime=sum(one.reads == "realtime" for one in here),
        misplaced=sum(one.assigned not in (None, one.reads) for one in here),
        behind=sum(late > 0 or for_s > 0 for late, for_s in zip(events, seconds, strict=True)),
        most_behind_events=max(events, default=0),
        most_behind_s=max(seconds, default=0.0),
        queued_bytes=sum(one.queued_bytes for one in here),
    )
